"""The emulator: a WhatsApp of its own on 127.0.0.1, for the unmodified client library. See the README beside."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import shutil
import tempfile
import time
from collections.abc import Container, Coroutine, Iterable
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.emulator.accounts import Account, Accounts, Device, hash_of
from tests.emulator.calls import Calls
from tests.emulator.certificates import NoiseIdentity, server_side
from tests.emulator.channels import Channels
from tests.emulator.group_requests import GroupRequests
from tests.emulator.groups import Gathering, Groups
from tests.emulator.lines import Line
from tests.emulator.linking import Linking
from tests.emulator.media import Media
from tests.emulator.messages import Messages
from tests.emulator.nodes import HIDDEN, PHONE, SERVER, Jid, Node
from tests.emulator.persons import Person
from tests.emulator.presence import Presence
from tests.emulator.proxy import Proxy
from tests.emulator.receipts import Receipts
from tests.emulator.stanzas import hear

log = logging.getLogger(__name__)

TRUSTING = Path(__file__).parent / "trusting"
_NO_PLACE = 99
DEAD_PROXY = "http://127.0.0.1:1"


class Emulator:
    """A network of pretend people, phones and groups; an async context manager.

    Tests drive it through `person` and `create_group`, and through the parts: `messages` (what was sent, slow or lost
    acknowledgements), `media`, `proxy` (which names were asked for). `unknown` holds every stanza of a client that the
    emulator could not place. A story that leaves any there has met something worth a line in the README, and fails.

    `first_count`: how many one-time keys a device is said to have that has given none; above 0 it makes 50 at its first
    login instead of 812, which spares most of what linking costs.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="emulator-"))
        self.noise = NoiseIdentity()
        self.accounts = Accounts()
        self.media = Media()
        self.groups = Groups(self)
        self.group_requests = GroupRequests(self)
        self.linking = Linking(self)
        self.messages = Messages(self)
        self.receipts = Receipts(self)
        self.presence = Presence(self)
        self.channels = Channels(self)
        self.calls = Calls(self)
        self.pictures: dict[str, str] = {}
        self.states: dict[tuple[str, str], list[bytes]] = {}
        self.unknown: list[str] = []
        self.lines: set[Line] = set()
        self.few_prekeys = 5
        self.first_count = 0
        self.proxy: Proxy
        self._runner: web.AppRunner
        self._tasks: set[asyncio.Task[Any]] = set()
        self._numbers = itertools.count(1)

    async def __aenter__(self) -> Emulator:
        await self.start()
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        await self.stop()
        assert kind is not None or not self.unknown, self.unknown

    async def start(self) -> None:
        """Open the doors, on ports of the system's choice."""
        app = web.Application(client_max_size=1 << 28)
        app.add_routes([web.get("/ws/chat", self._connect), *self.media.routes()])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=server_side(self.folder), backlog=1024)
        await site.start()
        self.proxy = Proxy(self._runner.addresses[0][1])
        await self.proxy.start()

    async def stop(self) -> None:
        """Close everything and leave nothing behind."""
        for line in list(self.lines):
            line.drop()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.proxy.stop()
        await self._runner.cleanup()
        shutil.rmtree(self.folder)

    # What a client's process needs.

    @property
    def proxy_url(self) -> str:
        """The proxy that the client must be given."""
        return f"http://127.0.0.1:{self.proxy.port}"

    @property
    def socks_url(self) -> str:
        """The same proxy for who prefers SOCKS5."""
        return f"socks5://127.0.0.1:{self.proxy.port}"

    def environment(self, *, trusts: bool = True, socks: bool = False) -> dict[str, str]:
        """For a client's process, before it starts: our TLS authority alone and a dead end beside the proxy.

        Where it `trusts`, with the path (PYTHONPATH, in front of any other) that puts our Noise root in the place of
        WhatsApp's. Sessions that come by `socks` go on to the environment's proxy, unless the name is taken out here.
        """
        dead = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"), DEAD_PROXY)
        past = {"NO_PROXY": ".whatsapp.com,.whatsapp.net" if socks else ""}
        tls = {"SSL_CERT_FILE": str(self.folder / "ca.pem"), "SSL_CERT_DIR": str(self.folder)}
        trust = {"PYTHONPATH": str(TRUSTING), "EMULATOR_ROOT": self.noise.root.public.hex()} if trusts else {}
        return {**tls, **dead, **past, **trust}

    # People and groups, as tests see them.

    def person(self, number: str) -> Person:
        """Somebody, by a sandbox number (`999` and 7 to 12 digits)."""
        return Person(self, self.accounts.get(number))

    async def create_group(
        self, owner: Person, subject: str, people: Iterable[Person] = (), *, by_number: bool = False
    ) -> Gathering:
        """A group that somebody made on their phone; its members address one another by LID, or `by_number`."""
        numbers = [person.number for person in people]
        mode = PHONE if by_number else HIDDEN
        return await self.groups.create(owner.number, subject, numbers, mode=mode)

    # What the parts tell each other.

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Do something on the side; it ends with the emulator."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def hear(self, line: Line, node: Node) -> None:
        """A client said something."""
        await hear(self, line, node)

    async def register(self, line: Line) -> None:
        """A client wants to be linked."""
        await self.linking.begin(line)

    async def left(self, line: Line) -> None:
        """A device's connection ended."""
        if line.device is not None:
            if line.device.line is None:
                self.presence.gone(line.device)
            await self.presence.changed(line.device.account)

    async def notify(
        self, account: Account, attrs: dict[str, Any], content: list[Node], *, but: Container[Device] = ()
    ) -> None:
        """A notification to every linked device of an account."""
        for device in list(account.devices.values()):
            if device.noise and device not in but:
                head = {"id": f"{int(time.time())}-{next(self._numbers)}", "t": int(time.time())}
                await device.deliver(Node("notification", {**head, **attrs}, content))

    async def tell_devices(self, account: Account, change: str, device: Device) -> None:
        """A device was added to or removed from an account: whoever asked for its list learns of it.

        Told once by number and once by LID: a client drops only the list that it keeps under the very address.
        """
        for other in self._watching(account):
            for mode in (PHONE, HIDDEN):
                attrs = {"type": "devices", "from": account.jid(mode)}
                await self.notify(other, attrs, [self._devices_changed(account, change, device, mode)])
        places = account.devices.values()
        listed = [Node("device", {"jid": each.jid(), "key-index": each.place or None}) for each in places]
        own = Node("devices", {"dhash": hash_of([each.jid() for each in places])}, listed)
        await self.notify(account, {"type": "account_sync", "from": account.jid()}, [own], but=(device,))
        attrs = {"type": "devices", "from": account.jid(HIDDEN)}
        await self.notify(account, attrs, [self._devices_changed(account, change, device, HIDDEN)], but=(device,))

    async def doubt_devices(self, device: Device, account: Account) -> None:
        """Let a device drop the list that it has of an account's devices, for the hash that it is told fits none."""
        for mode in (PHONE, HIDDEN):
            gone = Node("device", {"jid": Jid(account.jid(mode).user, mode, _NO_PLACE), "key-index": _NO_PLACE})
            content = [gone, Node("key-index-list", {"ts": int(time.time())}, account.key_index())]
            change = Node("remove", {"device_hash": "2:none"}, content)
            head = {"id": f"{int(time.time())}-{next(self._numbers)}", "t": int(time.time())}
            await device.deliver(Node("notification", {**head, "type": "devices", "from": account.jid(mode)}, [change]))

    async def tell_identity(self, account: Account) -> None:
        """Somebody's phone has new keys: who has a session with the old ones must forget it."""
        for other in [account, *self._watching(account)]:
            for mode in (PHONE, HIDDEN):
                attrs = {"type": "encrypt", "from": account.jid(mode)}
                await self.notify(other, attrs, [Node("identity")], but=(account.phone,))

    def _watching(self, account: Account) -> list[Account]:
        return [self.accounts.get(number) for number in sorted(account.watchers - {account.number})]

    def _devices_changed(self, account: Account, change: str, device: Device, mode: str) -> Node:
        digest = hash_of([each.jid(mode) for each in account.devices.values()])
        content = [
            Node("device", {"jid": device.jid(mode), "key-index": device.place or None}),
            Node("key-index-list", {"ts": int(time.time())}, account.key_index()),
        ]
        return Node(change, {"device_hash": digest}, content)

    def keep_picture(self, picture: bytes) -> str:
        """Store a picture; its id, new each time."""
        identity = str(time.time_ns() // 1000 % 10**10 + next(self._numbers))
        self.pictures[identity] = self.media.keep(picture)
        return identity

    async def people_changed_picture(self, account: Account) -> None:
        """Somebody has a new picture: everybody who talked with them learns of it."""
        change = Node("set", {"jid": account.jid(), "id": account.picture, "author": account.jid()})
        gone = Node("delete", {"jid": account.jid(), "author": account.jid()})
        for number in account.known:
            attrs = {"type": "picture", "from": account.jid()}
            await self.notify(self.accounts.get(number), attrs, [change if account.picture else gone])

    async def people_changed_about(self, account: Account) -> None:
        """Somebody says something new about themselves."""
        for number in account.known:
            body = [Node("set", {}, account.about)]
            await self.notify(self.accounts.get(number), {"type": "status", "from": account.jid()}, body)

    def ask_for_prekeys(self, device: Device) -> None:
        """A device is short of one-time keys: ask it for more."""
        attrs = {"from": SERVER, "type": "encrypt", "id": f"k{next(self._numbers)}", "t": int(time.time())}
        body = [Node("count", {"value": len(device.prekeys)}), Node("identity", {}, b"")][:1]
        self.spawn(device.deliver(Node("notification", attrs, body)))

    async def _connect(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(max_msg_size=1 << 26, compress=False)
        await socket.prepare(request)
        transport = request.transport
        line = Line(self, socket, transport if isinstance(transport, asyncio.Transport) else None)
        self.lines.add(line)
        try:
            with contextlib.suppress(StopAsyncIteration, ConnectionError):
                await line.run()
        except Exception:
            log.exception("%s: the connection ended with an error", line)
            self.unknown.append(f"{line}: see the log")
        finally:
            self.lines.discard(line)
            self.linking.forget(line)
        return socket
