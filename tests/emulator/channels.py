"""Channels: made, found, followed, muted, and read. Their messages travel as they are, for everybody to read."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.emulator.accounts import Account, Device
from tests.emulator.nodes import CHANNEL, Jid, Node, parse
from tests.emulator.refusals import Refusal

if TYPE_CHECKING:
    from tests.emulator.emulator import Emulator

CREATE, FETCH, SUBSCRIBED = "6234210096708695", "6563316087068696", "6388546374527196"
FOLLOW, UNFOLLOW, MUTE, UNMUTE = "9926858900719341", "6392786840836363", "6274038279359549", "6068417879924485"


@dataclass
class Post:
    """A message in a channel. `views` and `reactions`: who."""

    place: int
    wire_id: str
    kind: str
    content: bytes
    at: int
    views: set[str] = field(default_factory=set)
    reactions: dict[str, str] = field(default_factory=dict)

    def node(self) -> Node:
        """As it is read."""
        counts: dict[str, int] = {}
        for code in self.reactions.values():
            counts[code] = counts.get(code, 0) + 1
        content = [Node("plaintext", {}, self.content), Node("views_count", {"count": len(self.views)})]
        content.append(Node("reactions", {}, [Node("reaction", {"code": c, "count": n}) for c, n in counts.items()]))
        attrs = {"id": self.wire_id, "server_id": self.place, "t": self.at, "type": self.kind}
        return Node("message", attrs, content)


@dataclass(eq=False)
class Channel:
    """A channel; `followers` by number with their role, the owner among them."""

    jid: Jid
    name: str
    description: str
    invite: str
    made_at: int
    followers: dict[str, str] = field(default_factory=dict)
    muted: set[str] = field(default_factory=set)
    posts: list[Post] = field(default_factory=list)


class Channels:
    """Every channel of the network."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._all: dict[str, Channel] = {}

    def create(self, owner: str, name: str, description: str = "") -> Channel:
        """A new channel of somebody's, by their number."""
        user = f"120363{time.time_ns() // 1000 % 10**9:09d}{len(self._all):03d}"
        channel = Channel(Jid(user, CHANNEL), name, description, secrets.token_urlsafe(16), int(time.time()))
        channel.followers[owner] = "OWNER"
        self._all[str(channel.jid)] = channel
        return channel

    def clear(self) -> None:
        """Forget every channel, for the next story."""
        self._all.clear()

    def get(self, jid: str) -> Channel:
        """The channel with this address.

        Raises:
            KeyError: there is none.
        """
        return self._all[jid]

    async def post(self, channel: Channel, content: bytes, *, wire_id: str = "", kind: str = "text") -> Post:
        """Publish a message (protobuf, in the clear) to every follower."""
        place = len(channel.posts) + 100
        post = Post(place, wire_id or secrets.token_hex(10).upper(), kind, content, int(time.time()))
        channel.posts.append(post)
        attrs = {"from": channel.jid, "id": post.wire_id, "server_id": place, "t": post.at, "type": kind}
        for number in channel.followers:
            for device in self._emulator.accounts.get(number).companions:
                await device.deliver(Node("message", attrs, [Node("plaintext", {}, content)]))
        return post

    async def hear(self, sender: Device, node: Node) -> dict[str, Any]:
        """A message or a reaction to a channel; what its acknowledgement says."""
        channel = self._all.get(str(node.attrs["to"]))
        if channel is None:
            return {"error": 404}
        number = sender.account.number
        if (reaction := node.first("reaction")) is not None:
            post = next((each for each in channel.posts if str(each.place) == str(node.attrs["server_id"])), None)
            if post is None:
                return {"error": 404}
            post.reactions.pop(number, None)
            if code := reaction.attrs.get("code"):
                post.reactions[number] = code
            return {"server_id": post.place}
        if channel.followers.get(number) not in ("OWNER", "ADMIN"):
            return {"error": 401}
        content = node.need("plaintext").bytes
        post = await self.post(channel, content, wire_id=node.attrs["id"], kind=node.attrs.get("type", "text"))
        return {"server_id": post.place}

    def view(self, reader: Device, node: Node) -> None:
        """Somebody saw messages."""
        channel = self._all.get(str(node.attrs["to"]))
        seen = {str(item.attrs.get("server_id")) for each in node.all("list") for item in each.all("item")}
        for post in channel.posts if channel is not None else []:
            if str(post.place) in seen:
                post.views.add(reader.account.number)

    async def answer(self, device: Device, request: Node) -> list[Node]:
        """Requests of `newsletter`: messages, what changed about them, and to be told of changes at once."""
        asked = request.children[0]
        channel = self._find(request, asked)
        if asked.tag == "messages":
            before = int(asked.attrs.get("before", 0))
            posts = [post for post in channel.posts if not before or post.place < before]
            shown = [post.node() for post in posts[-int(asked.attrs.get("count", 100)) :]]
            return [Node("messages", {"jid": channel.jid, "t": int(time.time())}, shown)]
        if asked.tag == "message_updates":
            after = int(asked.attrs.get("after", 0))
            shown = [post.node() for post in channel.posts if post.place > after]
            return [Node("message_updates", {}, [Node("messages", {"jid": channel.jid, "t": int(time.time())}, shown)])]
        if asked.tag == "live_updates":
            return [Node("live_updates", {"duration": 300})]
        raise Refusal(501)

    async def query(self, device: Device, number: str, variables: dict[str, Any]) -> dict[str, Any]:
        """Queries about channels."""
        own = device.account
        if number == CREATE:
            given = variables["newsletter_input"]
            channel = self.create(own.number, given["name"], given.get("description") or "")
            await self._tell(own, "xwa2_notify_newsletter_on_join", channel)
            return {"xwa2_newsletter_create": self._shown(channel, own)}
        if number == SUBSCRIBED:
            mine = [channel for channel in self._all.values() if own.number in channel.followers]
            return {"xwa2_newsletter_subscribed": [self._shown(channel, own) for channel in mine]}
        if number == FETCH:
            return {"xwa2_newsletter": self._shown(self._look(variables["input"]), own)}
        if number not in (FOLLOW, UNFOLLOW, MUTE, UNMUTE):
            raise Refusal(501)
        channel = self._look({"type": "JID", "key": variables["newsletter_id"]})
        if number == FOLLOW:
            channel.followers.setdefault(own.number, "SUBSCRIBER")
            await self._tell(own, "xwa2_notify_newsletter_on_join", channel)
        elif number == UNFOLLOW:
            channel.followers.pop(own.number, None)
            await self._tell(own, "xwa2_notify_newsletter_on_leave", channel)
        elif number == MUTE:
            channel.muted.add(own.number)
            await self._tell(own, "xwa2_notify_newsletter_on_mute_change", channel)
        else:
            channel.muted.discard(own.number)
            await self._tell(own, "xwa2_notify_newsletter_on_mute_change", channel)
        return {"xwa2_newsletter_join_v2": {"id": str(channel.jid)}}

    async def _tell(self, account: Account, what: str, channel: Channel) -> None:
        shown = self._shown(channel, account)
        if what.endswith("leave"):
            shown = {"id": shown["id"], "role": "guest"}
        elif what.endswith("mute_change"):
            shown = {"id": shown["id"], "mute": shown["viewer_metadata"]["mute"]}
        body = [Node("update", {"op_name": what}, json.dumps({"data": {what: shown}}))]
        await self._emulator.notify(account, {"type": "mex", "from": account.jid()}, body)

    def _find(self, request: Node, asked: Node) -> Channel:
        if "key" in asked.attrs:
            return self._look({"type": "INVITE", "key": asked.attrs["key"]})
        jid = asked.attrs.get("jid") or request.attrs["to"]
        return self._look({"type": "JID", "key": str(jid if isinstance(jid, Jid) else parse(jid))})

    def _look(self, wanted: dict[str, Any]) -> Channel:
        for channel in self._all.values():
            if wanted["key"] in (str(channel.jid), channel.invite):
                return channel
        raise Refusal(404)

    def _shown(self, channel: Channel, viewer: Account) -> dict[str, Any]:
        stamp = str(channel.made_at * 1_000_000)
        role = channel.followers.get(viewer.number, "GUEST")
        return {
            "id": str(channel.jid),
            "state": {"type": "ACTIVE"},
            "thread_metadata": {
                "creation_time": str(channel.made_at),
                "invite": channel.invite,
                "name": {"text": channel.name, "id": stamp, "update_time": stamp},
                "description": {"text": channel.description, "id": stamp, "update_time": stamp},
                "subscribers_count": str(len(channel.followers)),
                "verification": "UNVERIFIED",
                "preview": {"id": "", "type": "PREVIEW", "direct_path": ""},
                "settings": {"reaction_codes": {"value": "all"}},
            },
            "viewer_metadata": {"mute": "ON" if viewer.number in channel.muted else "OFF", "role": role},
        }
