"""The PostgreSQL server: how connections to it are opened, whose name they bear, and what their failures mean.

Used by postgres.py alone.
"""

from __future__ import annotations

import asyncio

import asyncpg
import structlog

from wagate.backends.database import ConstraintViolation, UnstorableValue
from wagate.backends.ownership import AlreadyServed
from wagate.errors import StorageUnavailable

log = structlog.get_logger(__name__)

APPLICATION = "wagate"
"""How our connections are named in `pg_stat_activity`."""
_CONNECT_SECONDS = 10.0
_NAME = "SELECT pg_try_advisory_lock(hashtext('wagate serve'), hashtext($1))"
_LOST = (asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError, asyncpg.InternalClientError, OSError)
_FAILED = (
    *_LOST,
    asyncpg.TransactionRollbackError,  # deadlock, serialization
    asyncpg.InsufficientResourcesError,  # disk full, memory, too many connections
    asyncpg.ReadOnlySQLTransactionError,  # a standby, or an operator who closed the door
    asyncpg.PostgresSystemError,  # the server's own I/O
)
"""What fails a group, not a caller."""


class _Connection(asyncpg.Connection):  # type: ignore[misc]
    """A connection that is given back to the pool as it is: reads leave nothing behind."""

    def get_reset_query(self) -> str:
        """Nothing: it would cost a round trip for each read."""
        return ""


def is_lost(error: BaseException) -> bool:
    """Whether the connection is of no use any more; the driver says so in several ways."""
    if isinstance(error, asyncpg.DataError):
        return False
    return isinstance(error, _LOST) or (isinstance(error, asyncpg.InterfaceError) and "clos" in str(error))


def group_failed(error: BaseException) -> bool:
    """Whether nothing remains of the group in which this happened."""
    return isinstance(error, _FAILED) or is_lost(error)


def neutral(error: Exception) -> Exception:
    """The port's error for one of the driver's; a defect such as wrong SQL stays what it is."""
    if group_failed(error) or isinstance(error, asyncpg.LockNotAvailableError):
        return StorageUnavailable()
    if isinstance(error, asyncpg.IntegrityConstraintViolationError):
        return ConstraintViolation(str(error))
    unstorable = (asyncpg.DataError, asyncpg.CharacterNotInRepertoireError, asyncpg.UntranslatableCharacterError)
    if isinstance(error, (*unstorable, UnicodeEncodeError, OverflowError)):
        return UnstorableValue(str(error))
    return error


async def _prepare(connection: asyncpg.Connection) -> None:
    """Values as SQLite gives them."""
    await connection.set_type_codec(
        "numeric", schema="pg_catalog", encoder=str, decoder=lambda text: float(text) if "." in text else int(text)
    )
    await connection.set_type_codec(
        "bool",
        schema="pg_catalog",
        encoder=lambda value: "t" if value else "f",
        decoder=lambda text: 1 if text == "t" else 0,
    )


def _terms(patience: float) -> dict[str, str]:
    """What connections are opened with. The server itself ends what we have given up, and frees the rows of a process
    whose machine has lost its power: it would keep them for hours.
    """
    return {
        "application_name": APPLICATION,
        "lock_timeout": f"{patience / 3 * 1000:.0f}",
        "statement_timeout": f"{patience * 2 * 1000:.0f}",
        "idle_in_transaction_session_timeout": f"{patience * 2 * 1000:.0f}",
        "tcp_keepalives_idle": "10",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "3",
    }


async def open_one(dsn: str, *, patience: float) -> asyncpg.Connection:
    """A connection for writes."""
    connection = await asyncpg.connect(
        dsn,
        timeout=min(_CONNECT_SECONDS, patience),
        statement_cache_size=512,
        command_timeout=patience,
        server_settings=_terms(patience),
    )
    try:
        await _prepare(connection)
    except BaseException:
        connection.terminate()
        raise
    return connection


async def open_pool(dsn: str, *, readers: int, patience: float) -> asyncpg.Pool:
    """Up to so many connections for reads."""
    return await asyncpg.create_pool(
        dsn,
        min_size=1,
        max_size=readers,
        timeout=min(_CONNECT_SECONDS, patience),
        init=_prepare,
        connection_class=_Connection,
        statement_cache_size=512,
        command_timeout=patience,
        server_settings=_terms(patience) | {"default_transaction_read_only": "on"},
    )


async def has_name(connection: asyncpg.Connection, name: str) -> bool:
    """Take a name for as long as the connection lives; False: another connection has it."""
    return bool(await connection.fetchval(_NAME, name))


async def claim(connection: asyncpg.Connection, name: str, *, patience: float) -> None:
    """Take a process's name. One that has just ended, or whose machine is gone, is waited for so many seconds.

    Raises:
        AlreadyServed: another process has it.
    """
    now = asyncio.get_running_loop().time
    end, told = now() + patience, False
    while not await has_name(connection, name):
        if now() > end:
            raise AlreadyServed(
                f"Another gateway named {name} already uses this database; stop it first, or give this one another "
                "WAGATE_NODE_ID."
            )
        if not told:
            log.warning("another process has this name; waiting for its end", node=name, seconds=patience)
        told = True
        await asyncio.sleep(0.1)
