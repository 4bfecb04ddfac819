"""Organizations of this machine's gateway, whether it runs or not."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from wagate.cli.options import DataDir, Json, run, settings
from wagate.cli.terminal import Failed, Misused, moment, table, tell
from wagate.config import Settings
from wagate.model.organizations import ORGANIZATION_ID, Organization

app = typer.Typer(name="orgs", no_args_is_help=True, help="Organizations: whom everything belongs to.")


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What it is called, 1 to 200 characters.")],
    id: Annotated[
        str | None,
        typer.Option("--id", help="Its id at the identity provider, where login tokens name it.", show_default=False),
    ] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Make an organization. It begins with nothing; `wagate keys create` makes its first key."""
    if not name.strip() or len(name) > 200 or not name.isprintable():
        raise Misused("The name of an organization has 1 to 200 characters and no control characters.")
    if id is not None and not re.fullmatch(ORGANIZATION_ID, id):
        raise Misused("--id: an id has 1 to 64 letters, digits, dashes and underscores.")
    made = run(_create(settings(data_dir=data_dir), name.strip(), id))
    tell(_shown(made), as_json=as_json, people=lambda: typer.echo(made.id))


@app.command("list")
def list_them(data_dir: DataDir = None, as_json: Json = False) -> None:
    """Show every organization, the oldest first."""
    found = run(_all(settings(data_dir=data_dir)))
    tell(
        [_shown(each) for each in found],
        as_json=as_json,
        people=lambda: table(
            ["id", "name", "created"],
            [(each.id, each.name, moment(each.created_at)) for each in found],
            empty="There is no organization yet; `wagate orgs create NAME` makes one.",
        ),
    )


async def _create(chosen: Settings, name: str, id: str | None) -> Organization:
    from wagate import bootstrap
    from wagate.gateway import organizations

    async with bootstrap.open_gateway(chosen) as gw:
        if id is not None and await organizations.find(gw, id) is not None:
            raise Failed(f"There is an organization with the id {id} already.")
        return await organizations.create(gw, name, id=id)


async def _all(chosen: Settings) -> list[Organization]:
    from wagate import bootstrap
    from wagate.gateway import organizations

    async with bootstrap.open_gateway(chosen) as gw:
        return await organizations.all_of_them(gw)


def _shown(organization: Organization) -> dict[str, object]:
    import msgspec

    shown: dict[str, object] = msgspec.to_builtins(organization)
    return shown
