"""Polls that end by themselves: counted once, when their time has come.

A poll with an end time has a row of its own from the moment it is stored (gateway/messages.py); counting it marks the
row in the transaction that records the event. Called by workers/janitor (expire, next_end), workers/inbox and dispatch
(hint).
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from wagate.backends.database import Row, Tx
from wagate.gateway import Gateway, contents, contexts, events
from wagate.gateway.contexts import Known, Place
from wagate.model import jid
from wagate.model.contents import Content, PollContent
from wagate.model.events import OptionCount, PollRecap, Voter

_DUE = """
-- any organization: what time alone does
SELECT organization_id, session_id, chat_jid, wire_id, author FROM polls
WHERE recapped_at IS NULL AND ends_at <= :now ORDER BY ends_at LIMIT :limit
"""
_NEXT = """
-- any organization: what time alone does
SELECT ends_at FROM polls WHERE recapped_at IS NULL ORDER BY ends_at LIMIT 1
"""
_MARK = """
UPDATE polls SET recapped_at = :now WHERE organization_id = :organization_id AND session_id = :session_id
  AND chat_jid = :chat AND wire_id = :wire_id AND author = :author AND recapped_at IS NULL
"""
_POLL = """
SELECT content FROM messages WHERE organization_id = :organization_id AND session_id = :session_id
  AND wire_id = :wire_id AND chat_jid = :chat AND author = :author AND deleted = 0
  AND EXISTS (SELECT 1 FROM sessions WHERE organization_id = :organization_id AND id = :session_id)
"""
_VOTES = """
SELECT person, name, options FROM votes WHERE organization_id = :organization_id AND session_id = :session_id
  AND chat_jid = :chat AND wire_id = :wire_id AND author = :author ORDER BY timestamp, person
"""


def hint(gw: Gateway, content: Content) -> None:
    """Tell who counts polls that one more will end, if this is one. Only after the commit that stored it."""
    if isinstance(content, PollContent) and content.poll_end_time:
        gw.broker.publish("polls")


async def next_end(gw: Gateway) -> int | None:
    """When the next poll of any organization ends, in epoch milliseconds."""
    row = await gw.db.one(_NEXT)
    return None if row is None else int(row[0])


async def expire(gw: Gateway, *, limit: int = 100) -> int:
    """Record the `poll.recap` of each poll that has ended, once; how many. Called by the janitor until 0."""
    rows = await gw.db.all(_DUE, now=gw.clock.now(), limit=limit)
    for row in rows:

        async def work(tx: Tx, row: Row = row) -> None:
            await _recap(tx, gw.clock.now(), row)

        await gw.db.write(work)
        events.hint(gw, row[0])
    return len(rows)


async def _recap(tx: Tx, now: int, row: Row) -> None:
    place, key = Place(organization_id=row[0], session_id=row[1], chat=row[2]), {"wire_id": row[3], "author": row[4]}
    if not await tx.run(_MARK, **place.params(), **key, now=now):
        return
    found = await tx.one(_POLL, **place.params(), **key)
    poll = None if found is None else contents.decode(found[0])
    if not isinstance(poll, PollContent):
        return
    votes: list[tuple[str, str | None, list[str]]] = []
    for person, name, chosen in await tx.all(_VOTES, **place.params(), **key):
        options = msgspec.json.decode(chosen, type=list[str])
        # An empty set is a vote that was taken back.
        if options:
            votes.append((person, name, options))
    known = await contexts.people(tx, place, [person for person, _, _ in votes])
    hidden = poll.poll_hide_votes is True
    recap = PollRecap(
        poll_message_id=row[3],
        chat_jid=place.chat,
        name=poll.name,
        options=[
            OptionCount(option=option, count=sum(option in chosen for _, _, chosen in votes)) for option in poll.options
        ],
        selectable_count=poll.selectable_count,
        end_time=poll.poll_end_time or 0,
        hide_votes=hidden,
        total_votes=len(votes),
        voters=UNSET
        if hidden
        else [
            Voter(voter_id=known[person].jid, display_name=_name(known[person], name), selected_options=options)
            for person, name, options in votes
        ],
    )
    await events.record(tx, now, place.organization_id, session_id=place.session_id, facts=[("poll.recap", recap)])


def _name(known: Known, told: str | None) -> str:
    """What to call a voter: by the name that is known, else the one they voted with, else by number."""
    return known.shown or told or jid.user(known.jid)
