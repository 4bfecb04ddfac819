"""Changes: what is refused before it goes out, and what is done to the message once the network has it, once."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from tests.support.parts import caller, log, words
from tests.support.traffic import ANN, BOB, GROUP, ME, by, said, send, stored, take
from wagate.errors import BadRequest, NotFound, Refused, SessionNotConnected
from wagate.gateway import Gateway, changes, chats, dispatch, leases, outbox
from wagate.gateway.leases import Held
from wagate.gateway.outbox import Offer
from wagate.gateway.targets import Pointer
from wagate.model.contents import (
    EditContent,
    ImageContent,
    LocationContent,
    Media,
    PollContent,
    ReactionContent,
    RevokeContent,
    VoteContent,
)
from wagate.model.organizations import Caller

pytestmark = pytest.mark.anyio

POLL = PollContent(name="Lunch?", options=["soup", "salad", "cake"], selectable_count=2)
HEARTS = "❤"


async def told(gw: Gateway, who: Caller) -> list[Any]:
    """Every event that tells of a change."""
    names = ("message.edited", "message.revoked", "message.reaction", "poll.vote")
    return [(name, payload) for name, payload in await log(gw, who) if name in names]


async def count(gw: Gateway, table: str) -> int:
    row = await gw.db.one(f"SELECT COUNT(*) FROM {table}")
    return 0 if row is None else int(row[0])


# What is refused


async def test_another_ones_message_cannot_be_edited(gw: Gateway, who: Caller, mine: Held) -> None:
    await take(gw, mine, said(words()))
    with pytest.raises(Refused):
        await changes.edit(gw, who, mine.id, Pointer(chat=ANN, message_id="M"), "x")
    await take(gw, mine, said(words("mine"), from_me=True, sender=UNSET, timestamp=gw.clock.now()))
    assert (await changes.edit(gw, who, mine.id, Pointer(chat=ANN, message_id="M"), "x")).target == by(None)


async def test_a_message_can_be_edited_for_a_quarter_of_an_hour(gw: Gateway, who: Caller, mine: Held) -> None:
    now = gw.clock.now()
    for wire_id, timestamp in (("OLD", now - changes.EDIT_MS - 1), ("NEW", now - changes.EDIT_MS)):
        await take(gw, mine, said(words("mine"), wire_id, from_me=True, sender=UNSET, timestamp=timestamp))
    with pytest.raises(Refused) as caught:
        await changes.edit(gw, who, mine.id, Pointer(chat=ANN, message_id="OLD"), "x")
    assert caught.value.details["reason"] == "too_old"
    assert await changes.edit(gw, who, mine.id, Pointer(chat=ANN, message_id="NEW"), "x")


async def test_a_message_can_be_taken_back_for_a_little_over_two_days(gw: Gateway, who: Caller, mine: Held) -> None:
    now = gw.clock.now()
    for wire_id, timestamp in (("OLD", now - changes.REVOKE_MS - 1), ("NEW", now - changes.REVOKE_MS)):
        await take(gw, mine, said(words("mine"), wire_id, from_me=True, sender=UNSET, timestamp=timestamp))
    with pytest.raises(Refused) as caught:
        await changes.revoke(gw, who, mine.id, Pointer(chat=ANN, message_id="OLD"))
    assert caught.value.details["reason"] == "too_old"
    assert await changes.revoke(gw, who, mine.id, Pointer(chat=ANN, message_id="NEW"))


async def test_nobody_votes_in_a_poll_that_has_ended(gw: Gateway, who: Caller, mine: Held) -> None:
    now = gw.clock.now()
    for wire_id, end in (("OVER", now), ("OPEN", now + 1)):
        poll = PollContent(name="when?", options=["now", "later"], selectable_count=1, poll_end_time=end)
        await take(gw, mine, said(poll, wire_id))
    with pytest.raises(Refused) as caught:
        await changes.vote(gw, who, mine.id, Pointer(chat=ANN, message_id="OVER"), ["now"])
    assert caught.value.details["reason"] == "too_old"
    assert await changes.vote(gw, who, mine.id, Pointer(chat=ANN, message_id="OPEN"), ["now"])


async def test_what_has_no_text_or_was_revoked_cannot_be_edited(gw: Gateway, who: Caller, mine: Held) -> None:
    place = await send(gw, who, mine, LocationContent(latitude=1, longitude=2))
    gone = await send(gw, who, mine, words())
    await send(gw, who, mine, RevokeContent(target=by(None, gone)))
    for wire_id in (place, gone):
        with pytest.raises(Refused):
            await changes.edit(gw, who, mine.id, Pointer(chat=ANN, message_id=wire_id), "x")


async def test_a_vote_needs_a_stored_poll_and_its_options(gw: Gateway, who: Caller, mine: Held) -> None:
    await take(gw, mine, said(words(), "T"), said(POLL))
    with pytest.raises(NotFound):
        await changes.vote(gw, who, mine.id, Pointer(chat=ANN, message_id="none"), ["soup"])
    for wire_id, options in (
        ("T", ["soup"]),
        ("M", ["stew"]),
        ("M", ["soup", "soup"]),
        ("M", ["soup", "salad", "cake"]),
    ):
        with pytest.raises(BadRequest):
            await changes.vote(gw, who, mine.id, Pointer(chat=ANN, message_id=wire_id), options)
    chosen = await changes.vote(gw, who, mine.id, Pointer(chat=ANN, message_id="M"), ["cake", "soup"])
    assert chosen == VoteContent(target=by(ANN), options=["soup", "cake"])
    assert (await changes.vote(gw, who, mine.id, Pointer(chat=ANN, message_id="M"), [])).options == []


async def test_nothing_is_asked_of_a_session_that_is_not_connected(gw: Gateway, who: Caller, mine: Held) -> None:
    await leases.set_status(gw, mine, "starting")
    here = Pointer(chat=ANN, message_id="none")
    for ask in (
        lambda: changes.edit(gw, who, mine.id, here, "x"),
        lambda: changes.revoke(gw, who, mine.id, here),
        lambda: changes.react(gw, who, mine.id, here, HEARTS),
        lambda: changes.vote(gw, who, mine.id, here, []),
    ):
        with pytest.raises(SessionNotConnected):
            await ask()
    with pytest.raises(NotFound):
        await changes.revoke(gw, await caller(gw), mine.id, here)


# What happens


async def test_an_edit_changes_the_text_and_is_told_once(gw: Gateway, who: Caller, mine: Held) -> None:
    await take(gw, mine, said(words("old")))
    edit = said(EditContent(target=by(ANN), text="new"), "E", timestamp=30)
    await take(gw, mine, edit)
    await take(gw, mine, edit)
    now = await stored(gw, who, mine)
    assert (now.body, now.edited, now.deleted, now.wa_message_id) == ("new", True, False, "M")
    ((name, payload),) = await told(gw, who)
    assert name == "message.edited"
    assert payload == {
        "waMessageId": "E", "chatJid": ANN, "fromMe": False, "type": "text", "timestamp": 30, "hasMedia": False,
        "media": None, "senderJid": ANN, "pushName": "Ann", "body": "new", "targetId": "M",
    }  # fmt: skip


async def test_an_edit_that_comes_late_does_not_undo_a_newer_one(gw: Gateway, who: Caller, mine: Held) -> None:
    await take(gw, mine, said(words("old")))
    await take(gw, mine, said(EditContent(target=by(ANN), text="newest"), "E2", timestamp=40))
    await take(gw, mine, said(EditContent(target=by(ANN), text="newer"), "E1", timestamp=30))
    assert (await stored(gw, who, mine)).body == "newest"
    assert len(await told(gw, who)) == 1


async def test_a_caption_is_edited_and_the_file_stays(gw: Gateway, who: Caller, mine: Held) -> None:
    await take(gw, mine, said(ImageContent(media=Media(mimetype="image/png", ref="r", caption="old"))))
    await take(gw, mine, said(EditContent(target=by(ANN), text="new"), "E"))
    now = await stored(gw, who, mine)
    assert (now.type, now.body, now.has_media) == ("image", "new", True)
    assert [(name, payload["type"]) for name, payload in await told(gw, who)] == [("message.edited", "image")]


async def test_nobody_edits_or_takes_back_what_another_said(gw: Gateway, who: Caller, mine: Held) -> None:
    sent = await send(gw, who, mine, words("mine"))
    await take(gw, mine, said(words("hers"), chat=GROUP))
    await take(gw, mine, said(EditContent(target=by(None, sent), text="x"), "E"))
    await take(gw, mine, said(RevokeContent(target=by(None, sent)), "R"))
    await take(gw, mine, said(EditContent(target=by(ANN), text="x"), "E", chat=GROUP, sender=BOB))
    assert (await stored(gw, who, mine, sent)).body == "mine"
    assert (await stored(gw, who, mine)).body == "hers"
    assert await told(gw, who) == []


async def test_a_group_admin_takes_another_ones_message_back(gw: Gateway, who: Caller, mine: Held) -> None:
    await take(gw, mine, said(words("hers"), chat=GROUP))
    await take(gw, mine, said(RevokeContent(target=by(ANN)), "R", chat=GROUP, sender=BOB))
    assert (await stored(gw, who, mine)).deleted


async def test_a_revoked_message_is_empty_and_stays_so(gw: Gateway, who: Caller, mine: Held) -> None:
    await take(gw, mine, said(msgspec.structs.replace(POLL, poll_end_time=50)))
    await take(gw, mine, said(ReactionContent(target=by(ANN), emoji=HEARTS), "R1"))
    await take(gw, mine, said(VoteContent(target=by(ANN), options=["soup"]), "V1"))
    revoke = said(RevokeContent(target=by(ANN)), "D", timestamp=40)
    await take(gw, mine, revoke, revoke)
    await take(gw, mine, said(EditContent(target=by(ANN), text="x"), "E", timestamp=50))
    await take(gw, mine, said(ReactionContent(target=by(ANN), emoji="x"), "R2", timestamp=50))
    await take(gw, mine, said(POLL))
    now = await stored(gw, who, mine)
    assert (now.deleted, now.edited, now.type, now.body, now.poll, now.reactions) == (
        True, False, "poll", UNSET, UNSET, UNSET,
    )  # fmt: skip
    assert [await count(gw, table) for table in ("reactions", "votes", "polls")] == [0, 0, 0]
    last = (await told(gw, who))[-1]
    assert (len(await told(gw, who)), last[0], last[1]["type"], last[1]["targetId"]) == (
        3, "message.revoked", "revoke", "M",
    )  # fmt: skip
    assert "body" not in last[1]


async def test_each_person_has_one_reaction_the_newest(gw: Gateway, who: Caller, mine: Held) -> None:
    await take(gw, mine, said(words(), chat=GROUP))
    for at, sender, emoji in ((30, BOB, "1"), (20, ANN, "2"), (40, BOB, "3"), (35, BOB, "late"), (40, BOB, "3")):
        content = ReactionContent(target=by(ANN), emoji=emoji)
        await take(gw, mine, said(content, f"R{at}", chat=GROUP, sender=sender, timestamp=at))
    now = await stored(gw, who, mine)
    assert [(each.sender_jid, each.emoji) for each in now.reactions or ()] == [(ANN, "2"), (BOB, "3")]
    assert [payload["reaction"] for _, payload in await told(gw, who)] == ["1", "2", "3"]


async def test_a_reaction_that_is_taken_back_is_told_once_and_shows_no_more(
    gw: Gateway, who: Caller, mine: Held
) -> None:
    await take(gw, mine, said(words()))
    first = said(ReactionContent(target=by(ANN), emoji=HEARTS), "R1", timestamp=20)
    back = said(ReactionContent(target=by(ANN), emoji=""), "R2", timestamp=30)
    await take(gw, mine, first, back, back, first)
    assert (await stored(gw, who, mine)).reactions is UNSET
    assert [payload["reaction"] for _, payload in await told(gw, who)] == [HEARTS, ""]


async def test_votes_are_told_with_their_labels(gw: Gateway, who: Caller, mine: Held) -> None:
    await take(gw, mine, said(POLL))
    vote = said(VoteContent(target=by(ANN), options=["soup", "cake"]), "V", timestamp=20)
    await take(gw, mine, vote, vote)
    ((name, payload),) = await told(gw, who)
    assert (name, payload["type"], payload["targetId"], payload["selectedOptions"]) == (
        "poll.vote", "poll_vote", "M", ["soup", "cake"],
    )  # fmt: skip


@pytest.mark.parametrize("most", [0, 1, 2], ids=["any number", "one", "two"])
async def test_votes_that_come_as_hashes_are_told_and_counted_by_label(
    gw: Gateway, who: Caller, mine: Held, most: int
) -> None:
    poll = PollContent(name="Lunch?", options=["soup", "crème brûlée", "cake"], selectable_count=most)
    hashed = {option: sha256(option.encode()).hexdigest() for option in poll.options}
    chosen = ["crème brûlée"] if most == 1 else ["crème brûlée", "soup"]
    await take(gw, mine, said(poll))
    vote = VoteContent(target=by(ANN), options=[hashed[option] for option in chosen])
    await take(gw, mine, said(vote, "V", timestamp=20))
    # The same vote by its labels is no news: hashes are not what is kept.
    await take(gw, mine, said(VoteContent(target=by(ANN), options=sorted(chosen, reverse=True)), "V", timestamp=20))
    await take(gw, mine, said(VoteContent(target=by(ANN), options=[]), "W", timestamp=30))
    labels = [option for option in poll.options if option in chosen]
    assert [payload["selectedOptions"] for _, payload in await told(gw, who)] == [labels, []]


async def test_a_hash_that_no_option_has_stays_what_it_is(gw: Gateway, who: Caller, mine: Held) -> None:
    unknown = sha256(b"stew").hexdigest()
    await take(gw, mine, said(POLL))
    await take(gw, mine, said(VoteContent(target=by(ANN), options=[unknown, "cake"]), "V", timestamp=20))
    stray = VoteContent(target=by(ANN, "not stored"), options=[unknown])
    await take(gw, mine, said(stray, "X", timestamp=20))
    assert [payload["selectedOptions"] for _, payload in await told(gw, who)] == [["cake", unknown], [unknown]]


async def test_own_changes_are_applied_when_the_network_has_them(gw: Gateway, who: Caller, mine: Held) -> None:
    await take(gw, mine, said(POLL))
    own = await send(gw, who, mine, words("old"))
    for content, target in (
        (EditContent(target=by(None, own), text="new"), own),
        (ReactionContent(target=by(ANN), emoji=HEARTS), "M"),
        (VoteContent(target=by(ANN), options=["soup"]), "M"),
        (RevokeContent(target=by(None, own)), own),
    ):
        wire_id = await send(gw, who, mine, content)
        name, payload = (await told(gw, who))[-1]
        assert (payload["waMessageId"], payload["fromMe"], payload["senderJid"], payload["targetId"]) == (
            wire_id, True, ME, target,
        ), name  # fmt: skip
        with pytest.raises(NotFound):
            await stored(gw, who, mine, wire_id)
    assert [name for name, _ in await told(gw, who)] == [
        "message.edited", "message.reaction", "poll.vote", "message.revoked",
    ]  # fmt: skip
    now = await stored(gw, who, mine)
    assert [(each.sender_jid, each.emoji) for each in now.reactions or ()] == [(ME, HEARTS)]
    assert [name for name, _ in await log(gw, who)].count("message.from_me") == 1


async def test_a_change_that_was_refused_changes_nothing(gw: Gateway, who: Caller, mine: Held) -> None:
    own = await send(gw, who, mine, words("old"))
    offer = Offer(chat=ANN, content=EditContent(target=by(None, own), text="new"), mode="sync", digest="")
    entry = await outbox.accept(gw, who, mine.id, offer)
    await dispatch.settle(gw, mine, entry, Refused(reason="too_old"))
    assert (await stored(gw, who, mine, own)).body == "old"
    assert await told(gw, who) == []


async def test_history_is_applied_and_not_told(gw: Gateway, who: Caller, mine: Held) -> None:
    await take(gw, mine, said(words(), history=True))
    await take(gw, mine, said(ReactionContent(target=by(ANN), emoji=HEARTS), "R", history=True))
    assert (await stored(gw, who, mine)).reactions
    assert await told(gw, who) == []


async def test_a_change_of_an_unknown_message_is_told_and_kept_nowhere(gw: Gateway, who: Caller, mine: Held) -> None:
    for content in (
        EditContent(target=by(ANN, "X"), text="x"),
        ReactionContent(target=by(ANN, "X"), emoji=HEARTS),
        VoteContent(target=by(ANN, "X"), options=["c0ffee"]),
        RevokeContent(target=by(ANN, "X")),
    ):
        await take(gw, mine, said(content, "C"))
    assert len(await told(gw, who)) == 4
    assert [await count(gw, table) for table in ("messages", "reactions", "votes")] == [0, 0, 0]


async def test_changes_move_no_chat_and_are_not_unread(gw: Gateway, who: Caller, mine: Held) -> None:
    await take(gw, mine, said(words()))
    await take(gw, mine, said(ReactionContent(target=by(ANN), emoji=HEARTS), "R", timestamp=99))
    chat = await chats.get(gw, who, mine.id, ANN)
    assert (chat.unread_count, chat.last_message_at) == (1, 10)
