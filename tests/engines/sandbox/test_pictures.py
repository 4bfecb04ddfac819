"""Group pictures: the network has bytes of its own, of the picture that is shown and of no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.engines import ORG, Sandbox, jid
from wagate.engines.base import ChatMarked
from wagate.errors import Gone, NotAMember, NotGroupAdmin, StorageUnavailable
from wagate.model.actions import DeleteGroupPicture, SetGroupPicture, SetLocked

pytestmark = pytest.mark.anyio

ANN, BEN = "9990000001", "9990000002"


def kept(world: Sandbox) -> list[Path]:
    """The engine's own files."""
    return [path for path in world.root.rglob("sandbox-*") if path.is_file()]


async def test_who_may_not_sets_none_and_no_bytes_stay(world: Sandbox) -> None:
    owner, _ = await world.linked("s1", ANN)
    member, sink = await world.linked("s2", BEN)
    await world.file("med_1")
    ours = (await world.group(ANN, [jid(BEN)])).group_jid
    await owner.perform(SetLocked(group=ours, locked=True))
    theirs = (await world.group("9990000009", [jid(ANN)])).group_jid
    for group, action_error in ((ours, NotGroupAdmin), (theirs, NotAMember)):
        for action in (SetGroupPicture(group=group, media="med_1"), DeleteGroupPicture(group=group)):
            with pytest.raises(action_error):
                await member.perform(action)
    with pytest.raises(Gone):
        await owner.perform(SetGroupPicture(group=ours, media="med_2"))
    world.stores(ORG).full = True
    with pytest.raises(StorageUnavailable):
        await owner.perform(SetGroupPicture(group=ours, media="med_1"))
    world.stores(ORG).full = False
    assert kept(world) == []
    assert not (await world.truth(ours)).picture_id
    assert sink.of(ChatMarked) == []


async def test_the_network_keeps_the_bytes_of_the_picture_that_is_shown(world: Sandbox) -> None:
    member, _ = await world.linked("s1", BEN)
    group = (await world.group(ANN, [jid(BEN)])).group_jid
    await world.file("med_1")
    await world.file("med_2", b"\xff\xd8\xffanother")
    first = await member.perform(SetGroupPicture(group=group, media="med_1"))
    second = await member.perform(SetGroupPicture(group=group, media="med_2"))
    assert first.id != second.id
    await world.files.remove(["med_1", "med_2"])
    (file,) = kept(world)
    assert file.read_bytes() == b"\xff\xd8\xffanother"
    await world.restart()
    assert (await world.truth(group)).picture_id == second.id
    again, _ = await world.open("s1", jid=jid(BEN))
    await again.connect()
    for _ in range(2):
        await again.perform(DeleteGroupPicture(group=group))
    assert kept(world) == []
    assert not (await world.truth(group)).picture_id
