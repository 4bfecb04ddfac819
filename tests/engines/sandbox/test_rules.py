"""The rules of groups, applied to a group without any network."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tests.support.engines import jid
from wagate.engines.sandbox import rules
from wagate.engines.sandbox.groups import Group
from wagate.engines.sandbox.people import lid_of
from wagate.engines.sandbox.rules import Change, Moment
from wagate.errors import BadRequest, NotAMember, NotFound, NotGroupAdmin, Refused
from wagate.model.groups import GroupChanged, MembersChanged

OWNER, ADMIN, MEMBER, GUEST = (f"999000000{place}" for place in range(4))
PRIVATE, ABSENT = "9994000001", "9993000001"


def moment(actor: str | None, now: int = 1000) -> Moment:
    return Moment(
        actor=actor,
        now=now,
        names=lambda _: None,
        mint=lambda purpose: f"code of {purpose} at {now}",
        refuses=lambda number: "not_on_whatsapp" if number[3] == "3" else None,
        pass_seconds=60,
    )


@pytest.fixture
def group() -> Group:
    return Group(
        jid="120363000000000001@g.us",
        subject="Friends",
        owner=OWNER,
        created_at=1,
        invite="first",
        members={OWNER: "superadmin", ADMIN: "admin", MEMBER: "member"},
    )


def told(change: Change) -> list[tuple[str, list[str]]]:
    return [
        (report.change, [str(each.person.jid) for each in report.people])
        for report in change.reports
        if isinstance(report, MembersChanged)
    ]


def test_strangers_and_members_may_not_rule(group: Group) -> None:
    for actor, error in ((GUEST, NotAMember), (MEMBER, NotGroupAdmin)):
        for rule, argument in (
            (rules.announce, True),
            (rules.lock, True),
            (rules.show_invite, None),
            (rules.reset_invite, None),
            (rules.add, [jid(GUEST)]),
            (rules.remove, GUEST),
            (rules.promote, MEMBER),
            (rules.demote, ADMIN),
            (rules.approve, [jid(GUEST)]),
            (rules.reject, [jid(GUEST)]),
            (rules.list_pending, None),
        ):
            with pytest.raises(error):
                rule(group, moment(actor), argument)


def test_members_edit_until_the_group_is_locked(group: Group) -> None:
    with pytest.raises(NotAMember):
        rules.rename(group, moment(GUEST), "mine")
    renamed = rules.rename(group, moment(MEMBER), "ours")
    assert renamed.group.subject == "ours"
    assert renamed.reports == [
        GroupChanged(group_jid=group.jid, timestamp=1000, sender=jid(MEMBER), subject="ours"),
    ]
    assert rules.describe(group, moment(MEMBER), "words").group.description == "words"
    locked = rules.lock(group, moment(ADMIN), True).group
    assert rules.depict(group, moment(MEMBER), "1").answer.id == "1"
    for rule in (rules.rename, rules.describe, rules.depict):
        with pytest.raises(NotGroupAdmin):
            rule(locked, moment(MEMBER), "mine")
        assert rule(locked, moment(ADMIN), "ours").group != locked


def test_what_is_as_it_was_is_not_told(group: Group) -> None:
    for change in (
        rules.rename(group, moment(OWNER), "Friends"),
        rules.describe(group, moment(OWNER), ""),
        rules.announce(group, moment(OWNER), False),
        rules.lock(group, moment(OWNER), False),
        rules.promote(group, moment(OWNER), ADMIN),
        rules.promote(group, moment(OWNER), OWNER),
        rules.demote(group, moment(OWNER), MEMBER),
        rules.demote(group, moment(OWNER), GUEST),
        rules.remove(group, moment(OWNER), GUEST),
        rules.depict(group, moment(MEMBER), ""),
        rules.join(group, moment(MEMBER), (MEMBER, "first")),
    ):
        assert change.group is group
        assert change.reports == []


def test_nobody_removes_or_demotes_the_creator(group: Group) -> None:
    for actor in (OWNER, ADMIN):
        for rule in (rules.remove, rules.demote):
            with pytest.raises(NotGroupAdmin):
                rule(group, moment(actor), OWNER)


def test_only_members_rise(group: Group) -> None:
    with pytest.raises(NotFound):
        rules.promote(group, moment(OWNER), GUEST)
    change = rules.promote(group, moment(OWNER), MEMBER)
    assert change.group.members[MEMBER] == "admin"
    assert told(change) == [("promote", [jid(MEMBER)])]
    back = rules.demote(change.group, moment(ADMIN), MEMBER)
    assert back.group.members == group.members
    assert told(back) == [("demote", [jid(MEMBER)])]


def test_each_person_who_is_added_gets_a_result(group: Group) -> None:
    people = [jid(GUEST), lid_of(MEMBER), jid(PRIVATE), jid(ABSENT), jid("4915112345678"), jid(GUEST)]
    change = rules.add(group, moment(ADMIN), people)
    results = change.answer.results
    assert [result.status for result in results] == [
        "added", "already_member", "invite_required", "not_on_whatsapp", "not_on_whatsapp", "already_member",
    ]  # fmt: skip
    assert [result.jid for result in results[:2]] == [jid(GUEST), jid(MEMBER)]
    assert results[2].invite.expires_at == 61_000
    assert told(change) == [("join", [jid(GUEST)])]
    assert change.joined == {GUEST: "added"}


def test_a_personal_invite_is_for_one_person_once_and_for_a_while(group: Group) -> None:
    added = rules.add(group, moment(ADMIN), [jid(PRIVATE)])
    code = added.answer.results[0].invite.code
    for number, now in ((GUEST, 2000), (PRIVATE, 61_000)):
        with pytest.raises(BadRequest):
            rules.join(added.group, moment(number, now), (number, code))
    joined = rules.join(added.group, moment(PRIVATE, 2000), (PRIVATE, code))
    assert joined.group.members[PRIVATE] == "member"
    assert joined.group.passes == {}


def test_a_full_group_takes_nobody(group: Group) -> None:
    crowd = {f"9990{place:07d}": "member" for place in range(rules.FULL - len(group.members))}
    full = replace(group, members=group.members | crowd)
    (result,) = rules.add(full, moment(OWNER), [jid("9990123456789")]).answer.results
    assert result.status == "failed"
    with pytest.raises(Refused) as caught:
        rules.join(full, moment("9990123456789"), ("9990123456789", "first"))
    assert caught.value.details["reason"] == "group_full"


def test_a_reset_invite_is_dead(group: Group) -> None:
    change = rules.reset_invite(group, moment(ADMIN), None)
    assert change.answer.invite.startswith("https://chat.whatsapp.com/")
    assert change.reports[0].new_invite_link == change.answer.invite
    with pytest.raises(BadRequest) as caught:
        rules.join(change.group, moment(GUEST), (GUEST, "first"))
    assert caught.value.details["fields"][0]["path"] == "invite"


def test_who_was_removed_needs_an_admin_to_come_back(group: Group) -> None:
    gone = rules.remove(group, moment(ADMIN), MEMBER)
    assert told(gone) == [("leave", [jid(MEMBER)])]
    assert gone.left == (MEMBER,)
    with pytest.raises(Refused) as caught:
        rules.join(gone.group, moment(MEMBER), (MEMBER, "first"))
    assert caught.value.details["reason"] == "removed_earlier"
    back = rules.add(gone.group, moment(ADMIN), [jid(MEMBER)]).group
    left = rules.leave(back, moment(MEMBER), MEMBER).group
    assert rules.join(left, moment(MEMBER), (MEMBER, "first")).group.members[MEMBER] == "member"


def test_the_eldest_member_follows_the_last_admin(group: Group) -> None:
    alone = replace(group, members={OWNER: "superadmin", MEMBER: "member", GUEST: "member"})
    change = rules.leave(alone, moment(OWNER), OWNER)
    assert change.group.members == {MEMBER: "admin", GUEST: "member"}
    assert told(change) == [("leave", [jid(OWNER)]), ("promote", [jid(MEMBER)])]
    with pytest.raises(NotAMember):
        rules.leave(change.group, moment(OWNER), OWNER)
    empty = rules.leave(replace(group, members={OWNER: "superadmin"}), moment(OWNER), OWNER)
    assert empty.group.members == {}


def test_who_asks_is_let_in_all_or_none(group: Group) -> None:
    asked = rules.request(group, moment(GUEST), GUEST).group
    assert asked.pending == {GUEST: 1000}
    for people in ([jid(GUEST), jid(PRIVATE)], [jid("4915112345678")]):
        with pytest.raises(NotFound):
            rules.approve(asked, moment(ADMIN), people)
    change = rules.approve(asked, moment(ADMIN), [jid(GUEST)])
    assert change.group.members[GUEST] == "member"
    assert change.group.pending == {}
    assert change.joined == {GUEST: "approved"}


def test_who_is_turned_away_may_ask_again(group: Group) -> None:
    asked = rules.request(group, moment(GUEST), GUEST).group
    with pytest.raises(NotFound):
        rules.reject(asked, moment(ADMIN), [jid(GUEST), jid(PRIVATE)])
    (waiting,) = rules.list_pending(asked, moment(ADMIN), None).answer
    assert (waiting.jid, waiting.lid, waiting.requested_at) == (jid(GUEST), lid_of(GUEST), 1000)
    change = rules.reject(asked, moment(ADMIN), [lid_of(GUEST)])
    assert change.group.pending == {}
    assert change.reports == []
    assert rules.request(change.group, moment(GUEST, 2000), GUEST).group.pending == {GUEST: 2000}


def test_a_new_picture_takes_the_place_of_the_old(group: Group) -> None:
    first = rules.depict(group, moment(MEMBER), "1")
    second = rules.depict(first.group, moment(MEMBER), "2")
    gone = rules.depict(second.group, moment(MEMBER), "")
    assert [change.group.picture for change in (first, second, gone)] == ["1", "2", ""]
    assert [change.faded for change in (first, second, gone)] == ["", "1", "2"]


def test_a_group_that_approves_joins_lets_people_wait(group: Group) -> None:
    change = rules.join(replace(group, approves=True), moment(GUEST), (GUEST, "first"))
    assert change.group.pending == {GUEST: 1000}
    assert GUEST not in change.group.members


def test_a_new_group_skips_who_cannot_be_added(group: Group) -> None:
    empty = replace(group, members={})
    change = rules.create(empty, moment(OWNER), [MEMBER, PRIVATE, ABSENT, OWNER])
    assert change.group.members == {OWNER: "superadmin", MEMBER: "member"}
    assert change.joined == {OWNER: "created", MEMBER: "added"}
