"""Channels through the unmodified library."""

from __future__ import annotations

import pytest

from tests.emulator.library import LibraryError, jid, raw, why_not
from tests.emulator.town import BEN, Town

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]


async def test_a_channel_is_made_followed_read_reacted_to_and_left(town: Town) -> None:
    anna, ben = town.anna, town.ben
    made = (await anna.call("create_newsletter", "News", "of the garden", raw(b"")))["told"]
    channel = jid(f"{made['ID']['User']}@newsletter")
    with pytest.raises(LibraryError):
        await ben.call("get_newsletter_info_with_invite", "nothing-there")
    found = (await ben.call("get_newsletter_info_with_invite", made["ThreadMeta"]["InviteCode"]))["told"]
    assert found["ThreadMeta"]["Name"]["Text"] == "News"
    await ben.call("follow_newsletter", channel)
    await ben.wait("NewsletterJoin")
    assert len(await ben.call("get_subscribed_newletters")) == 1
    with pytest.raises(LibraryError, match="401"):
        await ben.call("send_message", channel, "may I?")
    sent = (await anna.call("send_message", channel, "apples are ripe"))["told"]
    arrived = await ben.text("apples are ripe")
    assert arrived.told["Info"]["ServerID"] == sent["ServerID"]
    await ben.call("newsletter_send_reaction", channel, int(sent["ServerID"]), "🍎", "3EB0AA")
    await ben.call("newsletter_mark_viewed", channel, [int(sent["ServerID"])])
    await ben.call("newsletter_toggle_mute", channel, True)
    await ben.wait("NewsletterMuteChange")
    read = (await ben.call("get_newsletter_messages", channel, 5, 0))[0]["told"]
    assert read["ReactionCounts"] == [{"type": "🍎", "count": "1"}]
    assert read["ViewsCount"] == "1"
    await ben.call("unfollow_newsletter", channel)
    await ben.wait("NewsletterLeave")
    assert town.emulator.accounts.get(BEN).number not in town.emulator.channels.get(channel["jid"]).followers
