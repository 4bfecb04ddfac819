"""Webhooks: a hundred endpoints, of which ten are dead and ten take five seconds, and what that does to the others."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from bench import organizations
from bench.counting import Count, exactly_once
from bench.endpoints import Endpoint, Kind, Post, endpoints
from bench.load import Load, measured, opened
from bench.machine import loop_milliseconds, on_the_servers_core
from bench.organizations import Organization
from bench.report import Figure, Workload
from bench.sends import shares
from bench.servers import Gateway, gateway, until
from wagate import verify_webhook

ORGANIZATIONS = 10
WELL: list[Kind] = ["well"] * 8
BACKLOG = 100
"""Events in each organization's log that wait for their delivery when a server starts."""
SENDS_PER_SECOND = 20
SEND_SECONDS = 3.0
SECRET = "whsec_" + "c2VjcmV0IG9mIHRoZSBiZW5jaCwgMzIgYnl0ZXMgbG9uZyE="


@dataclass(kw_only=True)
class Place:
    """A data directory with its organizations, and the endpoints of each."""

    folder: Path
    owners: list[Organization]
    hooks: list[list[Endpoint]]

    @property
    def well(self) -> list[Endpoint]:
        """All endpoints that are well."""
        return [each for group in self.hooks for each in group if each.kind == "well"]

    def marks(self) -> list[int]:
        """How many posts each of them has had."""
        return [len(each.posts) for each in self.well]

    def posts(self, since: list[int]) -> list[Post]:
        """What came to them since these marks."""
        return [post for each, start in zip(self.well, since, strict=True) for post in each.posts[start:]]

    def rows(self) -> Iterator[tuple[str, str, str]]:
        """Every delivery as recorded: the endpoint's URL, the event, the status."""
        with contextlib.closing(_opened(self.folder)) as db:
            yield from db.execute(
                "SELECT w.url, d.event_id, d.status FROM deliveries d JOIN webhooks w ON w.id = d.webhook_id"
            )

    async def delivered(self) -> None:
        """Wait until everything is recorded as delivered to those that are well."""
        urls = json.dumps([each.url for each in self.well])
        with contextlib.closing(_opened(self.folder)) as db:
            [(ids,)] = db.execute(
                "SELECT json_group_array(id) FROM webhooks WHERE url IN (SELECT value FROM json_each(?))", (urls,)
            )

            async def none_open() -> bool:
                question = "SELECT 1 FROM deliveries WHERE webhook_id IN (SELECT value FROM json_each(?)) AND open = 1"
                return db.execute(question + " LIMIT 1", (ids,)).fetchone() is None

            await until(none_open, seconds=180, every=0.005)


async def run(folder: Path, rounds: int) -> Workload:
    """Deliveries/s out of a backlog against a bare sender; the latency of live ones, with and without the sick."""
    loops = list[float]()
    backlogs, plain = list[Load](), list[float]()
    sick: list[Kind]
    async with contextlib.AsyncExitStack() as stack:
        groups: list[list[Endpoint]] = []
        for number in range(ORGANIZATIONS):
            sick = ["failing" if number % 2 else "refusing", "slow"]
            groups.append(await stack.enter_async_context(endpoints([*WELL, *sick])))
        healthy = [await stack.enter_async_context(endpoints(WELL)) for _ in range(ORGANIZATIONS)]
        mixed, sound = await _place(folder / "mixed", groups), await _place(folder / "sound", healthy)
        live = await _live(mixed, sound, rounds)
        for _ in range(rounds):
            loops.append(loop_milliseconds())
            await organizations.record(mixed.folder, mixed.owners, BACKLOG)
            marks = mixed.marks()
            backlogs.append(await _delivered_from_a_start(mixed))
            plain.append(await asyncio.to_thread(_bare, folder / "posts.json", mixed, marks))
        counts = {**_counts(mixed, "with the dead and the slow"), **_counts(sound, "without them")}
    without, among = [each[0] for each in live], [each[1] for each in live]
    return Workload(
        name="Webhooks",
        reference="a bare aiohttp sender of the same signed bodies to the same endpoints that are well, four at once to"
        " each; for the latency, a gateway whose endpoints are all well, under the same sends",
        figures=[
            Figure(
                name=f"{ORGANIZATIONS * 10} endpoints, 10 dead, 10 slow: deliveries out of a backlog",
                unit="deliveries/s",
                rounds=[load.per_second for load in backlogs],
                target=2000,
                reference=plain,
                **shares(backlogs),
            ),
            Figure(
                name="the same, for each second of the server's CPU",
                unit="deliveries",
                rounds=[load.per_cpu_second for load in backlogs],
            ),
            Figure(
                name="the same, for each one of the bare sender",
                unit="deliveries",
                rounds=[load.per_second / other for load, other in zip(backlogs, plain, strict=True)],
                target=0.35,
            ),
            Figure(
                name="p99 from the event to an endpoint that is well",
                unit="ms",
                rounds=[load.milliseconds(0.99) for load in among],
                lower_is_better=True,
                reference=[load.milliseconds(0.99) for load in without],
                **shares(among),
            ),
            Figure(
                name="of it added by the dead and the slow",
                unit="ms",
                rounds=[
                    load.milliseconds(0.99) - other.milliseconds(0.99)
                    for load, other in zip(among, without, strict=True)
                ],
                target=150,
                lower_is_better=True,
            ),
        ],
        counts=counts,
        loops=loops,
        remarks=[
            f"The backlog is {BACKLOG} events in each of {ORGANIZATIONS} organizations, recorded while the server was"
            " stopped; of the dead endpoints five refuse the connection and five answer 500; only what was delivered"
            f" and recorded counts. Live: {SENDS_PER_SECOND} sends/s, about"
            f" {sum(len(load.latencies) / load.took for load in among) / rounds:.0f} deliveries/s to those that are"
            " well."
        ],
    )


async def _place(folder: Path, groups: list[list[Endpoint]]) -> Place:
    """A new data directory with an organization for each group, and a webhook for each endpoint."""
    async with gateway(folder):
        pass
    owners = await organizations.make(folder, len(groups))
    return Place(folder=folder, owners=owners, hooks=groups)


async def _live(mixed: Place, sound: Place, rounds: int) -> list[tuple[Load, Load]]:
    """Latencies without and with the sick, side by side; both servers are on one core, one of them at rest."""
    async with _hooked(sound) as without, _hooked(mixed) as among:
        return [(await _slice(*without), await _slice(*among)) for _ in range(rounds)]


@contextlib.asynccontextmanager
async def _hooked(place: Place) -> AsyncIterator[tuple[Gateway, Place, Iterator[bytes]]]:
    """A server with its webhooks, a linked session for each organization, and sends into all of them."""
    async with gateway(place.folder, **ALLOWED) as server:
        for owner, group in zip(place.owners, place.hooks, strict=True):
            caller = owner.caller(server.port)
            for endpoint in group:
                await caller.must("POST", "/webhooks", {"url": endpoint.url, "secret": SECRET})
        accounts = await organizations.linked(server.port, place.owners)
        await place.delivered()

        def sends() -> Iterator[bytes]:
            number = 0
            while True:
                for owner, account in zip(place.owners, accounts, strict=True):
                    number += 1
                    body = {"type": "text", "to": f"99901{number % 7:05}", "text": f"message {number}"}
                    yield owner.caller(server.port).request("POST", f"/sessions/{account.session}/messages", body)

        yield server, place, sends()
        # What starts and stops with the server is events, too: from now on only what is recorded on purpose.
        for owner, account in zip(place.owners, accounts, strict=True):
            await organizations.stop(owner.caller(server.port), account)
        await place.delivered()


async def _slice(server: Gateway, place: Place, sends: Iterator[bytes]) -> Load:
    """Sends for some seconds; the latencies are the deliveries', from the event's time to their arrival."""
    marks = place.marks()
    load = await opened(server, sends, per_second=SENDS_PER_SECOND, seconds=SEND_SECONDS)
    await place.delivered()
    decode = msgspec.json.Decoder(_Envelope).decode
    load.latencies = [max(0.0, post.at - decode(post.body).timestamp / 1000) for post in place.posts(marks)]
    load.bodies = []
    return load


async def _delivered_from_a_start(place: Place) -> Load:
    """Start on a backlog; from the first post that arrives to the last that is recorded."""
    load, marks = Load(), place.marks()
    async with gateway(place.folder, **ALLOWED) as server:

        async def begun() -> bool:
            return place.marks() != marks

        await until(begun, every=0.001)
        with measured(server, load):
            await place.delivered()
        posts = place.posts(marks)
        load.latencies = [0.0] * len(posts)
    return load


def _bare(file: Path, place: Place, since: list[int]) -> float:
    """Posts a second of the bare sender, on the server's core, of what has come since; it is not kept."""
    with file.open("w") as out:
        for endpoint, start in zip(place.well, since, strict=True):
            posts = [(post.headers["webhook-id"], post.body.decode()) for post in endpoint.posts[start:]]
            out.write(json.dumps({"url": endpoint.url, "secret": SECRET, "posts": posts}) + "\n")
    marks = place.marks()
    with on_the_servers_core():
        sender = subprocess.Popen([sys.executable, "-m", "bench.bare_sender", str(file)], stdout=subprocess.PIPE)
    told, _ = sender.communicate(timeout=120)
    count = sum(place.marks()) - sum(marks)
    for endpoint, mark in zip(place.well, marks, strict=True):
        del endpoint.posts[mark:]
    return count / float(told)


class _Envelope(msgspec.Struct):
    id: str
    timestamp: int


def _counts(place: Place, which: str) -> dict[str, Count]:
    """Every event of each log at each endpoint that is well, recorded there, signed, and on record for the others."""
    with contextlib.closing(_opened(place.folder)) as db:
        logs: dict[str, list[str]] = {}
        for owner, id in db.execute("SELECT organization_id, id FROM events"):
            logs.setdefault(owner, []).append(id)
    wanted = [
        (endpoint, id)
        for owner, group in zip(place.owners, place.hooks, strict=True)
        for endpoint in group
        for id in logs[owner.id]
    ]
    well = [f"{endpoint.port} {id}" for endpoint, id in wanted if endpoint.kind == "well"]
    posts = [(each.port, post) for each in place.well for post in each.posts]
    rows = list(place.rows())
    recorded = [f"{url} {id}" for url, id, status in rows if status == "delivered"]
    sick = [f"{endpoint.url} {id}" for endpoint, id in wanted if endpoint.kind != "well"]
    urls = {endpoint.url for endpoint, _ in wanted if endpoint.kind != "well"}
    counts = {
        f"events at the endpoints that are well, {which}": exactly_once(
            well, [f"{port} {post.headers['webhook-id']}" for port, post in posts]
        ),
        f"of these recorded as delivered, {which}": exactly_once(
            [f"{endpoint.url} {id}" for endpoint, id in wanted if endpoint.kind == "well"],
            [each for each in recorded if each.split()[0] not in urls],
        ),
        f"of a sample, signed as told, {which}": signatures(
            [post for _, post in random.sample(posts, min(len(posts), 2000))]
        ),
    }
    if sick:
        held = [f"{url} {id}" for url, id, _ in rows if url in urls]
        counts[f"events on record for the dead and the slow, {which}"] = exactly_once(sick, held)
    return counts


def signatures(posts: list[Post]) -> Count:
    """How many of them carry a signature of exactly their bytes."""
    wrong = 0
    for post in posts:
        try:
            verify_webhook(post.body, post.headers, SECRET)
        except ValueError:
            wrong += 1
    return Count(acknowledged=len(posts), missing=wrong)


ALLOWED: dict[str, Any] = {"WAGATE_ALLOWED_NETWORKS": "127.0.0.0/8"}


def _opened(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{folder / 'wagate.db'}?mode=ro", uri=True, timeout=10)
