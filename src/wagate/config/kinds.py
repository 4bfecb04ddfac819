"""How a setting's value is read: each kind says what it allows, and refuses the rest. Called by the package itself."""

from __future__ import annotations

import dataclasses
import ipaddress
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


@dataclasses.dataclass(frozen=True)
class Kind:
    """How a value is read: `read` raises ValueError for what `allowed` does not describe."""

    allowed: str
    read: Callable[[str], Any]


def text(allowed: str, pattern: str) -> Kind:
    """A text that `pattern` matches whole."""

    def read(value: str) -> str:
        if not re.fullmatch(pattern, value, re.ASCII):
            raise ValueError
        return value

    return Kind(allowed, read)


def one_of(*words: str) -> Kind:
    """One of these words, in any case."""
    written = text(" or ".join([", ".join(words[:-1]), words[-1]]), "|".join(words))
    return Kind(written.allowed, lambda value: written.read(value.lower()))


def whole(low: int, high: int, more: str = "") -> Kind:
    """A whole number within these bounds; `more` is said of it besides."""

    def read(value: str) -> int:
        if not re.fullmatch(r"\d{1,12}", value, re.ASCII) or not low <= int(value) <= high:
            raise ValueError
        return int(value)

    return Kind(f"a whole number from {low} to {high}{more}", read)


def seconds(low: float, high: float) -> Kind:
    """A number of seconds within these bounds."""

    def read(value: str) -> float:
        number = float(value)
        if not math.isfinite(number) or not low <= number <= high:
            raise ValueError
        return number

    return Kind(f"seconds from {low:g} to {high:g}", read)


def _read_switch(value: str) -> bool:
    return {"on": True, "true": True, "yes": True, "1": True, "off": False, "false": False, "no": False, "0": False}[
        value.lower()
    ]


def _read_path(value: str) -> Path:
    if "\0" in value:
        raise ValueError
    return Path(value).expanduser()


def _read_host(value: str) -> str:
    is_name = re.fullmatch(r"([A-Za-z0-9-]+\.)*[A-Za-z0-9-]*[A-Za-z][A-Za-z0-9-]*", value, re.ASCII)
    if not is_name:
        ipaddress.ip_address(value)
    return value


def _read_database(value: str) -> str:
    parts = urlsplit(value)
    whole = parts.scheme == "sqlite" or (parts.scheme in ("postgresql", "postgres") and (parts.netloc or parts.query))
    if not whole or "://" not in value:
        raise ValueError
    parts.port  # noqa: B018 - raises when it is none
    return value


def _read_origins(value: str) -> tuple[str, ...]:
    origins = tuple(origin.strip().rstrip("/").lower() for origin in value.split(",") if origin.strip())
    for origin in origins:
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https") or not parts.hostname or origin != f"{parts.scheme}://{parts.netloc}":
            raise ValueError
        if "@" in parts.netloc or "*" in origin:
            raise ValueError
        parts.port  # noqa: B018 - raises when it is none
    return origins


def _read_networks(value: str) -> tuple[str, ...]:
    networks = tuple(network.strip() for network in value.split(",") if network.strip())
    for network in networks:
        ipaddress.ip_network(network)
    return networks


def _read_address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.query:
        raise ValueError
    parts.port  # noqa: B018 - raises when it is none
    return value.rstrip("/")


def _read_fetched(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.fragment:
        raise ValueError
    if not re.fullmatch(r"[!-~]{1,2048}", value):
        raise ValueError
    parts.port  # noqa: B018 - raises when it is none
    return value


PATH = Kind("a path", _read_path)
SWITCH = Kind("on or off", _read_switch)
HOST = Kind("an IP address or a host name", _read_host)
DATABASE = Kind("sqlite:///path/to/file or postgresql://user:password@host/name", _read_database)
NODE = text("1 to 64 letters, digits, dots, dashes and underscores", r"[A-Za-z0-9._-]{1,64}")
ORIGINS = Kind("origins such as https://app.example.com, separated by commas", _read_origins)
NETWORKS = Kind("networks such as 10.1.0.0/16, separated by commas", _read_networks)
ADDRESS = Kind("an address such as http://127.0.0.1:8080", _read_address)
RATE = whole(0, 1_000_000, "; 0 is unlimited")
FETCHED = Kind("an address such as https://login.example.com/jwks", _read_fetched)
VISIBLE = text("1 to 512 visible characters", r"[!-~]{1,512}")
CLAIM = text("1 to 128 visible characters; dots lead into objects", r"[!-~]{1,128}")
