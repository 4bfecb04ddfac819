"""Webhooks of a running gateway: which there are, what became of their deliveries, and a receiver to try them with."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlencode, urlsplit

import typer

from wagate.cli.client import Answered, Client, connect
from wagate.cli.options import Json, KeyFile, Url, Yes
from wagate.cli.terminal import Failed, Misused, confirm, fields, moment, note, table, tell
from wagate.config import is_loopback

app = typer.Typer(
    name="webhooks", no_args_is_help=True, help="Webhooks of a running gateway: addresses that events are posted to."
)

Id = Annotated[str, typer.Argument(metavar="WEBHOOK", help="The webhook's id: wh_…")]
Names = Annotated[
    list[str] | None, typer.Option("--event", help="Only events of this name; can be given again.", show_default=False)
]
Session = Annotated[str | None, typer.Option(help="Only this session's.", show_default=False)]
SecretFile = Annotated[
    Path | None,
    typer.Option(metavar="PATH", help="A file that holds the secret to use, instead of a new one.", show_default=False),
]


@app.command("list")
def list_them(url: Url = None, key_file: KeyFile = None, as_json: Json = False) -> None:
    """Show the webhooks that the key may see."""
    found = connect(url, key_file).call("GET", "/webhooks")["data"]
    tell(
        found,
        as_json=as_json,
        people=lambda: table(
            ["id", "url", "events", "session", "state", "made"],
            [
                (h["id"], h["url"], _events(h), h.get("sessionId", "all"), _state(h), moment(h["createdAt"]))
                for h in found
            ],
            empty="There is no webhook yet; `wagate webhooks create` makes one.",
        ),
    )


@app.command()
def create(
    to: Annotated[str, typer.Argument(metavar="TO", help="The URL that events are posted to.")],
    event: Names = None,
    session: Session = None,
    ordered: Annotated[
        bool, typer.Option("--ordered", help="In each session, the next event waits for the one before.")
    ] = False,
    secret_file: SecretFile = None,
    url: Url = None,
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """Make a webhook and print its id; a secret that is made for it is shown this once, on standard error."""
    secret = _secret(secret_file)
    made = connect(url, key_file).call(
        "POST", "/webhooks", _wish(to, event, session) | {"ordered": ordered, "secret": secret}
    )

    def people() -> None:
        if secret_file is None:
            note(f"Its secret, shown this once: {secret}")
        typer.echo(made["id"])

    tell(made | ({"secret": secret} if secret_file is None else {}), as_json=as_json, people=people)


@app.command()
def show(webhook: Id, url: Url = None, key_file: KeyFile = None, as_json: Json = False) -> None:
    """Show one webhook."""
    found = connect(url, key_file).call("GET", _path(webhook))
    shown = found | {"events": _events(found), "retryPolicy": " ".join(map(str, found["retryPolicy"].values()))}
    shown["customHeaders"] = ", ".join(found.get("customHeaders", ()))
    people = [(name, moment(value) if name.endswith("At") else value) for name, value in shown.items()]
    tell(found, as_json=as_json, people=lambda: fields(people))


@app.command()
def enable(webhook: Id, url: Url = None, key_file: KeyFile = None, as_json: Json = False) -> None:
    """Switch a webhook on; what was waiting for it is delivered now."""
    _switch(webhook, connect(url, key_file), as_json, on=True)


@app.command()
def disable(webhook: Id, url: Url = None, key_file: KeyFile = None, as_json: Json = False) -> None:
    """Switch a webhook off; nothing is delivered until it is switched on."""
    _switch(webhook, connect(url, key_file), as_json, on=False)


@app.command()
def delete(webhook: Id, yes: Yes = False, url: Url = None, key_file: KeyFile = None, as_json: Json = False) -> None:
    """Remove a webhook and its deliveries."""
    client = connect(url, key_file)
    if not yes:
        confirm(f"Whatever was not delivered to {client.call('GET', _path(webhook))['url']} will be gone.")
    client.call("DELETE", _path(webhook))
    tell({"id": webhook, "deleted": True}, as_json=as_json, people=lambda: typer.echo(f"{webhook} is gone."))


@app.command("test")
def try_out(webhook: Id, url: Url = None, key_file: KeyFile = None, as_json: Json = False) -> None:
    """Post a `webhook.test` at once and say what came of it; ends with 1 when it was not taken."""
    found = connect(url, key_file).call("POST", _path(webhook, ":test"))
    said = found.get("lastError") or f"it answered {found.get('responseCode')}"
    tell(found, as_json=as_json, people=lambda: typer.echo(f"{found['status']} in {found['durationMs']} ms, {said}."))
    if found["status"] != "delivered":
        raise typer.Exit(1)


@app.command()
def deliveries(
    webhook: Id,
    status: Annotated[
        str | None, typer.Option(metavar="pending|delivered|failed|dead", help="Only those that stand so.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many, the newest first.")] = 50,
    url: Url = None,
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """Show what became of events on their way to a webhook."""
    query = urlencode({"limit": limit} | ({"status": status} if status else {}))
    found = connect(url, key_file).call("GET", _path(webhook, f"/deliveries?{query}"))["data"]
    tell(
        found,
        as_json=as_json,
        people=lambda: table(
            ["id", "status", "attempts", "made", "next attempt", "answer", "error"],
            [
                (d["id"], d["status"], d["attempts"], moment(d["createdAt"]), moment(d.get("nextAttemptAt")), *_came(d))
                for d in found
            ],
            empty="There is no such delivery.",
        ),
    )


@app.command()
def replay(
    webhook: Id,
    delivery: Annotated[
        str | None, typer.Argument(metavar="[DELIVERY]", help="One delivery, by its id.", show_default=False)
    ] = None,
    dead: Annotated[bool, typer.Option("--dead", help="All that were given up.")] = False,
    url: Url = None,
    key_file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """Deliver again, with all attempts: one delivery, or all that are dead."""
    if (delivery is not None) == dead:
        raise Misused("Name one delivery, or say --dead for all that were given up.")
    rest = ":replay-dead" if delivery is None else f"/deliveries/{quote(delivery, safe='')}:replay"
    connect(url, key_file).call("POST", _path(webhook, rest))
    what = "What was dead" if delivery is None else delivery
    tell({"replayed": True}, as_json=as_json, people=lambda: typer.echo(f"{what} is on its way again."))


@app.command()
def listen(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where to listen on 127.0.0.1; 0 is a free port.")] = 0,
    event: Names = None,
    session: Session = None,
    status: Annotated[
        int, typer.Option(min=200, max=599, help="What to answer to what is verified; try retries with 500.")
    ] = 204,
    forward_to: Annotated[
        str | None,
        typer.Option(
            metavar="TARGET",
            help="A URL on this machine that gets what is verified; its status is the answer.",
            show_default=False,
        ),
    ] = None,
    reached_as: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="The URL that leads here from the gateway, through a tunnel.", show_default=False
        ),
    ] = None,
    secret_file: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="A file that holds a webhook's secret: then no webhook is made, and no gateway asked.",
            show_default=False,
        ),
    ] = None,
    url: Url = None,
    key_file: KeyFile = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line; the first says where it is.")
    ] = False,
) -> None:
    """Receive events on this machine and check their signatures, a line each, until it is interrupted.

    It makes a webhook for as long as it runs, with a secret of its own, and removes it at the end. A gateway posts to
    this machine only with `WAGATE_ALLOWED_NETWORKS=127.0.0.1/32`. What is signed otherwise is answered with 401.
    """
    from wagate.cli.listening import Listening, Server

    _judge_forward(forward_to)
    client = connect(url, key_file) if secret_file is None else None
    if client is not None and reached_as is None and not is_loopback(urlsplit(client.url).hostname or ""):
        raise Misused(
            f"The gateway at {client.url} is another machine, and 127.0.0.1 is itself to it: name with --reached-as "
            "what leads from there to here."
        )
    listening = Listening(secret=_secret(secret_file), status=status, as_json=as_json, forward_to=forward_to)
    server = Server(port, listening)
    listening.heed()
    server.start()
    try:
        wish = _wish(reached_as or server.url, event, session) | {"secret": listening.secret}
        with _webhook(client, wish) as id:
            _tell_where(server.url, id, as_json)
            listening.ended.wait()
    finally:
        server.stop()


def _tell_where(place: str, id: str | None, as_json: bool) -> None:
    """Say where it listens: to programs as the first line, to people beside the lines."""
    if as_json:
        import json

        typer.echo(json.dumps({"listening": place} | ({} if id is None else {"webhook": id})))
    else:
        note(f"Listening on {place}" + ("." if id is None else f" for {id}, which is removed at the end."))


@contextmanager
def _webhook(client: Client | None, wish: dict[str, Any]) -> Iterator[str | None]:
    """The id of a webhook that is there for as long as the context lasts; without a client there is none."""
    if client is None:
        yield None
        return
    try:
        id: str = client.call("POST", "/webhooks", wish)["id"]
    except Answered as refused:
        if refused.status == 400 and str(refused).lower().startswith("url:"):
            raise Failed(
                f"The gateway will not post to {wish['url']}: {refused}. To let it reach this machine, start it with "
                "WAGATE_ALLOWED_NETWORKS=127.0.0.1/32."
            ) from None
        raise
    try:
        yield id
    finally:
        try:
            client.call("DELETE", _path(id), timeout=10)
        except Failed as failed:
            if getattr(failed, "status", 0) != 404:
                note(f"{id} is still there: {failed} `wagate webhooks delete {id}` removes it.")


def _switch(webhook: str, client: Client, as_json: bool, *, on: bool) -> None:
    found = client.call("PATCH", _path(webhook), {"active": on})
    tell(found, as_json=as_json, people=lambda: typer.echo(f"{webhook} is {_state(found)}."))


def _wish(to: str, events: list[str] | None, session: str | None) -> dict[str, Any]:
    return {"url": to} | ({"events": events} if events else {}) | ({"sessionId": session} if session else {})


def _secret(file: Path | None) -> str:
    """The secret in the file; a fresh one without a file."""
    if file is None:
        return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
    from wagate.model.signatures import key_of

    try:
        secret = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "no text"
        raise Failed(f"The secret file {file} cannot be read: {reason}.") from error
    if not secret.isascii() or not secret.isprintable() or not secret or " " in secret:
        raise Failed(f"The secret file {file} holds no secret.")
    key_of(secret)
    return secret


def _judge_forward(url: str | None) -> None:
    if url is None:
        return
    try:
        place = urlsplit(url)
        good = place.scheme == "http" and is_loopback(place.hostname or "") and place.username is None
        good = good and place.port != 0 and url.isascii() and url.isprintable() and " " not in url
    except ValueError:
        good = False
    if not good:
        raise Misused("--forward-to: it is no http URL of this machine, such as http://127.0.0.1:3000/hook.")


def _path(webhook: str, rest: str = "") -> str:
    return f"/webhooks/{quote(webhook, safe='')}{rest}"


def _events(hook: dict[str, Any]) -> str:
    return {"": "none", "*": "all"}.get(",".join(hook["events"]), ", ".join(hook["events"]))


def _came(delivery: dict[str, Any]) -> tuple[Any, Any]:
    """What came back, and what was wrong with it."""
    return delivery.get("lastResponseCode"), delivery.get("lastError")


def _state(hook: dict[str, Any]) -> str:
    return ("on" if hook["active"] else "off") + (", ordered" if hook["ordered"] else "")
