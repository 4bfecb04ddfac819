"""Login tokens: why the gateway takes one, or does not. Whoever sends it is told neither; the operator is, here."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wagate.cli.options import DataDir, Json, run, settings
from wagate.cli.terminal import FAILED, Failed, fields, moment, note, sentence, tell
from wagate.config import Settings

if TYPE_CHECKING:
    from wagate.backends.tokens import Claims

app = typer.Typer(
    name="tokens", no_args_is_help=True, help="Login tokens of people, as the identity provider gives them."
)

_MOST = 64 * 1024
_TIMES = ("exp", "nbf", "iat")


@app.command()
def inspect(
    token: Annotated[list[str], typer.Argument(help="The token; - reads it from standard input.", show_default=False)],
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Say whether a login token is good now and what it opens, or why it is refused.

    It is judged as the gateway would, by the keys that the provider publishes at this moment. It is never printed.
    Give it by standard input, so that it does not stay in the shell's history: `wagate tokens inspect - < file`.
    """
    chosen = settings(data_dir=data_dir)
    if not chosen.jwks_url:
        raise Failed("No identity provider is named: set WAGATE_JWKS_URL, WAGATE_JWT_ISSUER and WAGATE_JWT_AUDIENCE.")
    told = run(_judged(chosen, _given(token)))
    tell(told, as_json=as_json, people=lambda: _print(told))
    if not told["accepted"]:
        if not as_json:
            note(sentence(f"Refused: {told['reason']}"))
        raise typer.Exit(FAILED)


def _given(words: list[str]) -> bytes:
    """The token, also where somebody copied the whole header's value."""
    text = sys.stdin.read(_MOST) if words == ["-"] else " ".join(words)
    scheme, _, rest = text.strip().partition(" ")
    # What is no UTF-8 came in as surrogates.
    return (rest if scheme.lower() == "bearer" else text).strip().encode(errors="surrogateescape")


async def _judged(chosen: Settings, token: bytes) -> dict[str, Any]:
    from wagate import bootstrap
    from wagate.backends.tokens import TokenRefused
    from wagate.clock import SystemClock
    from wagate.gateway.people import granted

    told: dict[str, Any] = {"accepted": False, **_written(chosen, token)}
    try:
        claims = await bootstrap.inspected(chosen, token, SystemClock())
    except TokenRefused as refusal:
        return {**told, "reason": refusal.reason} | ({} if refusal.found is None else {"found": _shown(refusal.found)})
    except bootstrap.KEYS_MISSING as error:
        return {**told, "reason": f"the provider's keys cannot be had: {error}"}
    known = await _known(chosen, claims)
    opens = sorted(granted(claims)) if known is not False else sorted(granted(claims) & {"super_admin"})
    return {**told, "accepted": True, "opens": opens, "organizationIsHere": known}


async def _known(chosen: Settings, claims: Claims) -> bool | None:
    """Whether the organization is here, or would be made; None: there is no telling."""
    from wagate import bootstrap
    from wagate.gateway import organizations
    from wagate.gateway.people import founds

    if claims.organization_id is None:
        return False
    if chosen.jwt_create_orgs and founds(claims):
        return True
    try:
        async with bootstrap.open_gateway(chosen) as gw:
            return await organizations.find(gw, claims.organization_id) is not None
    except bootstrap.CannotStart:
        return None


def _written(chosen: Settings, token: bytes) -> dict[str, Any]:
    """What stands in the token, as far as it can be read; none of it is proved."""
    import msgspec

    from wagate.backends.tokens import MOST_BYTES, TokenRefused, parts, payload_of, said_in

    if len(token) > MOST_BYTES:
        return {}
    try:
        _, head, body, _ = parts(token)
        header, payload = payload_of(head), payload_of(body)
    except (TokenRefused, msgspec.MsgspecError):
        return {}
    names = [chosen.jwt_user_claim, chosen.jwt_org_claim, chosen.jwt_org_role_claim, chosen.jwt_role_claim]
    claims = {name: said_in(payload, name) for name in dict.fromkeys(["iss", "aud", *_TIMES, *names])}
    return {
        "header": {name: _shown(header[name]) for name in ("alg", "kid", "typ") if name in header},
        "claims": {name: _shown(value) for name, value in claims.items() if value is not None},
    }


def _shown(value: Any) -> Any:
    """A value of a stranger's, fit for a terminal."""
    if isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else str(value)
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text[:200])


def _print(told: dict[str, Any]) -> None:
    claims = told.get("claims", {})
    fields([*told.get("header", {}).items(), *((name, _moment(name, value)) for name, value in claims.items())])
    if "found" in told:
        fields([("found", told["found"])])
    if told["accepted"]:
        typer.echo()
        typer.echo(_opens(told["opens"], told["organizationIsHere"]))


def _opens(opens: list[str], known: bool | None) -> str:
    if not opens:
        why = (
            "its role there is none of owner, admin and member"
            if known
            else "its organization is missing or unknown here"
        )
        return f"Good, and it opens nothing: {why}."
    more = "" if known is not None else " Whether its organization is here cannot be told: there is no database yet."
    return f"Good. It opens {', '.join(opens)}.{more}"


def _moment(name: str, value: Any) -> Any:
    if name not in _TIMES or isinstance(value, str | bool) or not abs(value) < 1e11:
        return value
    return f"{moment(int(value * 1000))}"
