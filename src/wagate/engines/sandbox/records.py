"""Looking at what the network carried, a page at a time."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from wagate.engines.sandbox.frames import Sent
from wagate.engines.sandbox.network import Network
from wagate.engines.sandbox.people import jid_of, number_of
from wagate.errors import BadRequest
from wagate.model.jid import chat, person
from wagate.model.messages import Reaction
from wagate.model.sandbox import Frame, FramePage, ListFrames, ListShown, Shown, ShownPage, ShownVote


class _Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Filters in canonical form: a person by number, a group by JID."""

    to: str | None
    author: str | None
    message: str | None

    def frame(self, frame: Frame) -> bool:
        """Whether the message of this frame can have a wanted copy; a change shows on the message that it is about."""
        return (
            frame.kind == "message"
            and (self.message is None or frame.wa_message_id == self.message)
            and (self.author is None or frame.from_ == jid_of(self.author))
        )

    def copy(self, sent: Sent, number: str) -> bool:
        """Whether this copy is wanted."""
        return (
            self.to in (None, number, sent.chat)
            and self.author in (None, sent.author)
            and self.message in (None, sent.wire_id)
        )


async def shown(network: Network, action: ListShown) -> ShownPage:
    """One entry for each copy on a recipient's phone, oldest first."""
    wanted = _Wanted(
        to=None if action.to is None else _destination(action.to),
        author=None if action.sender is None else number_of(person(action.sender, "from")) or "nobody",
        message=action.message,
    )
    frame, place = _position(action.after)
    rows: list[tuple[str, Shown]] = []
    if wanted.message is not None:
        for sent in await network.history.named(wanted.message):
            rows += _copies(sent, wanted, after=(frame, place))
    else:
        async for each in network.history.pages(max(frame - 1, 0)):
            if wanted.frame(each) and (found := await network.history.of(each)) is not None:
                rows += _copies(found, wanted, after=(frame, place))
                if len(rows) > action.limit:
                    break
    page = rows[: action.limit]
    more = len(rows) > action.limit
    return ShownPage(rows=[row for _, row in page], next=page[-1][0] if more else "")


def _destination(text: str) -> str:
    jid = chat(text, "to")
    return number_of(jid) or jid


def _copies(sent: Sent, wanted: _Wanted, *, after: tuple[int, int]) -> Iterator[tuple[str, Shown]]:
    for place, (number, status) in enumerate(sent.copies.items(), start=1):
        if (sent.frame, place) <= after or not wanted.copy(sent, number):
            continue
        row = Shown(
            wa_message_id=sent.wire_id,
            from_=jid_of(sent.author),
            to=sent.chat,
            recipient=jid_of(number),
            type=str(sent.content.__struct_config__.tag),
            content=sent.content,
            timestamp=sent.timestamp,
            status=status,
            edited=sent.edited,
            revoked=sent.revoked,
            reactions=[Reaction(emoji=emoji, sender_jid=jid_of(who)) for who, emoji in sent.reactions.items()],
            votes=[ShownVote(sender_jid=jid_of(who), options=chosen) for who, chosen in sent.votes.items()],
        )
        yield f"{sent.frame}.{place}", row


async def frames(network: Network, action: ListFrames) -> FramePage:
    """Every frame, oldest first."""
    after, _ = _position(action.after)
    rows: list[Frame] = []
    async for frame in network.history.pages(after):
        rows.append(frame)
        if len(rows) > action.limit:
            break
    more = len(rows) > action.limit
    page = rows[: action.limit]
    return FramePage(rows=page, next=str(page[-1].number) if more else "")


def _position(text: str) -> tuple[int, int]:
    try:
        frame, _, place = text.partition(".")
        return (int(frame), int(place or 0)) if text else (0, 0)
    except ValueError:
        raise BadRequest.field("cursor", "is not a position in this list") from None
