"""Groups as the library tells them, in our shapes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from wagate.engines import base
from wagate.engines.whatsapp.addresses import Names, called, note_mode, person, text_of
from wagate.model import Maybe
from wagate.model.groups import GroupChanged, GroupSeen, MembersChanged, Participant, Role

if TYPE_CHECKING:
    from wagate.engines.whatsapp.line import Line


def seen(names: Names, info: Any) -> GroupSeen:
    """A whole group. May wait (see addresses.py)."""
    created = int(info.GroupCreated)
    owner = person(names, info.OwnerPN, info.OwnerJID)
    jid = text_of(info.JID)
    if info.Participants:
        note_mode(names, jid, info.Participants[0].JID)
        names.timers.note(jid, info.GroupEphemeral.DisappearingTimer)
    return GroupSeen(
        group_jid=jid,
        subject=info.GroupName.Name,
        description=info.GroupTopic.Topic,
        is_announce=info.GroupAnnounce.IsAnnounce,
        is_locked=info.GroupLocked.isLocked,
        members=[participant(names, each) for each in info.Participants if not each.Error],
        owner=owner if owner.jid or owner.lid else UNSET,
        created_at_wa=created * 1000 if created > 0 else UNSET,
    )


def participant(names: Names, each: Any) -> Participant:
    """A member. May wait."""
    role: Role = "superadmin" if each.IsSuperAdmin else "admin" if each.IsAdmin else "member"
    who = person(names, each.PhoneNumber, each.JID, each.LID)
    return Participant(person=who, role=role, tag=each.DisplayName or UNSET)


def joined_group(line: Line, event: Any) -> list[base.Report]:
    """This account is in a group now: it made it, somebody added it, or it came by an invite."""
    whole = seen(line, event.GroupInfo)
    sender = called(line, event.SenderPN, event.Sender)
    created = event.Type == "new"
    mine = line.is_own(sender)
    reason = "invite" if event.Reason == "invite" else "created" if created and mine else "added"
    return came(line, whole, sender=sender, reason=reason, everybody=created)


def came(line: Line, group: GroupSeen, *, sender: str, reason: str, everybody: bool) -> list[base.Report]:
    """What is told when this account is in a group now; `everybody`: the others came with it, for the group is new.

    The library does not tell when it was: it is told as it comes.
    """
    now = int(time.time() * 1000)
    owner = group.owner.jid or group.owner.lid if group.owner else ""
    if everybody:
        new = [each for each in group.members if (each.person.jid or each.person.lid) != owner]
    else:
        new = [each for each in group.members if line.is_own(each.person.jid or each.person.lid or "")]
    told: list[base.Report] = [group]
    about: dict[str, Any] = {"group_jid": group.group_jid, "timestamp": now, "sender": sender or UNSET}
    if new:
        told.append(MembersChanged(change="join", people=new, **about))
    told.append(GroupChanged(reason=reason, **about))
    return told


def changed_group(line: Line, event: Any) -> list[base.Report]:
    """Settings or members changed."""
    group, moment = text_of(event.JID), event.Timestamp * 1000 if event.Timestamp < 10**11 else event.Timestamp
    sender: Maybe[str] = called(line, event.Sender) or UNSET
    told: list[base.Report] = []
    if event.HasField("Ephemeral"):
        line.timers.note(group, event.Ephemeral.DisappearingTimer)
    if event.Delete.Deleted:
        # The group is no more, and nobody is in it.
        me = Participant(person=line.me, role="member")
        told.append(
            MembersChanged(
                group_jid=group, timestamp=moment, change="leave", people=[me], sender=sender, self_left=True
            )
        )
    settings = _settings(event)
    if settings:
        told.append(GroupChanged(group_jid=group, timestamp=moment, sender=sender, **settings))
    for change, addresses in (
        ("join", event.Join),
        ("leave", event.Leave),
        ("promote", event.Promote),
        ("demote", event.Demote),
    ):
        if addresses:
            told.append(
                MembersChanged(
                    group_jid=group,
                    timestamp=moment,
                    change=change,  # type: ignore[arg-type]
                    people=[_moved(line, address, change) for address in addresses],
                    sender=sender,
                    self_left=change == "leave" and any(line.is_own(text_of(address)) for address in addresses),
                )
            )
    return told


def _settings(event: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    if event.HasField("Name"):
        settings["subject"] = event.Name.Name
    if event.HasField("Topic"):
        settings["description"] = "" if event.Topic.TopicDeleted else event.Topic.Topic
    if event.HasField("Announce"):
        settings["is_announce"] = event.Announce.IsAnnounce
    if event.HasField("Locked"):
        settings["is_locked"] = event.Locked.isLocked
    if event.NewInviteLink:
        settings["new_invite_link"] = event.NewInviteLink
    return settings


def _moved(line: Line, address: Any, change: str) -> Participant:
    return Participant(person=person(line, address), role="admin" if change == "promote" else "member")
