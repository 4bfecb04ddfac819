"""A phone that can speak: a session of the library linked in the phone's own place (device 0).

The emulator cannot write ciphertext. What only a phone says to its companions (the keys of the app state, pieces of the
history) is therefore said by such a session: it sends to its own account, and the companions hear their phone.
"""

from __future__ import annotations

import os
import time

from tests.emulator.library import Library, Session, jid, message
from tests.emulator.persons import Person
from tests.emulator.schemas import HistorySync, Message


class Phone:
    """Somebody's phone, switched on."""

    def __init__(self, session: Session, person: Person) -> None:
        self.session = session
        self.person = person

    async def share_keys(self) -> None:
        """Give the companions a key of the app state: without one the library can neither name itself nor archive."""
        told = Message()
        told.protocolMessage.type = told.protocolMessage.APP_STATE_SYNC_KEY_SHARE
        key = told.protocolMessage.appStateSyncKeyShare.keys.add()
        key.keyID.keyID = b"\0\0" + os.urandom(4)
        key.keyData.keyData = os.urandom(32)
        key.keyData.fingerprint.rawID = 7
        key.keyData.fingerprint.deviceIndexes.append(0)
        key.keyData.timestamp = int(time.time() * 1000)
        await self._tell(told)

    async def send_history(self, history: HistorySync) -> None:
        """Upload a piece of the history and point the companions to it."""
        told = Message()
        told.protocolMessage.type = told.protocolMessage.HISTORY_SYNC_NOTIFICATION
        told.protocolMessage.historySyncNotification.CopyFrom(self.person.history(history))
        await self._tell(told)

    async def _tell(self, told: Message) -> None:
        await self.session.call("send_message", jid(self.person.number), message(told))


async def switch_on(library: Library, number: str) -> Phone:
    """Link a session in the place of somebody's phone."""
    person = library.emulator.person(number)
    session = await library.open(f"phone-{number}")
    await person.scan_as_phone(await session.qr())
    await session.wait("Connected")
    return Phone(session, person)
