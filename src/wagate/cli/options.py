"""Options that several commands have, each written once, and what they lead to."""

from __future__ import annotations

import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from wagate.config import Settings, load

T = TypeVar("T")

Json = Annotated[bool, typer.Option("--json", help="Answer with JSON.")]
DataDir = Annotated[
    str | None, typer.Option("--data-dir", metavar="PATH", help="Instead of WAGATE_DATA_DIR.", show_default=False)
]
Url = Annotated[
    str | None, typer.Option("--url", metavar="URL", help="The gateway; instead of WAGATE_URL.", show_default=False)
]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--key-file", metavar="PATH", help="A file that holds the key; instead of WAGATE_API_KEY.", show_default=False
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def settings(**given: str | None) -> Settings:
    """The settings of the environment, with the options that were given in their place: `data_dir=…`, `port=…`.

    Raises:
        SettingsError: something cannot be used.
    """
    chosen = {f"WAGATE_{name.upper()}": value for name, value in given.items() if value is not None}
    return load({**os.environ, **chosen})


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run it to its end. The event loop is loaded only here: clients need none."""
    import asyncio

    return asyncio.run(work)
