"""The memory of channels."""

from __future__ import annotations

import msgspec
import pytest

from wagate.engines.sandbox.channels import HEARD, MUTED, Channel, Channels, channel_key, follower_key
from wagate.errors import Refused

ANN, BEN, CAT = "9990000001", "9990000002", "9990000003"
NEWS = Channel(jid="120363000000000001@newsletter", name="News", owner=ANN, created_at=1)


def test_only_the_owner_posts() -> None:
    channels = Channels()
    channels.add(NEWS)
    for number, jid in ((BEN, NEWS.jid), (ANN, "120363000000000002@newsletter")):
        assert not channels.may_post(number, jid)
        with pytest.raises(Refused):
            channels.audience(number, jid)
    assert channels.may_post(ANN, NEWS.jid)


def test_what_was_kept_is_as_it_was() -> None:
    channels = Channels()
    text = msgspec.json.encode(NEWS).decode()
    followers = [(follower_key(NEWS.jid, BEN), MUTED), (follower_key(NEWS.jid, ANN), HEARD)]
    channels.load([text], followers)
    assert channel_key(NEWS.jid) == f"c/{NEWS.jid}"
    assert channels.get(NEWS.jid) == NEWS
    assert channels.followers(NEWS.jid) == [BEN, ANN]
    assert channels.audience(ANN, NEWS.jid) == [BEN]
    assert [channels.heard(NEWS.jid, number) for number in (ANN, BEN, CAT)] == [HEARD, MUTED, None]


def test_who_leaves_is_no_follower() -> None:
    channels = Channels()
    channels.add(NEWS)
    channels.follow(NEWS.jid, BEN, HEARD)
    for _ in range(2):
        channels.follow(NEWS.jid, BEN, None)
    assert channels.followers(NEWS.jid) == []
