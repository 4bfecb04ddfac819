"""API keys of this machine's gateway, whether it runs or not: a change counts from the very next request."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from wagate.cli.options import DataDir, Json, run, settings
from wagate.cli.terminal import Failed, Misused, moment, note, table, tell
from wagate.config import Settings
from wagate.model.organizations import CAPABILITIES, CreateKey, Key, NewKey, Organization

if TYPE_CHECKING:
    from wagate.gateway import Gateway

app = typer.Typer(name="keys", no_args_is_help=True, help="API keys: what programs call the gateway with.")

_UNITS = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_LONGEST = 100 * 365 * 86_400


@app.command()
def create(
    name: Annotated[str, typer.Option(help="What the key is for.")],
    permission: Annotated[
        list[str], typer.Option(metavar="|".join([*CAPABILITIES, "all"]), help="What it may do; give it once for each.")
    ],
    org: Annotated[
        str | None,
        typer.Option(help="Whose it is: id or name. May be left out while there is only one.", show_default=False),
    ] = None,
    expires_in: Annotated[
        str | None, typer.Option(metavar="TIME", help="Such as 12h, 30d or 8w; else never.", show_default=False)
    ] = None,
    session: Annotated[
        list[str] | None,
        typer.Option(help="A session that it may touch; give it once for each. Else all of them.", show_default=False),
    ] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Make a key and show it: this is the only time. Standard output holds nothing but the key."""
    wish = _wish(name, permission, expires_in, session)
    made = run(_create(settings(data_dir=data_dir), org, wish))

    def people() -> None:
        note(f"{made.id} ({', '.join(made.permissions)}). Keep it safe: it is not stored and not shown again.")
        typer.echo(made.secret)

    tell(msgspec.to_builtins(made), as_json=as_json, people=people)


@app.command("list")
def list_them(
    org: Annotated[str | None, typer.Option(help="Only this one's: id or name.", show_default=False)] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Show the keys of one organization or of all, without their secrets."""
    found = run(_all(settings(data_dir=data_dir), org))
    tell(
        [{"organizationId": owner.id, **msgspec.to_builtins(key)} for owner, key in found],
        as_json=as_json,
        people=lambda: table(
            ["id", "organization", "name", "begins", "permissions", "sessions", "expires", "last used"],
            [_row(owner, key) for owner, key in found],
            empty="There is no key yet; `wagate keys create` makes one.",
        ),
    )


@app.command()
def revoke(
    id: Annotated[str, typer.Argument(help="As `wagate keys list` shows it: key_…")],
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Remove a key at once: the next request with it is refused."""
    run(_revoke(settings(data_dir=data_dir), id))
    tell({"id": id, "revoked": True}, as_json=as_json, people=lambda: typer.echo(f"{id} is revoked."))


def _wish(name: str, permissions: list[str], expires_in: str | None, sessions: list[str] | None) -> CreateKey:
    named = [each.strip() for written in permissions for each in written.split(",")]
    if strange := [each for each in named if each not in (*CAPABILITIES, "all")]:
        raise Misused(f"--permission: {strange[0][:40]!r} is none of {', '.join(CAPABILITIES)} and all.")
    allowed = CAPABILITIES if "all" in named else dict.fromkeys(named)
    fields: dict[str, object] = {"name": name, "permissions": list(allowed)}
    if expires_in is not None:
        fields["expiresAt"] = time.time_ns() // 1_000_000 + _seconds(expires_in) * 1000
    if sessions:
        fields["sessionIds"] = list(dict.fromkeys(sessions))
    try:
        return msgspec.convert(fields, CreateKey)
    except msgspec.ValidationError:
        raise Misused("The name and each session id are one line of 1 to 200 characters.") from None


def _seconds(written: str) -> int:
    found = re.fullmatch(r"([1-9]\d{0,9})([mhdw])", written.strip().lower(), re.ASCII)
    seconds = int(found[1]) * _UNITS[found[2]] if found else 0
    if not 0 < seconds <= _LONGEST:
        raise Misused(f"--expires-in: {written[:40]!r} is no time such as 90m, 12h, 30d or 8w.")
    return seconds


def _row(owner: Organization, key: Key) -> list[str]:
    return [
        key.id,
        owner.name,
        key.name,
        f"{key.prefix}…",
        "all" if len(key.permissions) == len(CAPABILITIES) else ", ".join(key.permissions),
        ", ".join(key.session_ids) if isinstance(key.session_ids, list) else "all",
        moment(key.expires_at) if isinstance(key.expires_at, int) else "never",
        moment(key.last_used_at) if isinstance(key.last_used_at, int) else "never",
    ]


async def _owners(gw: Gateway, wanted: str | None) -> list[Organization]:
    """The organization with this id or name; every one when none is wanted."""
    from wagate.gateway import organizations

    every = await organizations.all_of_them(gw)
    if wanted is None:
        return every
    found = [each for each in every if each.id == wanted] or [each for each in every if each.name == wanted]
    if not found:
        raise Failed(f"There is no organization {wanted[:200]!r}; `wagate orgs list` shows them.")
    if len(found) > 1:
        raise Failed(f"{len(found)} organizations are called {wanted!r}: name one by its id.")
    return found


async def _create(chosen: Settings, org: str | None, wish: CreateKey) -> NewKey:
    from wagate import bootstrap
    from wagate.gateway import keys

    async with bootstrap.open_gateway(chosen) as gw:
        owners = await _owners(gw, org)
        if len(owners) != 1:
            raise Misused(
                "There are several organizations: name one with --org."
                if owners
                else "There is no organization yet: make one with `wagate orgs create NAME`."
            )
        return await keys.create(gw, owners[0].id, wish)


async def _all(chosen: Settings, org: str | None) -> list[tuple[Organization, Key]]:
    from wagate import bootstrap
    from wagate.gateway import keys

    async with bootstrap.open_gateway(chosen) as gw:
        return [(owner, key) for owner in await _owners(gw, org) for key in await keys.of(gw, owner.id)]


async def _revoke(chosen: Settings, id: str) -> None:
    from wagate import bootstrap
    from wagate.gateway import keys

    async with bootstrap.open_gateway(chosen) as gw:
        await keys.revoke(gw, id)
