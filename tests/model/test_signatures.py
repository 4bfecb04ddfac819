"""What is signed is what a receiver can check: by the published vector, by the neutral library, by our own function."""

from __future__ import annotations

import hashlib
import hmac
import time

import pytest
from standardwebhooks.webhooks import Webhook as Standard

import wagate
from wagate.errors import BadRequest
from wagate.model.signatures import SignatureRefused, headers_of, key_of, verify

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'
NOW = 1_614_265_330_000


def signed(*secrets: str, now: int = NOW) -> dict[str, str]:
    return headers_of("msg_p5jXN8AQM9LWM0D4loKWxJek", BODY, now, secrets)


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-signature": ""},
        {"webhook-id": "another"},
        {"webhook-timestamp": "1614265331"},
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": "²"},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1,é"},
        {"webhook-signature": "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
    ],
    ids=str,
)
def test_what_was_changed_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(SignatureRefused):
        verify(BODY, signed(SECRET) | change, SECRET, now=NOW)


def test_another_body_another_secret_and_another_time_are_refused() -> None:
    for body, secret, now in ((BODY + b" ", SECRET, NOW), (BODY, "other", NOW), (BODY, SECRET, NOW + 301_000)):
        with pytest.raises(SignatureRefused):
            verify(body, signed(SECRET), secret, now=now)
    with pytest.raises(SignatureRefused):
        verify(BODY, signed(), SECRET, now=NOW)
    for body, stamp in ((b"\xff", "1614265330"), (BODY, "999999999999")):
        with pytest.raises(SignatureRefused):
            verify(body, signed(SECRET) | {"webhook-timestamp": stamp}, SECRET, now=NOW, tolerance=1e15)


@pytest.mark.parametrize("secret", ["whsec_", "whsec_!!", "whsec_a"])
def test_a_secret_that_promises_base64_and_holds_none_is_refused(secret: str) -> None:
    with pytest.raises(BadRequest):
        key_of(secret)


def test_the_published_vector() -> None:
    headers = signed(SECRET)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert headers["webhook-timestamp"] == "1614265330"
    assert headers["X-Webhook-Timestamp"] == str(NOW)
    assert headers["webhook-id"] == headers["X-Webhook-Request-Id"] == "msg_p5jXN8AQM9LWM0D4loKWxJek"


@pytest.mark.parametrize("secret", [SECRET, "plain words!"])
def test_the_own_signature_is_over_the_raw_body_with_the_secret_as_it_is_written(secret: str) -> None:
    headers = signed(secret)
    assert headers["X-Webhook-Hmac"] == hmac.new(secret.encode(), BODY, hashlib.sha512).hexdigest()
    assert headers["X-Webhook-Hmac-Algorithm"] == "sha512"


def test_without_a_secret_nothing_is_signed() -> None:
    assert set(signed()) == {
        "Content-Type", "X-Webhook-Request-Id", "X-Webhook-Timestamp", "webhook-id", "webhook-timestamp"
    }  # fmt: skip


@pytest.mark.parametrize("secret", ["new", SECRET])
def test_during_a_rotation_both_secrets_verify_and_the_newest_makes_the_own_signature(secret: str) -> None:
    now = int(time.time() * 1000)
    headers = signed(secret, "old", now=now)
    for each in (secret, "old"):
        assert wagate.verify_webhook(BODY, headers, each) == {"test": 2432232314}
        key = each if each.startswith("whsec_") else each.encode()
        assert Standard(key).verify(BODY, headers) == {"test": 2432232314}
    assert headers["X-Webhook-Hmac"] == signed(secret)["X-Webhook-Hmac"]
