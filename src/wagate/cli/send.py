"""Send a text by a running gateway."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from wagate.cli.client import connect, session_path
from wagate.cli.options import Json, KeyFile, Url
from wagate.cli.terminal import Misused, tell

_WAITS = 660  # a little longer than the longest WAGATE_SEND_TIMEOUT


app = typer.Typer()


@app.command()
def send(
    text: Annotated[str, typer.Argument(help="What to say; - reads it from standard input.")],
    session: Annotated[str, typer.Option(help="Who sends: a session's id.")],
    to: Annotated[str, typer.Option(help="To whom: a phone number, or the JID of a person or a group.")],
    reply_to: Annotated[
        str | None, typer.Option(help="The id of the message that this answers.", show_default=False)
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            "--idempotency-key", help="Sent again with the same key, it is not said twice.", show_default=False
        ),
    ] = None,
    later: Annotated[bool, typer.Option("--async", help="Do not wait for WhatsApp: accepted is enough.")] = False,
    url: Url = None,
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """Send a text and wait until WhatsApp has it; print the message's id."""
    said = sys.stdin.read().rstrip("\n") if text == "-" else text
    if not said:
        raise Misused("There is nothing to send.")
    body = {"type": "text", "to": to, "text": said} | ({} if reply_to is None else {"replyTo": reply_to})
    result: dict[str, Any] = connect(url, key_file).call(
        "POST",
        session_path(session, "/messages?async=true" if later else "/messages"),
        body,
        headers={} if key is None else {"Idempotency-Key": key},
        timeout=_WAITS,
    )
    name = result.get("waMessageId") or result.get("outboxId")
    again = ", as before" if result.get("replayed") else ""
    tell(result, as_json=as_json, people=lambda: typer.echo(f"{result.get('status', 'accepted')}{again}  {name}"))
