"""Clocks: the turned one wakes sleepers in the order of their times."""

from __future__ import annotations

import asyncio

import pytest

from wagate.clock import ManualClock, SystemClock

pytestmark = pytest.mark.anyio


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_turned_clock_moves_only_when_it_is_turned() -> None:
    clock = ManualClock(1_000)
    task = asyncio.create_task(clock.sleep(0.5))
    await settle()
    assert (clock.now(), task.done()) == (1_000, False)
    await clock.advance(0.499)
    assert (clock.now(), task.done()) == (1_499, False)
    await clock.advance(0.001)
    await task
    assert clock.now() == 1_500


async def test_sleepers_wake_in_the_order_of_their_times_each_at_its_own() -> None:
    clock = ManualClock(0)
    woken: list[tuple[str, int]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.now()))

    tasks = [asyncio.create_task(sleeper(*each)) for each in (("c", 3), ("a", 1), ("b", 2), ("b2", 2))]
    await settle()
    await clock.advance(10)
    await asyncio.gather(*tasks)
    assert woken == [("a", 1_000), ("b", 2_000), ("b2", 2_000), ("c", 3_000)]
    assert clock.now() == 10_000


async def test_who_sleeps_again_within_the_turn_is_woken_again() -> None:
    clock = ManualClock(0)
    ticks: list[int] = []

    async def ticking() -> None:
        while True:
            await clock.sleep(1)
            ticks.append(clock.now())

    task = asyncio.create_task(ticking())
    await settle()
    await clock.advance(5)
    assert ticks == [1_000, 2_000, 3_000, 4_000, 5_000]
    task.cancel()


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    clock = ManualClock(0)
    task = asyncio.create_task(clock.sleep(1))
    await settle()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await clock.advance(2)
    assert clock.now() == 2_000


@pytest.mark.parametrize("clock", [ManualClock(), SystemClock()], ids=["manual", "system"])
async def test_sleeping_for_nothing_lets_others_in_once(clock: ManualClock | SystemClock) -> None:
    await clock.sleep(0)
    await clock.sleep(-1)


def test_both_begin_with_the_machines_time() -> None:
    assert abs(ManualClock().now() - SystemClock().now()) < 60_000
    assert isinstance(SystemClock().now(), int)


def test_a_turned_clock_may_begin_anywhere() -> None:
    assert ManualClock(0).now() == 0
