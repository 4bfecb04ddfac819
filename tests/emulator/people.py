"""Who is on WhatsApp, with what devices, what they show of themselves, and whom they block."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING

from tests.emulator.accounts import Account, Device
from tests.emulator.media import PICTURES
from tests.emulator.nodes import GROUP, HIDDEN, PHONE, Jid, Node, parse
from tests.emulator.refusals import Refusal

if TYPE_CHECKING:
    from tests.emulator.emulator import Emulator

_PRIVACY = ("last", "online", "profile", "status", "readreceipts", "groupadd", "calladd", "messages", "defense")
_BANNED = "403"


async def usync(emulator: Emulator, device: Device, request: Node) -> list[Node]:
    """Look people up by number or address: existence, LID, devices, about, picture."""
    asked = request.need("usync")
    wanted = [each.tag for each in asked.need("query").children]
    users = [_user(emulator, device.account, user, wanted) for user in asked.need("list").all("user")]
    results = [Node("result", {}, [Node(tag) for tag in wanted]), Node("list", {}, users)]
    return [Node("usync", asked.attrs, results)]


def _user(emulator: Emulator, asker: Account, user: Node, wanted: list[str]) -> Node:
    contact = user.first("contact")
    typed = contact.bytes.decode() if contact is not None else ""
    jid = parse(typed.lstrip("+").partition("@")[0] + "@" + PHONE) if typed else user.attrs["jid"]
    account = emulator.accounts.of(jid)
    if account is not None and (account.refusal or {}).get("reason") == _BANNED:
        account = None
    found: list[Node] = []
    if "contact" in wanted:
        found.append(Node("contact", {"type": "in" if account is not None else "out"}, typed or None))
    if account is None:
        return Node("user", {"jid": jid.bare}, found)
    if "lid" in wanted:
        found.append(Node("lid", {"val": account.jid(HIDDEN)}))
    if "status" in wanted:
        hidden = asker.number in account.blocked
        found.append(Node("status", {"t": int(time.time())}, None if hidden else account.about or None))
    if "picture" in wanted and account.picture:
        found.append(Node("picture", {"id": account.picture}))
    if "devices" in wanted:
        account.watchers.add(asker.number)
        found.append(_devices(account))
    return Node("user", {"jid": jid.bare, "pn_jid": account.jid() if typed else None}, found)


def _devices(account: Account) -> Node:
    listed = [Node("device", {"id": place, "key-index": place or None}) for place in account.devices]
    index = account.key_index()
    lists = [Node("device-list", {}, listed)]
    if index is not None:
        lists.append(Node("key-index-list", {"ts": int(time.time())}, index))
    return Node("devices", {}, lists)


async def picture(emulator: Emulator, device: Device, request: Node) -> list[Node]:
    """Look at a picture, or set one: the own, or with `target` a group's."""
    if request.attrs["type"] == "get":
        return [_look(emulator, device, request)]
    target: Jid = request.attrs.get("target") or device.account.jid()
    given = request.first("picture")
    identity = ""
    if given is not None:
        if not given.bytes.startswith(b"\xff\xd8"):
            raise Refusal(406)
        identity = emulator.keep_picture(given.bytes)
    if target.server == GROUP:
        await emulator.groups.depict(device.account, target, identity)
    else:
        device.account.picture = identity
        await emulator.people_changed_picture(device.account)
    return [Node("picture", {"id": identity})] if identity else []


def _look(emulator: Emulator, device: Device, request: Node) -> Node:
    target: Jid = request.attrs.get("target") or request.attrs["to"]
    asked = request.need("picture")
    if target.server == GROUP:
        group = emulator.groups.get(target)
        if group is None:
            raise Refusal(404)
        if device.account.number not in group.truth.members:
            raise Refusal(403)
        identity = group.truth.picture
    else:
        account = emulator.accounts.of(target)
        if account is None:
            raise Refusal(404)
        if device.account.number in account.blocked:
            raise Refusal(401)
        identity = account.picture
    if not identity:
        raise Refusal(404)
    if asked.attrs.get("id") == identity:
        return Node("picture", {"id": identity, "status": 304})
    path = emulator.pictures[identity]
    kind = asked.attrs.get("type", "image")
    return Node("picture", {"id": identity, "type": kind, "url": f"https://{PICTURES}{path}", "direct_path": path})


async def blocklist(emulator: Emulator, device: Device, request: Node) -> list[Node]:
    """Whom the account blocks; a changed list goes to its other devices too."""
    account = device.account
    before = _digest(account)
    for item in request.all("item"):
        other = emulator.accounts.of(item.attrs["jid"])
        if other is None:
            raise Refusal(404)
        if item.attrs["action"] == "block" and other.number not in account.blocked:
            account.blocked.append(other.number)
        elif item.attrs["action"] == "unblock" and other.number in account.blocked:
            account.blocked.remove(other.number)
        change = Node("item", {"jid": item.attrs["jid"], "action": item.attrs["action"]})
        attrs = {"dhash": _digest(account), "prev_dhash": before, "action": "modify"}
        await emulator.notify(
            account,
            {"type": "account_sync", "from": account.jid()},
            [Node("blocklist", attrs, [change])],
            but=(device,),
        )
    people = [emulator.accounts.get(number) for number in account.blocked]
    items = [Node("item", {"jid": each.jid(HIDDEN), "pn_jid": each.jid()}) for each in people]
    return [Node("list", {"dhash": _digest(account), "addressing_mode": "lid"}, items)]


def _digest(account: Account) -> str:
    return hashlib.sha256(" ".join(sorted(account.blocked)).encode()).hexdigest()[:12]


async def privacy(emulator: Emulator, device: Device, request: Node) -> list[Node]:
    """Who may see what; the default is everybody. Tokens by which contacts are trusted are only acknowledged."""
    if request.first("tokens") is not None:
        return []
    settings = device.account.privacy
    for changed in (category for given in request.all("privacy") for category in given.all("category")):
        settings[changed.attrs["name"]] = changed.attrs["value"]
    shown = [Node("category", {"name": name, "value": settings.get(name, "all")}) for name in _PRIVACY]
    return [Node("privacy", {}, shown)]


async def audience(emulator: Emulator, device: Device, request: Node) -> list[Node]:
    """To whom status updates go: to all contacts."""
    return [Node("privacy", {}, [Node("list", {"type": "contacts", "default": "true"})])]


async def nothing(emulator: Emulator, device: Device, request: Node) -> list[Node]:
    """Requests that need nothing but an answer."""
    return []
