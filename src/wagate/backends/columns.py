"""Columns as all tables have them: the same words for both databases. Read by schema.py and webhook_tables.py."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Text, text

metadata = MetaData()

# SQLite gives row ids only to columns declared INTEGER.
_Position = BigInteger().with_variant(Integer, "sqlite")
# Ids and keys are compared byte by byte; a language's order of words would tear pages of them apart.
_Words = Text().with_variant(Text(collation="C"), "postgresql")


def words(name: str, *, null: bool = False, default: str | None = None, key: bool = False) -> Column[str]:
    """A text."""
    return Column(name, _Words, nullable=null, server_default=default, primary_key=key)


def integer(name: str, *, null: bool = False, default: int | None = None) -> Column[int]:
    """A number, a time or a flag."""
    return Column(name, BigInteger, nullable=null, server_default=None if default is None else str(default))


def position(name: str) -> Column[int]:
    """The key of a table whose rows have an order that no clock can turn back."""
    return Column(name, _Position, primary_key=True, autoincrement=True)


def partial(name: str, where: str, *columns: str, unique: bool = False) -> Index:
    """An index over some rows: most of a busy table are done with, and one over the open ones stays small."""
    return Index(name, *columns, unique=unique, sqlite_where=text(where), postgresql_where=text(where))
