"""Addresses of databases are read one way everywhere."""

from __future__ import annotations

import pytest

from wagate.backends.address import shown, sqlite_path


@pytest.mark.parametrize(
    "url", ["", "gate.db", "mysql://u:secret@h/d", "sqlite:gate.db", "sqlite://gate.db", "file:///x"]
)
def test_anything_else_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match="looks like") as caught:
        sqlite_path(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///data/gate.db", "data/gate.db"),
        ("sqlite:////var/lib/gate.db", "/var/lib/gate.db"),
        ("sqlite:///a%20b.db", "a b.db"),
        ("sqlite://", ":memory:"),
        ("sqlite:///:memory:", ":memory:"),
        ("postgresql://user:secret@host/name", None),
        ("postgres:///name?host=/run", None),
    ],
)
def test_an_address_names_a_file_memory_or_postgresql(url: str, path: str | None) -> None:
    assert sqlite_path(url) == path


def test_a_password_is_never_shown() -> None:
    assert shown("postgresql://user:secret@host:5433/name?password=secret") == "postgresql://user@host:5433/name"
    assert shown("sqlite:///gate.db") == "sqlite:///gate.db"
