"""The command line.

`serve`, `doctor`, `keys`, `orgs`, `tokens` and `db` work on this machine's data and settings; `sessions`, `events`,
`webhooks` and `send` are clients of a running gateway. Each noun has a file. What a command needs of the server is
imported inside it, so that help is quick.
"""

from __future__ import annotations

from typing import Annotated

import typer

from wagate.cli import db, doctor, events, keys, openapi, orgs, send, serve, sessions, tokens, webhooks
from wagate.cli.terminal import Commands

app = typer.Typer(
    name="wagate",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"wagate {version('wagate')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    """A self-hosted WhatsApp gateway, with a whole network to try it on without a phone.

    Settings are environment variables named WAGATE_…; `wagate doctor` shows them and what they lead to.
    A command ends with 0 when it did what it was told, with 1 when it could not, with 2 when it was told wrongly.
    """


for _each in (serve, doctor, send, openapi, sessions, events, webhooks, keys, orgs, tokens, db):
    app.add_typer(_each.app)
