"""What is configured, what works, what is missing and how to mend it.

Each check is a function that looks and changes nothing; together they are `CHECKS`. No finding repeats a secret.
"""

from __future__ import annotations

import ctypes.util
import errno
import os
import shutil
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import typer

from wagate.cli.options import DataDir, Json, run, settings
from wagate.cli.terminal import FAILED, sentence, table, tell
from wagate.config import Settings, is_loopback, unknown
from wagate.config import settings as declared_settings

State = Literal["ok", "note", "warning", "missing"]

_LITTLE_SPACE = 1 << 30
_NO_SPACE = 100 << 20
_MARKS = {"ok": "ok", "note": "·", "warning": "!", "missing": "✗"}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a check saw. `missing` keeps the gateway from working, `warning` hurts one day; `mend` says what to do."""

    check: str
    state: State
    found: str
    mend: str = ""


Check = Callable[[Settings], Iterator[Finding]]

app = typer.Typer()


@app.command()
def doctor(data_dir: DataDir = None, as_json: Json = False) -> None:
    """Look at the settings and at what they lead to; say what is missing and how to mend it. Changes nothing."""
    chosen = settings(data_dir=data_dir)
    findings = [finding for check in CHECKS for finding in _looked(check, chosen)]
    missing = sum(finding.state == "missing" for finding in findings)
    tell(
        {"ok": not missing, "set": _set(), "findings": [asdict(finding) for finding in findings]},
        as_json=as_json,
        people=lambda: _print(findings, missing),
    )
    if missing:
        raise typer.Exit(FAILED)


def _print(findings: list[Finding], missing: int) -> None:
    table(["set by the environment", ""], _set().items(), empty="Nothing is set: all settings have their defaults.")
    typer.echo()
    table(
        ["", "what", "found", "what to do"],
        [(_MARKS[each.state], each.check, each.found, each.mend) for each in findings],
        empty="",
    )
    typer.echo()
    typer.echo(
        f"{missing} to mend before the gateway can work." if missing else "Nothing keeps the gateway from working."
    )


def _looked(check: Check, chosen: Settings) -> Iterator[Finding]:
    """What a check finds; a file that is in its way is found, too."""
    try:
        yield from check(chosen)
    except OSError as error:
        found = f"{error.filename or 'a file'} cannot be looked at: {error.strerror}"
        mend = "See what it is and whose: the gateway, and this command, run as the user that owns it."
        yield Finding(check=check.__name__.replace("_", " "), state="missing", found=found, mend=mend)


def _set() -> dict[str, str]:
    """What the environment sets; of a secret, that it does."""
    given = [(each, os.environ.get(each.variable, "").strip()) for each in declared_settings()]
    return {each.variable: "(set)" if each.secret else _unasked(value) for each, value in given if value}


def _unasked(value: str) -> str:
    """An address without its query, which may hold a secret; anything else as it is."""
    address, mark, _ = value.partition("?")
    return f"{address}?…" if mark and "://" in address else value


def python(chosen: Settings) -> Iterator[Finding]:
    """The interpreter."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding(check="Python", state="ok", found=version)


def variables(chosen: Settings) -> Iterator[Finding]:
    """Variables that look like settings and are none."""
    for slip in unknown():
        yield Finding(check="settings", state="warning", found=slip, mend="It is ignored: correct or remove it.")


def data_directory(chosen: Settings) -> Iterator[Finding]:
    """Whether the data directory can be written, has room, and is ours alone."""
    place = chosen.data_dir
    nearest = next((each for each in (place, *place.absolute().parents) if each.exists()), place)
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        mend = f"Make {nearest} writable for this user, or set WAGATE_DATA_DIR to a directory that is."
        yield Finding(check="data directory", state="missing", found=f"{place} cannot be written", mend=mend)
        return
    if not place.exists():
        yield Finding(check="data directory", state="note", found=f"{place} is made at the first start")
    elif (mode := stat.S_IMODE(place.stat().st_mode)) & 0o077:
        found = f"{place} can be entered by others (mode {mode:o})"
        yield Finding(check="data directory", state="warning", found=found, mend=f"chmod 700 {place}")
    else:
        yield Finding(check="data directory", state="ok", found=f"{place} can be written")
    free = shutil.disk_usage(nearest).free
    said = f"{free / 2**30:.1f} GiB free"
    state: State = "ok" if free >= _LITTLE_SPACE else "warning" if free >= _NO_SPACE else "missing"
    yield Finding(check="disk", state=state, found=said, mend="" if state == "ok" else "Free some space.")


def database(chosen: Settings) -> Iterator[Finding]:
    """Whether the database answers and has our schema; for PostgreSQL, whether its own tools are here."""
    from wagate.backends import address, migrate
    from wagate.errors import WagateError

    shown = address.shown(chosen.database_url)
    try:
        revision = run(migrate.current_revision(chosen.database_url))
        if migrate.is_current(revision):
            yield Finding(check="database", state="ok", found=f"{shown} answers, schema {revision}")
        elif revision is None:
            yield Finding(check="database", state="note", found=f"{shown} is empty; its schema is made at the start")
        else:
            mend = "`wagate serve` upgrades it by itself; `wagate db upgrade` does it now. Make a backup before."
            yield Finding(
                check="database", state="warning", found=f"{shown} has the older schema {revision}", mend=mend
            )
    except migrate.SchemaTooNew as error:
        yield Finding(check="database", state="missing", found=f"{shown} is too new", mend=str(error))
    except WagateError as error:
        mend = "See that the server runs and WAGATE_DATABASE_URL names it, or that the file can be read."
        yield Finding(check="database", state="missing", found=sentence(error.message), mend=mend)
    if address.sqlite_path(chosen.database_url) is None:
        absent = [name for name in ("pg_dump", "pg_restore") if shutil.which(name) is None]
        if absent:
            found, mend = (
                f"no {' and no '.join(absent)}",
                "Install PostgreSQL's client programs: `wagate db` needs them.",
            )
            yield Finding(check="backup", state="warning", found=found, mend=mend)


def secret_key(chosen: Settings) -> Iterator[Finding]:
    """Whether there is a secret key, and nobody else can read it."""
    if chosen.secret_key:
        yield Finding(check="secret key", state="ok", found="given by WAGATE_SECRET_KEY")
        return
    file = chosen.secret_key_file
    if file.exists():
        yield _private("secret key", file)
    else:
        yield Finding(check="secret key", state="note", found=f"made at the first start, in {file}")
    if not chosen.database_url.startswith("sqlite:"):
        mend = "If several processes share the database, give each the same WAGATE_SECRET_KEY."
        yield Finding(check="secret key", state="warning", found="kept on this machine only", mend=mend)


def demo_key(chosen: Settings) -> Iterator[Finding]:
    """Whether the demo key lies about where others can reach the gateway."""
    file = chosen.demo_key_file
    if not file.exists():
        return
    yield _private("demo key", file)
    if not chosen.is_local:
        mend = f"Revoke it (`wagate keys list`, `wagate keys revoke ID`) and delete {file}."
        found = f"it may do everything, and others can reach {chosen.host}: the gateway refuses to start"
        yield Finding(check="demo key", state="missing", found=found, mend=mend)


def media(chosen: Settings) -> Iterator[Finding]:
    """Where media files are, and where customers' addresses may lead to."""
    folder = chosen.blobs_folder
    if not folder.exists():
        yield Finding(check="media", state="note", found=f"kept in {folder}, made with the first file")
    elif not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        mend = f"Run as the user that owns {folder}."
        yield Finding(check="media", state="missing", found=f"{folder} cannot be written", mend=mend)
    else:
        mend = "A backup of the database does not hold them: copy the folder beside it."
        yield Finding(check="media", state="ok", found=f"kept in {folder}", mend=mend)
    if chosen.allowed_networks:
        found = f"addresses that customers name may lead into {', '.join(chosen.allowed_networks)}"
        mend = "For development and tests: else unset WAGATE_ALLOWED_NETWORKS."
        yield Finding(check="networks", state="warning", found=found, mend=mend)


def logins(chosen: Settings) -> Iterator[Finding]:
    """Whether people may sign in, and what the identity provider publishes."""
    if not chosen.jwks_url:
        yield Finding(check="logins", state="note", found="only keys are taken: no identity provider is named")
        return
    from wagate import bootstrap

    place = urlsplit(chosen.jwks_url)
    shown = f"{place.scheme}://{place.netloc}{place.path}"
    if place.scheme == "http" and not is_loopback(place.hostname or ""):
        mend = "Use https, or be sure of the network between."
        yield Finding(check="logins", state="warning", found="keys are fetched without TLS", mend=mend)
    try:
        found = run(bootstrap.fetch_keys(chosen))
    except bootstrap.KEYS_MISSING as error:
        mend = "See that WAGATE_JWKS_URL is what the provider calls `jwks_uri`, and that it answers from here."
        yield Finding(check="logins", state="missing", found=f"no keys from {shown}: {error}", mend=mend)
        return
    keys = ", ".join(f"{kid} ({algorithm})" for kid, algorithm in found.keys)
    yield Finding(check="logins", state="ok", found=f"{len(found.keys)} keys from {shown}: {keys}")
    for each in found.unusable:
        yield Finding(check="logins", state="note", found=f"a key is left out, {each}")


def listening(chosen: Settings) -> Iterator[Finding]:
    """Whether the port is free, or who answers there."""
    for name, host, port in (("port", chosen.host, chosen.port), ("metrics", "127.0.0.1", chosen.metrics_port)):
        if port:
            yield _port(name, host, port)
    if not chosen.port:
        yield Finding(check="port", state="ok", found="any free one is taken")


def modes(chosen: Settings) -> Iterator[Finding]:
    """Whose time it is, and which networks there are."""
    if chosen.clock == "manual":
        mend = "For tests only: unset WAGATE_CLOCK to let time pass."
        yield Finding(check="clock", state="warning", found="stands still until it is moved by hand", mend=mend)
    else:
        yield Finding(check="clock", state="ok", found="the machine's")
    if chosen.sandbox:
        yield Finding(check="sandbox", state="ok", found="on")
    elif chosen.engine == "sandbox":
        mend = "Name another engine with WAGATE_ENGINE, or sessions must name one themselves."
        yield Finding(check="sandbox", state="warning", found="off, and new sessions would be on it", mend=mend)
    else:
        yield Finding(check="sandbox", state="ok", found="off")


def whatsapp(chosen: Settings) -> Iterator[Finding]:
    """Whether the library of the real network can be used. Hosts load its native part alone: libmagic is not needed."""
    from wagate.bootstrap.whatsapp import library

    usable, sentence = library()
    if usable:
        yield Finding(check="WhatsApp", state="ok", found=sentence if chosen.whatsapp else f"off; {sentence}")
    elif chosen.whatsapp:
        yield Finding(check="WhatsApp", state="missing", found="WAGATE_WHATSAPP is on", mend=sentence)
    else:
        yield Finding(check="WhatsApp", state="note", found="off; the library is optional and not usable")
    if chosen.engine == "whatsapp" and not chosen.whatsapp:
        mend = "Set WAGATE_WHATSAPP=on, or WAGATE_ENGINE=sandbox."
        yield Finding(check="engine", state="warning", found="whatsapp, which is off", mend=mend)
    if chosen.whatsapp:
        magic = ctypes.util.find_library("magic")
        mend = "" if magic else "Not needed by hosts. The library's own Python client wants it (Debian: libmagic1)."
        yield Finding(check="libmagic", state="ok" if magic else "note", found=magic or "none", mend=mend)
        ffmpeg = shutil.which("ffmpeg")
        found = f"made by {ffmpeg}" if ffmpeg else "none: there is no ffmpeg"
        mend = "" if ffmpeg else "Optional: install ffmpeg, and phones show files before they have them."
        yield Finding(check="previews", state="ok" if ffmpeg else "note", found=found, mend=mend)
        found = f"kept in {chosen.whatsapp_folder}"
        if chosen.database_url.startswith("sqlite:"):
            yield Finding(check="WhatsApp keys", state="ok", found=found)
        else:
            mend = (
                "They are not in PostgreSQL: sessions work on this machine only. `wagate db backup` copies them here."
            )
            yield Finding(check="WhatsApp keys", state="note", found=found, mend=mend)
    if os.path.lexists(chosen.whatsapp_folder):
        yield from _keys(chosen, "missing" if chosen.whatsapp else "warning")


def _keys(chosen: Settings, serious: State) -> Iterator[Finding]:
    """Whether the folder of keys, and those in it, are ours alone."""
    place = chosen.whatsapp_folder
    if not place.is_dir() or not os.access(place, os.R_OK | os.W_OK | os.X_OK):
        mend = "Make it a folder that the gateway's user can write."
        yield Finding(check="WhatsApp keys", state=serious, found=f"{place} cannot be written", mend=mend)
        return
    status = place.stat()
    if (mode := stat.S_IMODE(status.st_mode)) & 0o077:
        found = f"{place} can be entered by others (mode {mode:o})"
        yield Finding(check="WhatsApp keys", state="warning", found=found, mend=f"chmod 700 {place}")
    others = [each.name for each in place.glob("ses_*") if each.lstat().st_uid != status.st_uid or each.is_symlink()]
    if others:
        found = f"{len(others)} folders in {place} are links or another user's: {_some(others)}"
        mend = f"Put the folders themselves there, and chown -R --reference={place} {place}."
        yield Finding(check="WhatsApp keys", state=serious, found=found, mend=mend)
    yield from _orphans(chosen)


def _some(names: list[str]) -> str:
    return ", ".join(sorted(names)[:5]) + (" …" if len(names) > 5 else "")


def _orphans(chosen: Settings) -> Iterator[Finding]:
    """Keys of sessions that the database does not know: an account can be used with them, and nobody shows it."""
    from wagate import bootstrap
    from wagate.errors import WagateError

    place = chosen.whatsapp_folder
    try:
        unknown = run(bootstrap.orphans(chosen))
    except (bootstrap.CannotStart, WagateError, RuntimeError):
        return  # the database's own check says why it cannot be asked
    if unknown:
        mend = f"Is it an older database? Restore the newer. Else unlink them on the phones and empty {place} of them."
        found = f"keys of {len(unknown)} sessions that the database does not know: {_some(unknown)}"
        yield Finding(check="WhatsApp keys", state="warning", found=found, mend=mend)


def tracing(chosen: Settings) -> Iterator[Finding]:
    """Whether spans can be recorded, and where they would go."""
    from wagate.telemetry import otlp

    if not chosen.tracing:
        if any(name.startswith("OTEL_EXPORTER_OTLP_") for name in os.environ):
            mend = "Set WAGATE_TRACING=on to send them."
            yield Finding(
                check="traces", state="note", found="off, though OTEL_… variables name a collector", mend=mend
            )
        return
    try:
        otlp.must_be_able()
    except otlp.CannotTrace as error:
        found, _, mend = str(error).partition(": ")
        yield Finding(check="traces", state="missing", found=found, mend=mend)
        return
    yield Finding(check="traces", state="ok", found=f"go to {otlp.endpoint()}")


CHECKS: tuple[Check, ...] = (
    python,
    variables,
    data_directory,
    database,
    secret_key,
    demo_key,
    media,
    logins,
    listening,
    modes,
    whatsapp,
    tracing,
)


def _private(check: str, file: Path) -> Finding:
    mode = stat.S_IMODE(file.stat().st_mode)
    if not os.access(file, os.R_OK):
        mend = f"Run as the user that owns {file}."
        return Finding(check=check, state="missing", found=f"{file} cannot be read", mend=mend)
    if mode & 0o077:
        found = f"{file} can be read by others (mode {mode:o})"
        return Finding(check=check, state="warning", found=found, mend=f"chmod 600 {file}")
    return Finding(check=check, state="ok", found=f"in {file}, ours alone")


def _port(name: str, host: str, port: int) -> Finding:
    try:
        family, _, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(where)
    except OSError as error:
        return _taken(name, host, port, error)
    reach = "from this machine only" if is_loopback(host) else "from other machines too"
    return Finding(check=name, state="ok", found=f"{host}:{port} is free, to be reached {reach}")


def _taken(name: str, host: str, port: int, error: OSError) -> Finding:
    variable = "WAGATE_PORT" if name == "port" else "WAGATE_METRICS_PORT"
    if error.errno == errno.EADDRINUSE:
        if _answers(host, port, "/healthz" if name == "port" else "/metrics"):
            return Finding(check=name, state="ok", found=f"a gateway answers on {host}:{port}")
        mend = f"Stop it, or set {variable} to another port."
        return Finding(check=name, state="missing", found=f"another program listens on {host}:{port}", mend=mend)
    mend = f"Set WAGATE_HOST to an address of this machine and {variable} to a port from 1024 on."
    reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
    return Finding(check=name, state="missing", found=f"cannot listen on {host}:{port}: {reason}", mend=mend)


def _answers(host: str, port: int, path: str) -> bool:
    import http.client

    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    connection = http.client.HTTPConnection(here, port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
