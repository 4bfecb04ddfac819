"""The bench's large stores are filled as the gateway fills them, and a list that lost its order is not let through."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from bench.lists import CHAT, FEW, OTHERS, fill, in_order
from wagate.backends.migrate import statements


@pytest.mark.parametrize("walked", [["a", "c", "b"], ["a", "b"], ["a", "b", "c", "c"], ["a", "b", "c", "d"]])
def test_a_row_out_of_order_missing_repeated_or_strange_is_seen(walked: list[str]) -> None:
    assert in_order(["a", "b", "c"], ["a", "b", "c"]).good
    assert not in_order(["a", "b", "c"], walked).good


def test_a_store_is_filled_beside_what_was_said_and_keeps_its_indexes(tmp_path: Path) -> None:
    place = tmp_path / "wagate.db"
    with contextlib.closing(sqlite3.connect(place, isolation_level=None)) as db:
        for statement in statements("sqlite"):
            db.execute(statement)
        db.execute(
            "INSERT INTO messages (id, organization_id, session_id, chat_jid, wire_id, author, from_me, type,"
            " timestamp, created_at, content)"
            " VALUES ('msg_1', 'org', 'ses', ?, '3EB0', '', 1, 'text', 5000000, 5000000, '{}')",
            (CHAT,),
        )
        db.execute(
            "INSERT INTO chats (organization_id, session_id, jid, last_message_at) VALUES ('org', 'ses', ?, 5000000)",
            (CHAT,),
        )
        db.execute(
            "INSERT INTO contacts (organization_id, session_id, jid, lid, first_seen_at, updated_at)"
            " VALUES ('org', 'ses', ?, '1@lid', 0, 0)",
            (CHAT,),
        )
        before = _indexes(db)
        fill(place, FEW)
        assert _indexes(db) == before
        [[said, times]] = db.execute(
            "SELECT COUNT(DISTINCT wire_id), COUNT(DISTINCT timestamp) FROM messages WHERE chat_jid = ?", (CHAT,)
        )
        assert (said, times) == (FEW, FEW)
        newest = "SELECT wire_id FROM messages WHERE chat_jid = ? ORDER BY timestamp DESC LIMIT 1"
        assert db.execute(newest, (CHAT,)).fetchone() == ("3EB0",)
        chats = "SELECT COUNT(*) FROM chats JOIN contacts USING (session_id, jid) JOIN messages m ON m.chat_jid = jid"
        assert db.execute(f"{chats} WHERE jid <> ?", (CHAT,)).fetchone() == (OTHERS[FEW],)


def _indexes(db: sqlite3.Connection) -> list[tuple[str]]:
    return db.execute("SELECT sql FROM sqlite_master WHERE type = 'index' ORDER BY name").fetchall()
