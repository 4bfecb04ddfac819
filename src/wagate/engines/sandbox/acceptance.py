"""Accepting a message: judged, its files copied, and committed with what everybody's sessions get, in one put.

A message is its record, its frame, and a report for each session of its recipients; an album is several of them, and a
change also alters the record that it is about. The same wire id by the same author is the same message: another frame,
nothing else. Called by carrying.
"""

from __future__ import annotations

from typing import cast

import msgspec
from msgspec import UNSET

from wagate.engines.sandbox import albums, media, quoting, statuses
from wagate.engines.sandbox.albums import Part
from wagate.engines.sandbox.changes import CHANGES, Judged, judge
from wagate.engines.sandbox.frames import Changes, Sent, record_key
from wagate.engines.sandbox.groups import Group, may_speak
from wagate.engines.sandbox.network import Network, encode_report
from wagate.engines.sandbox.people import jid_of, number_of
from wagate.engines.sandbox.receipts import Receipts
from wagate.engines.sandbox.seeing import seen_by
from wagate.engines.sandbox.statuses import STATUS
from wagate.errors import Refused
from wagate.model.contents import (
    Change,
    Content,
    GoneContent,
    MediaContent,
    MessageContent,
    ReactionContent,
    VoteContent,
)
from wagate.model.jid import is_group, is_lid


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A message on its way in. `session` sent it, or nobody's session did; `silent`: the author will not hear of it;
    `hidden`: the author shows its LID only.
    """

    wire_id: str
    author: str
    chat: str
    content: Content
    session: str | None = None
    silent: bool = False
    echo: bool = False
    hidden: bool = False


class Load(msgspec.Struct, kw_only=True):
    """What is being accepted: for whom, in which parts, with which files, changing what."""

    chat: str
    people: list[str]
    parts: list[Part] = []
    files: dict[str, str] = {}
    judged: Judged | None = None


class Acceptance:
    """Accepts messages for one network. `unanswered`: frames whose author has no acknowledgement yet."""

    def __init__(self, network: Network, receipts: Receipts) -> None:
        self.network = network
        self.unanswered: set[int] = set()
        self._receipts = receipts
        self._history = network.history

    async def take(self, draft: Draft) -> list[Sent]:
        """Commit it, or find what it was committed as before. One call at a time for an id of an author.

        Raises:
            Refused: the network says no.
            Gone: a file is not there.
        """
        first = await self._history.find(draft.wire_id, draft.author)
        if first is not None:
            others = [await self._history.find(each, draft.author) for each in first.album[1:]]
            found = [first, *(sent for sent in others if sent is not None)]
            for sent in found:
                await self._repeat(draft, sent)
            return found
        if draft.chat == STATUS:
            load = Load(chat=STATUS, people=await statuses.audience(self.network, draft.author))
        elif draft.chat.endswith("@newsletter"):
            load = Load(chat=draft.chat, people=self.network.channels.audience(draft.author, draft.chat))
        else:
            to = self._destination(draft)
            load = Load(chat=to.jid if isinstance(to, Group) else jid_of(to), people=self._recipients(draft.author, to))
        try:
            await self._prepare(draft, load)
        except Exception:
            await media.leave(self.network, list(load.files.values()))
            raise
        # From here on files stay, whatever is raised: it may have been committed all the same.
        return await self._load(draft, load)

    async def _prepare(self, draft: Draft, load: Load) -> None:
        """Copy files, look up what is quoted, and judge a change; from here to the commit nobody comes in between."""
        for wire_id, content in albums.parts(draft.wire_id, draft.content, self.network.mint):
            if isinstance(content, MediaContent):
                record = record_key(wire_id, draft.author)
                load.files[wire_id] = media.key_of(self.network, record)
                content = await media.take_in(self.network, record, content)
            if isinstance(content, CHANGES):
                load.judged = await judge(self.network, draft.author, load.chat, content)
                content = load.judged.change
            elif isinstance(content, MessageContent):
                content = await quoting.filled(self._history, draft.author, content)
            load.parts.append((wire_id, content))

    async def _load(self, draft: Draft, load: Load) -> list[Sent]:
        changes = load.judged.write(self._history) if load.judged is not None else {}
        carried: list[Sent] = []
        sessions: list[str] = []
        for part in load.parts:
            carried.append(self._record(draft, load, part, changes))
            sessions += self._keep_copies(carried[-1], load.people, draft.session, changes)
        try:
            await self.network.commit(changes)
        except BaseException:
            if load.judged is not None:
                load.judged.undo()
            for sent in carried:
                self._history.drop(sent)
                self._history.unsettled.free(sent.frame)
            raise
        self.network.wake(dict.fromkeys(sessions))
        for sent in carried:
            if sent.silent:
                self._history.unsettled.free(sent.frame)
            else:
                self.unanswered.add(sent.frame)
        return carried

    def _record(self, draft: Draft, load: Load, part: Part, changes: Changes) -> Sent:
        wire_id, content = part
        now, is_change = self.network.clock.now(), isinstance(content, CHANGES)
        kind = str(content.__struct_config__.tag) if is_change else "message"
        frame, rows = self._history.next(kind, now, **self._parts(draft, wire_id))
        album = [each for each, _ in load.parts] if len(load.parts) > 1 and wire_id == draft.wire_id else []
        sent = Sent(
            wire_id=wire_id,
            author=draft.author,
            chat=load.chat,
            content=cast("MessageContent | Change", content),
            timestamp=now,
            frame=frame,
            # Nobody acknowledges a change.
            copies={} if is_change else dict.fromkeys(load.people, "sent"),
            silent=draft.silent,
            echo=draft.echo,
            hidden=draft.hidden,
            by_lid=is_lid(draft.chat),
            album=album,
        )
        self._history.expect(wire_id, sent.author)
        if wire_id in load.files:
            rows |= media.note(frame, load.files[wire_id])
        changes |= rows
        changes[sent.key] = self._history.save(sent)
        return sent

    async def _repeat(self, draft: Draft, sent: Sent) -> None:
        kind = str(sent.content.__struct_config__.tag) if isinstance(sent.content, CHANGES) else "message"
        frame, changes = self._history.next(kind, self.network.clock.now(), **self._parts(draft, sent.wire_id))
        was_silent, sent.silent = sent.silent, sent.silent and draft.silent
        try:
            if was_silent != sent.silent:
                changes[sent.key] = self._history.save(sent)
            await self.network.commit(changes)
            if was_silent != sent.silent:
                await self._receipts.retell([sent])
        except BaseException:
            sent.silent = was_silent
            raise
        finally:
            self._history.unsettled.free(frame)

    def _parts(self, draft: Draft, wire_id: str) -> dict[str, object]:
        session = UNSET if draft.session is None else draft.session
        return {
            "session": session,
            "wa_message_id": wire_id,
            "from_": jid_of(draft.author),
            "to": draft.chat,
        }

    async def refuse(self, draft: Draft) -> None:
        """The network says no: it saw the frame, and nobody else does."""
        _, changes = self._history.next("refused", self.network.clock.now(), **self._parts(draft, draft.wire_id))
        await self.network.commit(changes)

    def _recipients(self, author: str, to: Group | str) -> list[str]:
        numbers = [number for number in to.members if number != author] if isinstance(to, Group) else [to]
        # Who is set to block does it to everybody, a session only in the chat of the two: no copy reaches the phone.
        alone = not isinstance(to, Group)
        return [number for number in numbers if number == author or not self._hides(number, author if alone else None)]

    def _hides(self, number: str, author: str | None) -> bool:
        network = self.network
        return network.somebody(number).blocked or (author is not None and network.blocks(number, author))

    def _keep_copies(self, sent: Sent, people: list[str], session: str | None, changes: Changes) -> list[str]:
        """What the sessions of recipients and of the author get, and what waits for phones that are off."""
        devices_of, keep = self.network.devices_of, self.network.keep
        sessions: list[str] = []
        theirs = ""
        # A quote and a change's target say whether they are the reader's own: no two readers get the same.
        alike = not isinstance(sent.content, (*CHANGES, GoneContent)) and not sent.content.quote
        for number in people:
            if number == sent.author:
                continue
            if devices := devices_of.get(number):
                if not (alike and theirs):
                    theirs = encode_report(seen_by(self.network, sent, number))
                for device in devices:
                    keep(device, theirs, changes)
                sessions += devices
            elif number in sent.copies and not self.network.answers(number):
                changes[f"o/{number}/{sent.frame:012d}"] = sent.key
        others = [device for device in devices_of.get(sent.author, ()) if device != session]
        if others:
            own = encode_report(seen_by(self.network, sent, sent.author))
            for device in others:
                keep(device, own, changes)
        return sessions + others

    def _destination(self, draft: Draft) -> Group | str:
        """The group or the number that the draft's canonical chat JID means.

        Raises:
            Refused: the author may not write there, or nobody is there.
        """
        author, chat = draft.author, draft.chat
        if is_group(chat):
            group = self.network.groups.get(chat)
            # Where only admins write, the others may still react and vote.
            quiet = isinstance(draft.content, ReactionContent | VoteContent)
            if group is None or not (author in group.members if quiet else may_speak(group, author)):
                raise Refused("not allowed to send to this group", waCode=403)
            return group
        number = number_of(chat)
        if number is None or not self.network.exists(number):
            raise Refused("not on WhatsApp", reason="not_on_whatsapp", waCode=404)
        return number
