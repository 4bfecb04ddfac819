"""Webhooks and their deliveries, and when a failed one is tried again."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from wagate.model import Ask, Line, Maybe, Millis, Shape
from wagate.model.organizations import SessionId

Growth = Literal["exponential", "linear", "constant"]
DeliveryStatus = Literal["pending", "delivered", "failed", "dead"]

LONGEST_WAIT = 3600.0
"""Seconds. No delivery waits longer for its next attempt, whoever asks for it."""
JITTER = 0.2
"""By which part a wait is made shorter or longer, so that what failed together does not come back together."""

Url = Annotated[Line, Meta(min_length=1, max_length=2048)]
Events = Annotated[list[Annotated[Line, Meta(min_length=1, max_length=100)]], Meta(max_length=100)]
Secret = Annotated[str, Meta(min_length=1, max_length=256, pattern=r"^(?![\s\S]*[^!-~])")]
CustomHeaders = Annotated[
    dict[Annotated[Line, Meta(min_length=1, max_length=256)], Annotated[str, Meta(max_length=8192)]],
    Meta(max_length=50),
]
Delay = Annotated[int, Meta(ge=1, le=3600)]
Attempts = Annotated[int, Meta(ge=1, le=50)]


class RetryPolicy(Shape, frozen=True, kw_only=True):
    """How often a delivery is tried, and how long it waits in between."""

    policy: Growth = "exponential"
    delay_seconds: int = 2
    attempts: int = 15


class RetryPolicyWish(Ask, frozen=True, kw_only=True):
    """As much of a retry policy as is to be chosen."""

    policy: Growth | None = None
    delay_seconds: Delay | None = None
    attempts: Attempts | None = None


class Webhook(Shape, frozen=True, kw_only=True):
    """A customer's address that events are posted to. Its secret is never shown."""

    id: str
    organization_id: str
    url: str
    events: list[str]
    retry_policy: RetryPolicy
    active: bool
    ordered: bool
    created_at: Millis
    updated_at: Millis
    session_id: Maybe[str] = UNSET
    custom_headers: Maybe[dict[str, str]] = UNSET


class CreateWebhook(Ask, frozen=True, kw_only=True):
    """A new webhook. `events`: `*` is all, a list is exact, an empty one is none; absent `sessionId`: every session.

    `ordered`: within a session, an event waits until the one before it is delivered or dead.
    """

    url: Url
    events: Events | None = None
    session_id: SessionId | None = None
    custom_headers: CustomHeaders | None = None
    retry_policy: RetryPolicyWish | None = None
    secret: Secret | None = None
    active: bool | None = None
    ordered: bool | None = None


class UpdateWebhook(Ask, frozen=True, kw_only=True):
    """What is to change. `null` clears `sessionId`, `customHeaders` and `secret`; elsewhere it counts as absent.

    A new secret takes the place of the old one, which signs beside it for 24 hours.
    """

    url: Url | None = None
    events: Events | None = None
    session_id: SessionId | UnsetType | None = UNSET
    custom_headers: CustomHeaders | UnsetType | None = UNSET
    retry_policy: RetryPolicyWish | None = None
    secret: Secret | UnsetType | None = UNSET
    active: bool | None = None
    ordered: bool | None = None


class Delivery(Shape, frozen=True, kw_only=True):
    """One event on its way to one webhook."""

    id: str
    event_id: str
    status: DeliveryStatus
    attempts: int
    created_at: Millis
    next_attempt_at: Maybe[Millis] = UNSET
    last_response_code: Maybe[int] = UNSET
    last_error: Maybe[str] = UNSET


class TestResult(Shape, frozen=True, kw_only=True):
    """What came of a test. Without a `responseCode` there was no answer; `lastError` says why."""

    __test__ = False

    status: Literal["delivered", "failed"]
    duration_ms: int
    response_code: Maybe[int] = UNSET
    last_error: Maybe[str] = UNSET


def wait_before(
    policy: RetryPolicy, failed: int, *, asked: float | None = None, draw: Callable[[], float] = random.random
) -> float:
    """Seconds until the next attempt, after `failed` of them: pure but for `draw`, which gives 0 to 1.

    `asked` is what the receiver's `Retry-After` said: never sooner than that, and nothing later than an hour.
    """
    if policy.policy == "exponential":
        # Beyond 2^12 every delay is longer than the longest wait.
        wait = float(policy.delay_seconds << min(failed - 1, 12))
    else:
        wait = float(policy.delay_seconds * (failed if policy.policy == "linear" else 1))
    wait *= 1 - JITTER + 2 * JITTER * draw()
    return min(max(wait, asked or 0.0), LONGEST_WAIT)
