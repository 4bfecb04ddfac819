"""When a failed delivery is tried again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wagate.model.webhooks import JITTER, LONGEST_WAIT, Growth, RetryPolicy, wait_before


def exactly(policy: RetryPolicy, failed: int, asked: float | None = None) -> float:
    return wait_before(policy, failed, asked=asked, draw=lambda: 0.5)


@pytest.mark.parametrize(
    ("growth", "waits"),
    [
        ("exponential", [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600]),
        ("linear", [2, 4, 6, 8, 10, 12]),
        ("constant", [2, 2, 2, 2]),
    ],
)
def test_waits_grow_as_the_policy_says(growth: Growth, waits: list[float]) -> None:
    policy = RetryPolicy(policy=growth)
    assert [exactly(policy, failed) for failed in range(1, len(waits) + 1)] == waits


def test_a_receiver_that_asks_for_more_time_gets_it_and_never_more_than_an_hour() -> None:
    policy = RetryPolicy(policy="constant")
    assert exactly(policy, 1, 30) == 30
    assert exactly(policy, 1, 1) == 2
    assert exactly(policy, 1, 10**9) == LONGEST_WAIT


@given(
    st.sampled_from(["exponential", "linear", "constant"]), st.integers(1, 3600), st.integers(1, 50), st.floats(0, 1)
)
def test_no_wait_is_longer_than_an_hour_nor_far_from_its_middle(
    growth: Growth, delay: int, failed: int, draw: float
) -> None:
    policy = RetryPolicy(policy=growth, delay_seconds=delay)
    wait, middle = wait_before(policy, failed, draw=lambda: draw), exactly(policy, failed)
    assert 0 < wait <= LONGEST_WAIT
    assert wait >= middle * (1 - JITTER) - 0.001
    assert wait <= middle * (1 + JITTER) + 0.001
