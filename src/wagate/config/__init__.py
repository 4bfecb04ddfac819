"""Every setting, once: its type, its default, and the sentence that the docs print.

A field of `Settings` or `ClientSettings` is an environment variable: `data_dir` is `WAGATE_DATA_DIR`. Nothing else
reads the environment. An empty variable counts as absent. All problems are reported together, and never a secret's
value.
Called by cli, bootstrap and testing; everyone else is given values.
"""

from __future__ import annotations

import dataclasses
import difflib
import ipaddress
import os
import re
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from wagate.config.kinds import (
    ADDRESS,
    CLAIM,
    DATABASE,
    FETCHED,
    HOST,
    NETWORKS,
    NODE,
    ORIGINS,
    PATH,
    RATE,
    SWITCH,
    VISIBLE,
    Kind,
    one_of,
    seconds,
    text,
    whole,
)

PREFIX = "WAGATE_"
_SETTING = "setting"
_LOGIN = ("jwks_url", "jwt_issuer", "jwt_audience")
"""What login tokens need, all of it."""


class SettingsError(ValueError):
    """Settings that cannot be used; `problems` holds a sentence for each, and none repeats a secret."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(self.problems))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    """One setting as the docs show it."""

    variable: str
    default: str
    allowed: str
    sentence: str
    secret: bool


@dataclasses.dataclass(frozen=True)
class _Declared:
    kind: Kind
    sentence: str
    shown: str
    secret: bool


def _setting(default: Any, kind: Kind, sentence: str, *, shown: str = "", secret: bool = False) -> Any:
    """Declare a field; `shown` is what the docs give as default where it is worked out at the start."""
    declared = _Declared(kind, sentence, shown or _as_written(default), secret)
    return dataclasses.field(default=default, repr=not secret, metadata={_SETTING: declared})


def _as_written(default: Any) -> str:
    if default is True or default is False:
        return "on" if default else "off"
    return ",".join(default) if isinstance(default, tuple) else str(default)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What a gateway and the commands on its data are told. Made by `load`; tests may make one directly."""

    data_dir: Path = _setting(  # noqa: RUF009 - a path does not change
        Path("data"),
        PATH,
        "Where the database, the media files (`blobs`), the secret key and the demo key live.",
        shown="./data",
    )
    host: str = _setting("127.0.0.1", HOST, "The address to listen on.")
    port: int = _setting(8080, whole(0, 65535, "; 0 takes a free one"), "The port to listen on.")
    database_url: str = _setting(
        "",
        DATABASE,
        "The database. It is shown without its password.",
        shown="the SQLite file wagate.db in the data directory",
        secret=True,
    )
    secret_key: str = _setting(
        "",
        text("at least 32 visible characters", r"[!-~]{32,1024}"),
        "What cursors are signed and secrets are encrypted with. Every process on one database needs the same.",
        shown="made at the first start and kept in secret.key in the data directory",
        secret=True,
    )
    node_id: str = _setting(
        "", NODE, "This process's name among those on one database: on PostgreSQL its alone.", shown="the host's name"
    )
    engine: str = _setting(
        "sandbox", one_of("sandbox", "whatsapp"), "The engine of a new session that does not name one."
    )
    whatsapp: bool = _setting(
        False, SWITCH, "Whether sessions of the real network can be linked (needs `wagate[whatsapp]`)."
    )
    whatsapp_per_host: int = _setting(
        8, whole(1, 64), "WhatsApp sessions that share a host process: so many are cut off together when one dies."
    )
    sandbox: bool = _setting(True, SWITCH, "Whether the sandbox, its sessions and its routes exist.")
    sandbox_seed: int = _setting(
        0, whole(0, 2**31 - 1), "What the sandbox draws its numbers from: the same seed, the same network."
    )
    clock: str = _setting(
        "system",
        one_of("system", "manual"),
        "Whose time it is: the machine's, or one that only the sandbox's clock route moves.",
    )
    send_timeout: float = _setting(
        30.0, seconds(0.1, 600), "How long a synchronous send waits for WhatsApp's answer.", shown="30"
    )
    default_rate_per_min: int = _setting(20, RATE, "Sends a minute that a new session may make.")
    default_rate_per_hour: int = _setting(200, RATE, "Sends an hour that a new session may make.")
    auto_read: bool = _setting(False, SWITCH, "Whether new sessions send a read receipt for what they have stored.")
    event_days: int = _setting(7, whole(1, 3650), "Days for which the event log is kept.")
    media_days: int = _setting(7, whole(1, 3650), "Days for which the files of messages are kept.")
    media_fetch: str = _setting(
        "on_demand",
        one_of("on_demand", "on_arrival"),
        "When the files of incoming messages are fetched: when somebody asks for one, or as they arrive.",
    )
    allowed_networks: tuple[str, ...] = _setting(
        (),
        NETWORKS,
        "Networks that are not public and that addresses given by customers may lead to all the same.",
        shown="none",
    )
    jwks_url: str = _setting(
        "",
        FETCHED,
        "Where the identity provider publishes its keys. With it people may call the gateway with its login tokens.",
        shown="none",
    )
    jwt_issuer: str = _setting(
        "", VISIBLE, "What a login token's `iss` must be, to the letter.", shown="none; needed with `WAGATE_JWKS_URL`"
    )
    jwt_audience: str = _setting(
        "",
        VISIBLE,
        "What a login token's `aud` must be or hold: this gateway's name at the provider.",
        shown="none; needed with `WAGATE_JWKS_URL`",
    )
    jwt_user_claim: str = _setting("sub", CLAIM, "The claim of a login token that says who the person is.")
    jwt_org_claim: str = _setting(
        "activeOrganizationId", CLAIM, "The claim that says for which organization the person acts."
    )
    jwt_org_role_claim: str = _setting(
        "orgRole", CLAIM, "The claim that says what they are there: `owner`, `admin` or `member`."
    )
    jwt_role_claim: str = _setting(
        "role", CLAIM, "The claim that says `super_admin` of who stands above all organizations."
    )
    jwt_create_orgs: bool = _setting(
        False, SWITCH, "Whether an organization that a login token names and that is unknown here is made."
    )
    cors_origins: tuple[str, ...] = _setting(
        (), ORIGINS, "Web pages of these origins may call the gateway.", shown="none"
    )
    metrics_port: int = _setting(
        0, whole(0, 65535, "; 0 is off"), "A port on 127.0.0.1 that serves /metrics, open to this machine."
    )
    metrics_token: str = _setting(
        "",
        text("at least 16 visible characters", r"[!-~]{16,1024}"),
        "With it /metrics is served on the main port too, to whoever sends it as a bearer token.",
        shown="none",
        secret=True,
    )
    tracing: bool = _setting(
        False,
        SWITCH,
        "Whether spans go to a collector (needs `wagate[tracing]`); `OTEL_…` variables say where and how.",
    )
    log_level: str = _setting("info", one_of("debug", "info", "warning", "error"), "The least that is logged.")
    log_format: str = _setting(
        "",
        one_of("json", "console"),
        "One JSON object a line, or lines for people.",
        shown="console on a terminal, else json",
    )

    def __post_init__(self) -> None:
        if not self.database_url:
            object.__setattr__(self, "database_url", f"sqlite:///{quote(str(self.data_dir / 'wagate.db'))}")
        if not self.node_id:
            object.__setattr__(self, "node_id", _host_name())

    @property
    def secret_key_file(self) -> Path:
        """Where the secret key is kept when `WAGATE_SECRET_KEY` does not give it."""
        return self.data_dir / "secret.key"

    @property
    def blobs_folder(self) -> Path:
        """Where the files of messages and uploads are kept."""
        return self.data_dir / "blobs"

    @property
    def whatsapp_folder(self) -> Path:
        """Where the keys of WhatsApp sessions are kept."""
        return self.data_dir / "whatsapp"

    @property
    def demo_key_file(self) -> Path:
        """Where the first start leaves the demo organization's key."""
        return self.data_dir / "demo.key"

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach `host`."""
        return is_loopback(self.host)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClientSettings:
    """What the commands that are clients of a running gateway are told."""

    url: str = _setting(
        "http://127.0.0.1:8080",
        ADDRESS,
        "The gateway that the client commands call.",
        shown="http://127.0.0.1: and `WAGATE_PORT`",
    )
    api_key: str = _setting(
        "",
        text("a key as `wagate keys create` printed it", r"wa_[0-9A-Za-z]{20,100}"),
        "The key that the client commands call with.",
        shown="the demo key in the data directory, if there is one",
        secret=True,
    )


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """The gateway's settings from the environment, checked one by one and together.

    Raises:
        SettingsError: at least one cannot be used; all of them are named.
    """
    values, problems = _read(Settings, environ)
    if values.get("clock") == "manual" and values.get("engine") == "whatsapp":
        problems.append("WAGATE_CLOCK: manual cannot go with WAGATE_ENGINE=whatsapp: the real network keeps real time.")
    if values.get("metrics_port") and values["metrics_port"] == values.get("port", 8080):
        problems.append("WAGATE_METRICS_PORT: it must differ from WAGATE_PORT.")
    if any(map(values.get, _LOGIN)):
        names = [PREFIX + name.upper() for name in _LOGIN]
        missing = [each for each in names if not values.get(each.removeprefix(PREFIX).lower())]
        told = {problem.partition(":")[0] for problem in problems}
        all_three = f"login tokens need {', '.join(names[:-1])} and {names[-1]}"
        problems += [f"{each}: it is missing; {all_three}." for each in missing if each not in told]
    if problems:
        raise SettingsError(problems)
    return Settings(**values)


def load_client(environ: Mapping[str, str] | None = None) -> ClientSettings:
    """The client commands' settings from the environment.

    Raises:
        SettingsError: at least one cannot be used; all of them are named.
    """
    values, problems = _read(ClientSettings, environ)
    port = _read(Settings, environ)[0].get("port")
    if port:
        values.setdefault("url", f"http://127.0.0.1:{port}")
    if problems:
        raise SettingsError(problems)
    return ClientSettings(**values)


def unknown(environ: Mapping[str, str] | None = None) -> list[str]:
    """A sentence for each `WAGATE_…` variable that is no setting: usually a slip of the pen. They are ignored."""
    known = [setting.variable for setting in settings()]
    sentences = []
    for name in sorted(os.environ if environ is None else environ):
        if name.startswith(PREFIX) and name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
            sentences.append(f"{name} is not a setting{f'; did you mean {near[0]}?' if near else '.'}")
    return sentences


def settings(kind: type[Settings] | type[ClientSettings] | None = None) -> list[Setting]:
    """Every setting as the docs show it, in the order of declaration; the gateway's and then the clients'."""
    kinds: tuple[type[Any], ...] = (Settings, ClientSettings) if kind is None else (kind,)
    return [
        Setting(
            variable=PREFIX + name.upper(),
            default=declared.shown,
            allowed=declared.kind.allowed,
            sentence=declared.sentence,
            secret=declared.secret,
        )
        for each in kinds
        for name, declared in _declared(each)
    ]


def settings_table() -> str:
    """docs/reference/settings.md, whole. A test holds the file to it."""
    head = (
        "# Settings\n\n"
        "Everything is set by environment variables; an empty one counts as absent. A value that cannot be used\n"
        "is named at the start, together with all others; `wagate doctor` shows what is set, what works and what\n"
        "is missing. "
        "This page is printed from `src/wagate/config/__init__.py`.\n"
    )
    parts = [("The gateway, and the commands on its data", Settings), ("Commands that call a gateway", ClientSettings)]
    return head + "".join(f"\n## {title}\n\n{_table(settings(kind))}" for title, kind in parts)


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine's own address, which nobody else can reach. A name other than localhost is not."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _table(rows: list[Setting]) -> str:
    lines = ["| variable | default | allowed | what it does |", "|---|---|---|---|"]
    for row in rows:
        secret = " Secret." if row.secret else ""
        lines.append(f"| `{row.variable}` | {row.default} | {row.allowed} | {row.sentence}{secret} |")
    return "\n".join(lines) + "\n"


def _declared(kind: type[Any]) -> list[tuple[str, _Declared]]:
    return [(each.name, each.metadata[_SETTING]) for each in dataclasses.fields(kind)]


def _read(kind: type[Any], environ: Mapping[str, str] | None) -> tuple[dict[str, Any], list[str]]:
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, declared in _declared(kind):
        variable = PREFIX + name.upper()
        written = environ.get(variable, "").strip()
        if not written:
            continue
        try:
            values[name] = declared.kind.read(written)
        except (ValueError, KeyError, RuntimeError):
            # An @ may end a password that was written into an address, and a query may be one.
            problem = "the value given" if declared.secret or set("@?") & set(written) else _quoted(written)
            problems.append(f"{variable}: {problem} cannot be used; allowed: {declared.kind.allowed}.")
    return values, problems


def _quoted(written: str) -> str:
    return repr(written if len(written) <= 80 else written[:80] + "…")


def _host_name() -> str:
    """The host's name made fit for a node id."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", socket.gethostname()).strip("-.")[:64] or "node"
