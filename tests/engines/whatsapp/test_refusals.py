"""What the library complains of, in our tree of errors: what is certain, what is not, and by what number."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.company import ANN, BEN, NOBODY, Company
from tests.support.engines import connected, jid
from tests.support.whatsapp import why_not
from wagate.engines import base
from wagate.engines.whatsapp import wire
from wagate.engines.whatsapp.refusals import Complaint, meant, of_a_group, of_something
from wagate.errors import NoAnswer, NotAMember, NotFound, NotGroupAdmin, RateLimited, Refused
from wagate.model.actions import GetAbout
from wagate.model.contents import TextContent
from wagate.model.messages import Arrived, Outgoing

real = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]
STRANGER = "99900000055"


def a_send(chat: str = jid(BEN)) -> wire.Send:
    """A text on its way."""
    return wire.Send(outgoing=Outgoing(wire_id=None, chat=chat, content=TextContent(text="x")))


@pytest.mark.parametrize(
    ("words", "kind", "certain"),
    [
        ("timed out waiting for message send response", NoAnswer, False),
        ("websocket disconnected before message send returned response", NoAnswer, False),
        ("failed to send message node: write tcp 127.0.0.1: broken pipe", NoAnswer, False),
        ("something that nobody has ever read", NoAnswer, False),
        ("failed to get user info to send LID message: info query timed out", NoAnswer, True),
        ("failed to prefetch sessions: database is locked", Refused, True),
        ("failed to marshal message: string field contains invalid UTF-8", Refused, True),
        ("upload failed with status code 503", NoAnswer, True),
        ("server returned error 500", NoAnswer, True),
        ("failed to get device list: failed to parse", Refused, True),
        ("can't send message to unknown server weird", Refused, True),
        ("server returned error 406", Refused, True),
        ("server returned error 429", RateLimited, True),
    ],
)
def test_a_send_is_uncertain_only_when_it_was_written_and_not_answered(
    words: str, kind: type[Exception], certain: bool
) -> None:
    error = meant(Complaint(words), a_send())
    assert type(error) is kind
    assert not isinstance(error, base.ConnectionLost)
    assert error.details.get("certain", error.certain) is certain


@pytest.mark.parametrize(
    "words",
    [
        "websocket not connected",
        "failed to get device list: failed to send usync query: websocket not connected",
        "failed to get device list: websocket disconnected before info query returned response",
        "failed to refresh media connections: failed to query media connections: websocket not connected",
        "failed to send message node: websocket not connected",
        "the client is not logged in",
    ],
)
def test_a_send_without_a_line_never_left_and_goes_out_on_the_next(words: str) -> None:
    assert isinstance(meant(Complaint(words), a_send()), base.NeverLeft)


@pytest.mark.parametrize(
    ("words", "reason", "code"),
    [
        ("server returned error 463", "timelocked", 463),
        ("no LID found for 99930000001@s.whatsapp.net from server", "not_on_whatsapp", 404),
        ("server returned error 479", "not_allowed", 479),
    ],
)
def test_a_refusal_has_its_reason_and_number(words: str, reason: str, code: int) -> None:
    error = meant(Complaint(words), a_send())
    assert isinstance(error, Refused)
    assert (error.details["reason"], error.details["waCode"]) == (reason, code)


def test_in_a_group_the_numbers_are_about_the_group() -> None:
    group = a_send("120363000000000001@g.us")
    assert isinstance(meant(Complaint("server returned error 401"), group), NotGroupAdmin)
    refused = meant(Complaint("failed to get group members: you're not participating in that group"), group)
    assert isinstance(refused, Refused)
    assert refused.details["reason"] == "not_a_member"
    assert isinstance(of_a_group(Complaint("info query returned status 401: not-authorized")), NotGroupAdmin)
    assert isinstance(of_a_group(Complaint("that group does not exist")), NotAMember)
    assert of_a_group(Complaint("info query returned status 406: not-acceptable")) is None
    assert isinstance(of_something(Complaint("that user or group does not have a profile picture")), NotFound)


def test_a_request_that_never_left_is_a_lost_line() -> None:
    asked = wire.Perform(action=GetAbout(person=jid(BEN)))
    assert isinstance(meant(Complaint("websocket not connected"), asked), base.ConnectionLost)
    for words in ("info query timed out", "websocket disconnected before info query returned response"):
        assert isinstance(meant(Complaint(words), asked), NoAnswer)
    assert isinstance(meant(Complaint("info query returned status 404: item-not-found"), asked), NotFound)
    refused = meant(Complaint("info query returned status 406: not-acceptable"), asked)
    assert isinstance(refused, Refused)
    assert refused.details["waCode"] == 406


class TestReal:
    """With the real library, that says these words itself."""

    pytestmark = real

    async def test_nobody_is_written_to_and_a_number_without_whatsapp_says_so(self, company: Company) -> None:
        with pytest.raises(Refused) as caught:
            await company.ann.say(TextContent(text="x"), NOBODY)
        assert (caught.value.details["reason"], caught.value.details["certain"]) == ("not_on_whatsapp", True)

    async def test_a_reach_out_lock_refuses_strangers_and_lets_known_chats_be(self, company: Company) -> None:
        await company.ben.gets(await company.ann.say(TextContent(text="we know each other"), BEN))
        company.emulator.person(ANN).timelock()
        try:
            with pytest.raises(Refused) as caught:
                await company.ann.say(TextContent(text="hello stranger"), STRANGER)
            known = await company.ann.say(TextContent(text="still here"), BEN)
        finally:
            company.emulator.person(ANN).timelock(False)
        details = caught.value.details
        assert (details["reason"], details["waCode"], details["certain"]) == ("timelocked", 463, True)
        await company.ben.gets(known)
        await company.ann.say(TextContent(text="hello stranger"), STRANGER)

    async def test_a_line_that_breaks_after_a_send_was_written_leaves_it_open(self, company: Company) -> None:
        company.emulator.messages.lose_acks = 1
        sending = asyncio.ensure_future(company.ann.say(TextContent(text="unanswered"), BEN))
        await company.ben.hears(Arrived, lambda report: report.content == TextContent(text="unanswered"))
        try:
            # No new line either, or the library would finish the send on it by itself, with the same id.
            await company.emulator.person(ANN).refuse_logins(503)
            with pytest.raises(NoAnswer) as caught:
                await sending
            assert caught.value.details["certain"] is False
        finally:
            company.emulator.person(ANN).pardon()
            # Who does not know yet that the line is gone would take it for the new one.
            for somebody in (company.ann, company.tablet):
                await somebody.hears(base.LineLost)
                await connected(somebody.connection)
        await company.ben.gets(await company.ann.say(TextContent(text="here again"), BEN))
