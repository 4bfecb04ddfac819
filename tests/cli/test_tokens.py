"""`wagate tokens inspect` tells the operator what no caller is told, and shows no token; the doctor sees the keys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_doctor import findings
from tests.support.command import Ended, wagate
from tests.support.logins import Provider, jwk, providing, signed

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with providing() as made:
        yield made


def inspect(provider: Provider, folder: Path, *words: str, stdin: str = "", **settings: str) -> Ended:
    given = {"data_dir": str(folder / "data"), **provider.settings, **settings}
    return wagate("tokens", "inspect", *words, stdin=stdin, **given)


def shows_no_token(ended: Ended, token: str) -> None:
    assert not any(piece in ended.out + ended.err for piece in token.split(".") if len(piece) > 20)


def test_without_a_provider_there_is_nothing_to_judge_by(tmp_path: Path) -> None:
    ended = wagate("tokens", "inspect", "a.b.c", data_dir=str(tmp_path))
    assert ended.code == 1
    assert "WAGATE_JWKS_URL" in ended.err


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        ({"iss": "https://other.example"}, "WAGATE_JWT_ISSUER"),
        ({"exp": -60}, "expired"),
        ({"number": 7}, "signature"),
        ({"header": {"kid": "other"}}, "`kid`"),
        ({"header": {"alg": "HS256"}}, "`alg`"),
    ],
    ids=str,
)
def test_a_refusal_is_told_with_its_reason(provider: Provider, tmp_path: Path, spoil: Any, why: str) -> None:
    token = provider.token("acme", **spoil)
    ended = inspect(provider, tmp_path, token)
    assert ended.code == 1
    assert why in ended.err
    assert "acme" in ended.out
    shows_no_token(ended, token)


@pytest.mark.parametrize(
    "words", [["nonsense"], ["x" * 9000], ["a", "b.c.d"], ["e30.W10.xyz"], ["\udcff.a.b"]], ids=range(5)
)
def test_what_is_no_token_is_told_without_showing_it(provider: Provider, tmp_path: Path, words: list[str]) -> None:
    ended = inspect(provider, tmp_path, *words)
    assert ended.code == 1
    assert ended.err.startswith("Refused: ")
    assert words[-1] not in ended.out + ended.err


def test_what_a_stranger_wrote_reaches_no_terminal_as_it_is(provider: Provider, tmp_path: Path) -> None:
    token = signed(provider.claims("acme", sub="\x1b[2J\x07" + "x" * 500), number=9, header={"kid": "\x1b[31m"})
    ended = inspect(provider, tmp_path, token)
    assert "\x1b" not in ended.out + ended.err
    assert "x" * 300 not in ended.out


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose gateway has the organization `acme`."""
    folder = tmp_path_factory.mktemp("home")
    wagate("db", "upgrade", data_dir=str(folder / "data"))
    made = wagate("orgs", "create", "Acme", "--id", "acme", data_dir=str(folder / "data"))
    assert (made.code, made.out) == (0, "acme\n")
    return folder


def test_an_id_is_given_once(home: Path) -> None:
    again = wagate("orgs", "create", "Acme", "--id", "acme", data_dir=str(home / "data"))
    assert (again.code, again.out) == (1, "")
    assert "already" in again.err


def test_a_good_token_is_told_what_it_opens(provider: Provider, home: Path) -> None:
    token = provider.token("acme", "member")
    ended = inspect(provider, home, "-", stdin=token)
    assert ended.code == 0
    assert "It opens events, read, send." in ended.out
    shows_no_token(ended, token)
    whole = inspect(provider, home, "Bearer", token, "--json").json
    assert whole["header"] == {"alg": "EdDSA", "kid": "EdDSA", "typ": "JWT"}
    assert (whole["accepted"], whole["claims"]["activeOrganizationId"]) == (True, "acme")


@pytest.mark.parametrize(
    ("who", "opens"),
    [
        ({"organization": "nowhere"}, "opens nothing"),
        ({"organization": "acme", "role": "guest"}, "opens nothing"),
        ({"platform": "super_admin"}, "It opens super_admin."),
    ],
    ids=str,
)
def test_a_good_token_may_open_nothing_or_everything(provider: Provider, home: Path, who: Any, opens: str) -> None:
    ended = inspect(provider, home, "-", stdin=f"Bearer {provider.token(**who)}\n")
    assert ended.code == 0
    assert opens in ended.out


def test_keys_that_cannot_be_had_are_told(provider: Provider, tmp_path: Path) -> None:
    ended = inspect(provider, tmp_path, provider.token("acme"), jwks_url="http://127.0.0.1:1/jwks")
    assert ended.code == 1
    assert "keys cannot be had" in ended.err


@pytest.mark.parametrize("id", ["a b", "a.b", "x" * 65, ""], ids=range(4))
def test_an_id_that_could_be_none_is_refused(id: str, tmp_path: Path) -> None:
    assert wagate("orgs", "create", "Acme", "--id", id, data_dir=str(tmp_path)).code == 2


def doctor(provider: Provider, folder: Path, **settings: str) -> Ended:
    return wagate("doctor", "--json", **{"data_dir": str(folder), "port": "0", **provider.settings, **settings})


def test_the_doctor_says_which_keys_there_are_and_which_are_left_out(provider: Provider, tmp_path: Path) -> None:
    good = provider.answer
    provider.publish(jwk("EdDSA", kid="one"), jwk("RS1024", kid="weak"))
    ended = doctor(provider, tmp_path, jwks_url=provider.url + "?secret=hunter2")
    assert ended.code == 0, ended.out
    told = [each for each in ended.json["findings"] if each["check"] == "logins"]
    assert [each["state"] for each in told] == ["ok", "note"]
    assert "one (EdDSA)" in told[0]["found"]
    assert "weak" in told[1]["found"]
    assert "hunter2" not in ended.out + ended.err
    assert ended.json["set"]["WAGATE_JWKS_URL"] == f"{provider.url}?…"
    assert "hunter2" not in doctor(provider, tmp_path, jwks_url="ftp://keys.test/?secret=hunter2").err
    provider.answer = good


@pytest.mark.parametrize("bad", [(500, b""), b"<html></html>", b'{"keys":[]}'], ids=repr)
def test_the_doctor_misses_keys(provider: Provider, tmp_path: Path, bad: Any) -> None:
    good, provider.answer = provider.answer, bad
    ended = doctor(provider, tmp_path)
    provider.answer = good
    assert ended.code == 1
    assert findings(ended)["logins"]["state"] == "missing"
    assert "WAGATE_JWKS_URL" in findings(ended)["logins"]["mend"]
