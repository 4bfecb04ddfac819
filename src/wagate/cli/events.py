"""The event log of a running gateway."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from wagate.cli.client import Answered, Client, connect
from wagate.cli.options import Json, KeyFile, Url
from wagate.cli.terminal import Failed, event_line

app = typer.Typer(name="events", no_args_is_help=True, help="What happens, as the event log tells it.")

_WAIT = 30
_NOTHING = "-"
"""A name that no event has: reading with it finds where the log ends."""


@app.callback()
def _events() -> None:
    """A group, also while it has one command."""


@app.command()
def tail(
    after: Annotated[
        str | None, typer.Option(help="Begin behind this event's id instead of with what is new.", show_default=False)
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Begin with the oldest event that is kept.")] = False,
    event: Annotated[
        list[str] | None, typer.Option(help="Only events of this name; can be given again.", show_default=False)
    ] = None,
    session: Annotated[str | None, typer.Option(help="Only this session's.", show_default=False)] = None,
    url: Url = None,
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """Show events as they happen, a line each, until it is interrupted; it goes on when the gateway comes back."""
    client = connect(url, key_file)
    wish = ({"events": ",".join(event)} if event else {}) | ({"session": session} if session else {})
    cursor = after or ("" if everything else _end(client))
    while True:
        try:
            page = _page(client, wish | {"wait": str(_WAIT), "limit": "200"}, cursor)
        except Failed as failed:
            # A request that cannot be right is not asked again; a gateway that cannot answer just now is.
            if isinstance(failed, Answered) and failed.status < 500:
                raise
            typer.echo(str(failed), err=True)
            time.sleep(1)
            continue
        for each in page["data"]:
            typer.echo(json.dumps(each, ensure_ascii=False) if as_json else event_line(each))
        cursor = page["nextCursor"]


def _end(client: Client) -> str:
    """The id of the last event that there is."""
    cursor = ""
    while True:
        found = _page(client, {"events": _NOTHING}, cursor)["nextCursor"]
        if found == cursor:
            return cursor
        cursor = found


def _page(client: Client, wish: dict[str, str], cursor: str) -> dict[str, Any]:
    query = urlencode(wish | ({"after": cursor} if cursor else {}))
    page: dict[str, Any] = client.call("GET", f"/events?{query}", timeout=_WAIT + 30)
    return page
