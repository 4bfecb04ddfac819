"""Sessions of the real library that are online for a story, and what they were told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.emulator.emulator import Emulator
from tests.support.engines import Recorder
from tests.support.whatsapp import Village, WhatsApp, eventually
from wagate.engines.base import Arrived

ANN, BEN, CAT = "99900000001", "99900000002", "99900000003"
PEOPLE = {"s1": ANN, "s2": BEN, "s3": CAT}


@pytest.fixture(scope="module")
async def village() -> AsyncIterator[Village]:
    async with Emulator() as emulator:
        emulator.first_count = 1
        made = Village(emulator)
        yield made
        made.close()


@asynccontextmanager
async def online(village: Village, *sessions: str, **more: Any) -> AsyncIterator[Any]:
    """An engine with sessions online, in one shard unless told otherwise; the accounts are given back afterwards."""
    world = WhatsApp(village.emulator, **more)
    try:
        async with village.online(world, {id: PEOPLE[id] for id in sessions}) as lines:
            yield world, *lines
    finally:
        await world.close()


async def texts(sink: Recorder, *expected: str) -> None:
    """Wait for these texts, and see that each came once and in this order."""
    await eventually(lambda: len(said(sink)) >= len(expected))
    assert said(sink) == list(expected)


def said(sink: Recorder) -> list[str]:
    return [arrived.content.text for arrived in sink.of(Arrived)]  # type: ignore[union-attr]
