"""Where a database is, as operators write it.

    sqlite:///data/gate.db       a file, relative to the working directory
    sqlite:////var/lib/gate.db   a file by its full path
    sqlite://                    in memory: gone with the process, for tests
    postgresql://user@host/name  PostgreSQL; `postgres://` is the same

Called by bootstrap, migrate.py and maintenance.py.
"""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

MEMORY = ":memory:"


def sqlite_path(url: str) -> str | None:
    """The SQLite file that `url` names, or `:memory:`; None when it names a PostgreSQL database.

    Raises:
        ValueError: it names neither. The message does not repeat the address, which may hold a password.
    """
    scheme, separator, rest = url.partition("://")
    if separator and scheme in ("postgresql", "postgres"):
        return None
    if separator and scheme == "sqlite":
        path = unquote(rest.partition("?")[0])
        if path in ("", "/", "/" + MEMORY):
            return MEMORY
        if path.startswith("/"):
            return path[1:]
    raise ValueError("A database address looks like sqlite:///data/gate.db or postgresql://user:password@host/name.")


def shown(url: str) -> str:
    """The address as it may be printed: without its password."""
    path = sqlite_path(url)
    if path is not None:
        return url
    parts = urlsplit(url)
    user = f"{parts.username}@" if parts.username else ""
    port = f":{parts.port}" if parts.port else ""
    return f"postgresql://{user}{parts.hostname or ''}{port}{parts.path}"
