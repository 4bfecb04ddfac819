"""Groups as the library tells them, in our shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from wagate.engines import base
from wagate.engines.whatsapp.addresses import known_as, person_of, text_of
from wagate.model import Maybe
from wagate.model.groups import GroupChanged, GroupSeen, MembersChanged, Participant, Role

if TYPE_CHECKING:
    from wagate.engines.whatsapp.line import Line


def seen(info: Any) -> GroupSeen:
    """A whole group."""
    created = int(info.GroupCreated)
    owner = person_of(info.OwnerPN, info.OwnerJID)
    return GroupSeen(
        group_jid=text_of(info.JID),
        subject=info.GroupName.Name,
        description=info.GroupTopic.Topic,
        is_announce=info.GroupAnnounce.IsAnnounce,
        is_locked=info.GroupLocked.isLocked,
        members=[participant(each) for each in info.Participants if not each.Error],
        owner=owner if owner.jid or owner.lid else UNSET,
        created_at_wa=created * 1000 if created > 0 else UNSET,
    )


def participant(each: Any) -> Participant:
    """A member."""
    role: Role = "superadmin" if each.IsSuperAdmin else "admin" if each.IsAdmin else "member"
    return Participant(
        person=person_of(each.PhoneNumber, each.JID, each.LID), role=role, tag=each.DisplayName or UNSET
    )  # fmt: skip


def joined_group(event: Any) -> list[base.Report]:
    """This account is in a group now."""
    whole = seen(event.GroupInfo)
    changed = GroupChanged(
        group_jid=whole.group_jid,
        timestamp=whole.created_at_wa or 0,
        sender=known_as(event.SenderPN, event.Sender) or UNSET,
        subject=whole.subject,
        reason=event.Reason or "joined",
    )
    return [whole, changed]


def changed_group(line: Line, event: Any) -> list[base.Report]:
    """Settings or members changed."""
    group, moment = text_of(event.JID), event.Timestamp * 1000 if event.Timestamp < 10**11 else event.Timestamp
    sender: Maybe[str] = line.phone_of(event.Sender) or UNSET
    told: list[base.Report] = []
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
    known = line.phone_of(address)
    person = person_of(address)
    if known.endswith("@s.whatsapp.net"):
        person = type(person)(jid=known, lid=person.lid)
    return Participant(person=person, role="admin" if change == "promote" else "member")
