"""Run the gateway, and say at the first start what to try."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wagate.cli.options import DataDir, settings

if TYPE_CHECKING:
    from wagate.bootstrap import Running


app = typer.Typer()


@app.command()
def serve(
    host: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Instead of WAGATE_HOST.", show_default=False)
    ] = None,
    port: Annotated[
        str | None, typer.Option(metavar="PORT", help="Instead of WAGATE_PORT.", show_default=False)
    ] = None,
    data_dir: DataDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Log one JSON object a line.")] = False,
) -> None:
    """Run the gateway until it is told to stop.

    On an empty data directory the first start makes the organization `demo` and a key for it, and prints what to try.
    """
    chosen = settings(host=host, port=port, data_dir=data_dir, log_format="json" if as_json else None)
    import asyncio

    import uvloop

    from wagate import bootstrap

    def announce(gateway: Running) -> None:
        if gateway.demo_key is not None:
            typer.echo(_welcome(gateway.url, gateway.demo_key, chosen.demo_key_file, as_json=as_json))
            sys.stdout.flush()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(bootstrap.serve(chosen, announce=announce))


def _welcome(url: str, key: str, file: Path, *, as_json: bool) -> str:
    """What the first start prints: the key, this once, and three commands to paste into another terminal."""
    if as_json:
        return json.dumps({"url": url, "organization": "demo", "key": key, "keyFile": str(file)})
    program = _program()
    return "\n".join(
        [
            f"The gateway listens on {url} and shows its API on {url}/docs.",
            f"The organization `demo` was made, and for it a key with all permissions, in {file}.",
            "To try it, in another terminal:",
            "",
            f"  export WAGATE_URL={url} WAGATE_API_KEY={key}",
            "",
            f"  SESSION=$({program} sessions create --label first)",
            f"  {program} sessions link $SESSION --scan",
            f"  {program} send 'Hello, sandbox' --session $SESSION --to 9990000001",
            "",
        ]
    )


def _program() -> str:
    """This program as it can be typed where it was started."""
    started = sys.argv[0]
    found = shutil.which("wagate")
    return "wagate" if found and Path(found).resolve() == Path(started).resolve() else shlex.quote(started)
