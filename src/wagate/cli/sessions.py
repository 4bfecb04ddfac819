"""Sessions of a running gateway: WhatsApp accounts, linked or to be linked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from wagate.cli.client import Client, connect, session_path
from wagate.cli.linking import Linking
from wagate.cli.options import Json, KeyFile, Url, Yes
from wagate.cli.terminal import Failed, confirm, fields, moment, note, table, tell

app = typer.Typer(
    name="sessions", no_args_is_help=True, help="Sessions of a running gateway: the WhatsApp accounts it holds."
)

Id = Annotated[str, typer.Argument(metavar="SESSION", help="The session's id.")]


@app.command("list")
def list_them(url: Url = None, key_file: KeyFile = None, as_json: Json = False) -> None:
    """Show the sessions that the key may see."""
    found = connect(url, key_file).call("GET", "/sessions")["data"]
    tell(
        found,
        as_json=as_json,
        people=lambda: table(
            ["id", "label", "status", "number", "engine", "changed"],
            [
                (s["id"], s.get("label"), _status(s), s.get("phoneNumber"), s["engine"], moment(s["updatedAt"]))
                for s in found
            ],
            empty="There is no session yet; `wagate sessions create` makes one.",
        ),
    )


@app.command()
def create(
    label: Annotated[str | None, typer.Option(help="What it is for.", show_default=False)] = None,
    engine: Annotated[str | None, typer.Option(help="sandbox or whatsapp.", show_default=False)] = None,
    start: Annotated[bool, typer.Option("--start", help="Begin linking at once.")] = False,
    url: Url = None,
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """Make a session and print its id; `wagate sessions link` links it to an account."""
    wish = {"label": label, "engine": engine, "start": start or None}
    made = connect(url, key_file).call("POST", "/sessions", {name: v for name, v in wish.items() if v is not None})
    tell(made, as_json=as_json, people=lambda: typer.echo(made["id"]))


@app.command()
def show(session: Id, url: Url = None, key_file: KeyFile = None, as_json: Json = False) -> None:
    """Show one session."""
    found = connect(url, key_file).call("GET", session_path(session))
    tell(found, as_json=as_json, people=lambda: _fields(found))


@app.command()
def start(session: Id, url: Url = None, key_file: KeyFile = None, as_json: Json = False) -> None:
    """Connect a linked session."""
    _verb("start", session, connect(url, key_file), as_json)


@app.command()
def stop(session: Id, url: Url = None, key_file: KeyFile = None, as_json: Json = False) -> None:
    """Disconnect a session; it stays linked."""
    _verb("stop", session, connect(url, key_file), as_json)


@app.command()
def restart(session: Id, url: Url = None, key_file: KeyFile = None, as_json: Json = False) -> None:
    """Disconnect a linked session and connect it again."""
    _verb("restart", session, connect(url, key_file), as_json)


@app.command()
def logout(session: Id, url: Url = None, key_file: KeyFile = None, as_json: Json = False) -> None:
    """Unlink a session from its account; what it stored stays."""
    _verb("logout", session, connect(url, key_file), as_json)


@app.command()
def delete(session: Id, yes: Yes = False, url: Url = None, key_file: KeyFile = None, as_json: Json = False) -> None:
    """Remove a session with its keys and all that it stored."""
    client = connect(url, key_file)
    if not yes:
        found = client.call("GET", session_path(session))
        name = found.get("label") or found.get("phoneNumber") or found["id"]
        confirm(f"All that session {name} stored will be gone.")
    client.call("DELETE", session_path(session))
    tell({"id": session, "deleted": True}, as_json=as_json, people=lambda: typer.echo(f"{session} is gone."))


@app.command()
def link(
    session: Id,
    phone: Annotated[
        str | None, typer.Option(help="Link by a code to type on the phone with this number.", show_default=False)
    ] = None,
    scan: Annotated[bool, typer.Option("--scan", help="Sandbox only: let the pretend phone scan the code.")] = False,
    timeout: Annotated[int, typer.Option(min=1, max=3600, help="Seconds to wait for the phone.")] = 180,
    url: Url = None,
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """Link a session to an account: shows the QR code to scan, or a code to type, and waits until it works."""
    client = connect(url, key_file)
    found = client.call("GET", session_path(session))
    if found["status"] != "working":
        if "waJid" in found:
            raise Failed(f"The session is linked already and {_status(found)}: `wagate sessions start` connects it.")
        if found["engine"] == "sandbox" and not scan:
            note("This session is on the sandbox, where no phone is needed: --scan lets a pretend one scan the code.")
        found = Linking(client, session, phone=phone, scan=scan).finish(timeout)
    tell(found, as_json=as_json, people=lambda: typer.echo(f"{session} works as {found.get('phoneNumber', '?')}."))


def _verb(verb: str, session: str, client: Client, as_json: bool) -> None:
    found = client.call("POST", session_path(session, f":{verb}"))
    tell(found, as_json=as_json, people=lambda: typer.echo(f"{session} is {_status(found)}."))


def _status(found: Mapping[str, Any]) -> str:
    status = str(found["status"]).replace("_", " ")
    return f"{status} ({found['statusReason']})" if found.get("statusReason") else status


def _fields(found: Mapping[str, Any]) -> None:
    """The session's fields as the API calls them; moments as the clock shows them."""
    fields(
        (name, moment(value) if name.endswith("At") else {True: "yes", False: "no"}.get(value, value))
        for name, value in found.items()
    )
