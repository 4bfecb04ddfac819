"""What the commands say: tables and sentences for people, JSON for programs, and every error as one sentence.

Answers go to standard output, everything else to standard error. Colours and line breaks are for terminals only.
Called by every command.
"""

from __future__ import annotations

import datetime
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import typer
from typer.core import TyperGroup

FAILED, MISUSED, INTERRUPTED = 1, 2, 130

_OBEYED = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class Failed(Exception):
    """The command could not do what it was told. The message is a sentence for people."""

    exit_code = FAILED


class Misused(Failed):
    """The command was told something it cannot make sense of."""

    exit_code = MISUSED


class Commands(TyperGroup):
    """The whole command line: turns whatever is raised in it into one sentence and an exit code."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the command that the arguments name; ends the process, unless told to stand in for a function."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, False, windows_expand_args, **extra)
        try:
            code = super().main(args, prog_name, complete_var, False, windows_expand_args, **extra)
            sys.stdout.flush()
        except BrokenPipeError:
            # Whoever read our answer has read enough. Python must not meet the closed pipe again when it ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            sys.exit(FAILED)
        except Exception as error:
            sys.exit(_report(error))
        sys.exit(code if isinstance(code, int) else 0)


def tell(answer: Any, *, as_json: bool, people: Callable[[], object]) -> None:
    """Give the command's answer: as JSON, or by calling `people`, which prints it."""
    if as_json:
        typer.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        people()


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """A table on standard output, or the sentence `empty` when there are no rows."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    lines = [[Text("" if cell is None else str(cell)) for cell in row] for row in rows]
    if not lines:
        typer.echo(empty)
        return
    shown = Table(*columns, box=SIMPLE_HEAD if sys.stdout.isatty() else None, pad_edge=False, header_style="bold")
    for line in lines:
        shown.add_row(*line)
    if sys.stdout.isatty():
        Console().print(shown)
        return
    console = Console(width=10_000, no_color=True)
    with console.capture() as capture:
        console.print(shown)
    typer.echo("\n".join(line.rstrip() for line in capture.get().splitlines()))


def fields(pairs: Iterable[tuple[str, object]]) -> None:
    """One thing's fields, a line each; those with nothing to say are left out."""
    known = [(name, value) for name, value in pairs if value not in (None, "")]
    width = max((len(name) for name, _ in known), default=0)
    for name, value in known:
        typer.echo(f"{typer.style(name.ljust(width), bold=True)}  {value}")


def note(text: str) -> None:
    """A remark that is no part of the answer."""
    typer.echo(text, err=True)


def confirm(question: str) -> None:
    """Ask whoever sits there, on standard error; anything but yes ends the command.

    Raises:
        Failed: it is not wanted.
    """
    typer.echo(f"{question} Go on? [y/N] ", nl=False, err=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Failed("Nothing was done.")


def working(what: str) -> AbstractContextManager[object]:
    """Show that something goes on, where somebody may be watching."""
    if not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console

    return Console(stderr=True).status(f"{what} …")


def moment(millis: int | None) -> str:
    """A moment as this machine's clock shows it."""
    if millis is None:
        return ""
    return datetime.datetime.fromtimestamp(millis / 1000).astimezone().isoformat(" ", "seconds")


def event_line(event: Mapping[str, Any]) -> str:
    """An event as a line. Names first: what follows has no fixed width, and is whatever people wrote."""
    told = json.dumps(event.get("payload"), ensure_ascii=False)
    name = str(event.get("event"))
    return plain(f"{event.get('id')}  {name:<18}  {event.get('session')}  {told}")


def plain(text: str) -> str:
    """`text` without anything that a terminal obeys: control characters and changes of direction are spelt out."""
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def sentence(text: str) -> str:
    """`text` as a sentence on one line."""
    line = "; ".join(part.strip() for part in text.splitlines() if part.strip())
    line = line[:1].upper() + line[1:]
    return line if line.endswith((".", "!", "?", ":")) else f"{line}."


def _report(error: Exception) -> int:
    """Say what went wrong and give the exit code."""
    from wagate.config import SettingsError

    if type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(str(getattr(error, "message", "")), err=True)
        return MISUSED
    if isinstance(error, SettingsError):
        for problem in error.problems:
            note(sentence(problem))
        return MISUSED
    if isinstance(error, typer.TyperException):
        note(_misuse(error))
        return error.exit_code
    if type(error).__module__.startswith("wagate."):
        note(_safe(sentence(str(error))))
        return getattr(error, "exit_code", FAILED)
    note(_safe(f"It failed unexpectedly, {type(error).__name__}: {sentence(str(error) or 'no reason given')}"))
    if os.environ.get("WAGATE_LOG_LEVEL", "").lower() == "debug":
        import traceback

        note("".join(traceback.format_tb(error.__traceback__)))
    return FAILED


def _misuse(error: Any) -> str:
    where = getattr(error, "ctx", None)
    hint = f" See `{where.command_path} --help`." if where is not None else ""
    return sentence(error.format_message()) + hint


def _safe(text: str) -> str:
    """Without passwords: what a driver says may repeat an address. Errors of ours name numbers on purpose."""
    return re.sub(r"://[^/\s@]*@", "://…@", text)
