"""What phones seal with the secret of the message that it is about is told as if it had come open."""

from __future__ import annotations

import os
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.emulator.library import Library, Session, message
from tests.emulator.library import jid as to
from tests.emulator.schemas import Message
from tests.support.company import ANN, Company
from tests.support.engines import jid
from tests.support.whatsapp import why_not
from wagate.engines.sandbox.people import lid_of
from wagate.engines.whatsapp import sealed
from wagate.model.contents import EditContent, ReactionContent, Target, TextContent
from wagate.model.messages import Arrived

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]
EVE = "99900000005"
SECRET = os.urandom(32)


async def test_sealed_edits_and_reactions_are_told(company: Company) -> None:
    async with Library(company.emulator) as library:
        eve = await library.link("eve-seals", EVE)
        try:
            await _edited_and_reacted_to(company, eve)
        finally:
            await company.emulator.person(EVE).unlink()


async def _edited_and_reacted_to(company: Company, eve: Session) -> None:
    first = await _say(eve, Message(conversation="frist", messageContextInfo={"messageSecret": SECRET}))
    key = {"remoteJID": jid(ANN), "fromMe": True, "ID": first}
    about = Target(message_id=first, from_me=False, sender=jid(EVE))
    for address in (lid_of(EVE), jid(EVE)):
        for inside in (
            Message(protocolMessage={"type": "MESSAGE_EDIT", "editedMessage": Message(conversation=f"as {address}")}),
            Message(conversation=f"as {address}"),
        ):
            edit = _sealed(inside, sealed.key_of(SECRET, first, address, address, sealed.EDIT))
            sent = await _say(
                eve, Message(secretEncryptedMessage={**edit, "targetMessageKey": key, "secretEncType": "MESSAGE_EDIT"})
            )
            told = await company.ann.hears(Arrived, lambda report, sent=sent: report.wire_id == sent)  # type: ignore[misc]
            assert told.content == EditContent(target=about, text=f"as {address}")
    reaction = _sealed(
        Message(reactionMessage={"text": "👍"}).reactionMessage,
        sealed.key_of(SECRET, first, lid_of(EVE), lid_of(EVE), sealed.REACTION),
    )
    sent = await _say(eve, Message(encReactionMessage={**reaction, "targetMessageKey": key}))
    told = await company.ann.hears(Arrived, lambda report: report.wire_id == sent)
    assert told.content == ReactionContent(target=about, emoji="👍")
    # What cannot be opened, and what we have no word for, is nothing; what comes behind it comes.
    wrong = _sealed(Message(conversation="no"), os.urandom(32))
    for kind in ("MESSAGE_EDIT", "EVENT_EDIT"):
        await _say(eve, Message(secretEncryptedMessage={**wrong, "targetMessageKey": key, "secretEncType": kind}))
    last = await _say(eve, Message(conversation="last"))
    for each in (company.ann, company.tablet):
        told = await each.hears(Arrived, lambda report: report.wire_id == last)
        assert told.content == TextContent(text="last")
        assert len(each.sink.of(Arrived)) == 7


async def _say(session: Session, said: Any) -> str:
    return str((await session.call("send_message", to(ANN), message(said)))["told"]["ID"])


def _sealed(inside: Any, key: bytes) -> dict[str, bytes]:
    iv = os.urandom(12)
    return {"encIV": iv, "encPayload": AESGCM(key).encrypt(iv, inside.SerializeToString(), None)}
