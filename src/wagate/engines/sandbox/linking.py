"""Linking sessions to phones, and how links end."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Literal

import msgspec
from msgspec.structs import replace

from wagate.engines.base import Ended, LineLost, Linked
from wagate.engines.sandbox.carrying import Carrier
from wagate.engines.sandbox.codes import Codes
from wagate.engines.sandbox.frames import Changes, Sent
from wagate.engines.sandbox.network import Device, Network, encode_report
from wagate.engines.sandbox.people import default_name, habits, jid_of, lid_of
from wagate.engines.sandbox.seeing import seen_by
from wagate.errors import BadRequest, Conflict, NotFound, Refused
from wagate.model.jid import is_sandbox_number, phone
from wagate.model.sandbox import Disturb, Frame, LinkPhone, Scanned
from wagate.model.sessions import Pairing

DEVICES = 4
_FIRST_FREE = 9990100001
PLATFORM = "sandbox"


def sandbox_number(text: str, path: str = "phone") -> str:
    """The digits of somebody on this network.

    Raises:
        BadRequest: a number of elsewhere; `path` names the field.
    """
    number = phone(text.partition("@")[0], path)
    if not is_sandbox_number(number):
        raise BadRequest.field(path, "is not a number of the sandbox (999 and 7 to 12 digits)")
    return number


async def link_phone(carrier: Carrier, action: LinkPhone) -> Scanned:
    """A phone scans what the session shows; returns when the session was told.

    Raises:
        Conflict: the session shows no code.
        Refused: the number is not on WhatsApp, banned, or has all the devices it may have.
    """
    network = carrier.network
    async with network.lock:
        codes = network.codes.get(action.session)
        if codes is None or (codes.qr is None and codes.typed is None):
            raise Conflict("the session shows no code to scan", reason="no_code")
        number = _who_scans(network, codes, action.phone)
        _may_link(network, number)
        device = Device(session=action.session, number=number, linked_at=network.clock.now())
        await codes.stop()
        try:
            await _add(carrier, device, action.name)
        except BaseException:
            network.codes[action.session] = codes
            codes.show()
            raise
    pairing = Pairing(
        jid=jid_of(number), lid=lid_of(number), name=network.name(number) or default_name(number), platform=PLATFORM
    )
    try:
        await codes.line.report(Linked(pairing=pairing))
    except BaseException:
        # The gateway does not know of the link, so there is none.
        async with network.lock:
            await remove(network, action.session, "unlink")
        raise
    return Scanned(wa_jid=jid_of(number), wa_lid=lid_of(number))


def _who_scans(network: Network, codes: Codes, given: str | None) -> str:
    if given is not None:
        number = sandbox_number(given)
        if codes.qr is None and codes.phone != number:
            raise BadRequest.field("phone", "is not the number that the pairing code was made for")
        return number
    if codes.phone is not None:
        return codes.phone
    free = _FIRST_FREE
    while any(str(free) in known for known in (network.devices_of, network.people, network.groups_of)):
        free += 1
    return str(free)


def _may_link(network: Network, number: str) -> None:
    if network.somebody(number).banned:
        raise Refused("the number is banned", reason="banned", waCode=403)
    if not habits(number).exists:
        raise Refused("not on WhatsApp", reason="not_on_whatsapp", waCode=404)
    if len(network.devices_of.get(number, ())) >= DEVICES:
        raise Refused(f"a number has at most {DEVICES} linked devices", reason="too_many_devices", waCode=406)


async def _add(carrier: Carrier, device: Device, name: str | None) -> None:
    network = carrier.network
    if device.session in network.devices:
        # A link that its session has forgotten: the new one takes its place.
        await remove(network, device.session, "unlink")
    await network.forget_kept(device.session)
    older = await _older(carrier, device.number)
    parts = {"session": device.session, "from_": jid_of(device.number)}
    _, changes = network.history.next("link", device.linked_at, **parts)
    changes[f"d/{device.session}"] = msgspec.json.encode(device).decode()
    for sent in older:
        report = seen_by(network, sent, device.number, history=True)
        network.keep(device.session, encode_report(report), changes)
    person = network.people.get(device.number)
    if name is not None:
        person = replace(network.somebody(device.number), name=name)
        changes[f"p/{device.number}"] = msgspec.json.encode(person).decode()
    await network.commit(changes)
    if person is not None:
        network.people[device.number] = person
    network.add_device(device)
    if older:
        network.waiting.add(device.session)


async def _older(carrier: Carrier, number: str) -> list[Sent]:
    """The newest messages of the person's chats, oldest first."""
    network, me = carrier.network, jid_of(number)
    groups = network.groups_of.get(number, set())
    frames: deque[Frame] = deque(maxlen=network.bounds.replayed)
    async for frame in network.history.pages(max(0, network.history.frame - network.bounds.searched)):
        if frame.kind == "message" and (me in (frame.from_, frame.to) or frame.to in groups):
            frames.append(frame)
    found = [await network.history.of(frame) for frame in frames]
    return [
        sent
        for sent in found
        if sent is not None and not sent.revoked and (number == sent.author or number in sent.copies)
    ]


async def remove(network: Network, session: str, kind: Literal["unlink", "logout", "forget"]) -> None:
    """A session's link is gone, and what waited for it. Nobody is told here. The caller holds the lock."""
    device = network.devices.get(session)
    if device is None:
        return
    parts = {"session": session, "from_": jid_of(device.number)}
    _, changes = network.history.next(kind, network.clock.now(), **parts)
    changes[f"d/{session}"] = None
    await network.commit(changes)
    network.drop_device(session)
    await network.forget_kept(session)


async def log_out(network: Network, session: str, kind: Literal["logout", "forget"]) -> None:
    """A session gives up its link by itself: it goes offline, and is told nothing."""
    async with network.lock:
        await remove(network, session, kind)
    if (line := network.lines.get(session)) is not None:
        line.cut()


async def disturb(network: Network, action: Disturb) -> None:
    """Something happens to a linked session from outside; returns when it was told, if it listens."""
    device = network.devices.get(action.session)
    if device is None:
        if action.session in network.lines:
            raise Conflict("the session is not linked", reason="not_linked")
        raise NotFound("session not found")
    match action.what:
        case "unlink":
            async with network.lock:
                await remove(network, action.session, "unlink")
            await _end(network, action.session, Ended(status="logged_out", reason="unlinked"))
        case "ban":
            await _ban(network, device.number)
        case "replace":
            await _end(network, action.session, Ended(status="failed", reason="replaced"))
        case "drop":
            now = network.clock.now()
            network.refused[action.session] = range(now, now + round(action.seconds * 1000))
            await _end(network, action.session, LineLost())


async def _ban(network: Network, number: str) -> None:
    async with network.lock:
        sessions = network.devices_of.get(number, ())
        person = replace(network.somebody(number), banned=True)
        changes: Changes = {f"p/{number}": msgspec.json.encode(person).decode()}
        changes |= {f"d/{session}": None for session in sessions}
        await network.commit(changes)
        network.people[number] = person
        for session in sessions:
            network.drop_device(session)
            await network.forget_kept(session)
    ended = Ended(status="logged_out", reason="banned")
    await asyncio.gather(*(_end(network, session, ended) for session in sessions))


async def _end(network: Network, session: str, report: Ended | LineLost) -> None:
    line = network.lines.get(session)
    if line is not None and line.online:
        line.cut()
        await line.report(report)
