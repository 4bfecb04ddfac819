"""What clients send, read and judged: the body within its limit, JSON into our shapes, the query string.

Every complaint names the field as the client wrote it and says what is wrong in a sentence. Called by app, after the
credential and the capability were accepted.
"""

from __future__ import annotations

import asyncio
import math
import re
import types
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Annotated, Any, NoReturn, Union, get_args, get_origin, get_type_hints
from urllib.parse import unquote_to_bytes

import msgspec

from wagate.api.operations import KIB, MIB, Nothing, Operation
from wagate.api.scanner import Scanner
from wagate.api.spools import Spools
from wagate.backends.spool import PIECE_BYTES, SpoolFile
from wagate.errors import BadRequest, PayloadTooLarge
from wagate.model import Line, Prose

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

DRAIN_BYTES = 64 * KIB
DRAIN_SECONDS = 1.0
_COMPLAINTS = 20
"""How many fields a refusal names at most."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_PATTERN = re.compile(r"Expected `str(?: \| null)?` matching regex (.*)", re.DOTALL)
_FIELD = re.compile(r"Object (?:missing required|contains unknown) field `(.*)`", re.DOTALL)
_TEXTS = {repr(get_args(kind)[1].pattern): kind for kind in (Line, Prose)}
_NOT_WRITTEN = {
    "Expected `int`, got `str`": "is not a whole number",
    "Expected `float`, got `str`": "is not a number",
    "Expected `bool`, got `str`": "is not true or false",
}
_EMPTY_IS_ABSENT = frozenset({"since", "sender", "cursor"})


class ClientGone(Exception):
    """The client went away; there is nobody to answer."""


async def read(receive: Receive, limit: int, *, timeout: float) -> bytes:
    """The whole body.

    Raises:
        PayloadTooLarge: more than `limit` bytes came; the rest is not read.
        BadRequest: nothing came for `timeout` seconds.
        ClientGone: the connection ended.
    """
    parts: list[bytes] = []
    size = 0
    while True:
        part, more = await _part(receive, timeout)
        size += len(part)
        if size > limit:
            raise too_large(limit)
        if not more:
            return b"".join([*parts, part]) if parts else part
        parts.append(part)


async def read_spooled(receive: Receive, limit: int, spools: Spools, *, timeout: float) -> bytes:
    """A body of JSON without its long `data` strings, which go to `spools` as they arrive.

    Raises what `read` does, and:
        PayloadTooLarge: what is no file is more than 1 MiB, or a file is too large; the rest is not read.
        BadRequest: a string that is no longer in it was not JSON.
        StorageUnavailable: the disk is full or gone.
    """
    batches = _Batches(receive, limit, timeout)
    batch = await batches.next()
    if not batches.more:
        return batch
    scanner = Scanner(spools, limit=MIB)
    await spools.threads.compute(scanner.feed, batch)
    while batches.more:
        await spools.threads.compute(scanner.feed, await batches.next())
    return scanner.finish()


async def read_file(receive: Receive, limit: int, spools: Spools, *, timeout: float) -> SpoolFile:
    """A body of raw bytes as a file of `spools`.

    Raises what `read` does, and:
        BadRequest: there are no bytes.
        StorageUnavailable: the disk is full or gone.
    """
    batches = _Batches(receive, limit, timeout)
    file = await spools.threads.run(spools.open)
    while batches.more:
        await file.write(await batches.next())
    if not file.size:
        _refuse("", "the body is empty")
    return file


class _Batches:
    """A body in pieces that are worth asking a thread for. The next one is read when it is asked for."""

    def __init__(self, receive: Receive, limit: int, timeout: float) -> None:
        self.more = True
        self._receive = receive
        self._limit = limit
        self._timeout = timeout
        self._size = 0

    async def next(self) -> bytes:
        parts: list[bytes] = []
        enough = self._size + PIECE_BYTES
        while self.more and self._size < enough:
            part, self.more = await _part(self._receive, self._timeout)
            self._size += len(part)
            if self._size > self._limit:
                raise too_large(self._limit)
            parts.append(part)
        return b"".join(parts)


async def _part(receive: Receive, timeout: float) -> tuple[bytes, bool]:
    """What came of a body since it was last asked, and whether there is more."""
    try:
        async with asyncio.timeout(timeout):
            message = await receive()
    except TimeoutError:
        raise BadRequest("the body did not arrive in time") from None
    if message["type"] == "http.disconnect":
        raise ClientGone
    return message.get("body", b""), message.get("more_body", False)


async def drain(receive: Receive) -> bool:
    """Read and forget at most 64 KiB, for at most a second; whether that was all of the body."""
    size = 0
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            while size <= DRAIN_BYTES:
                message = await receive()
                size += len(message.get("body", b""))
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return True
    except TimeoutError:
        pass
    return False


def too_large(limit: int) -> PayloadTooLarge:
    """The error for a body over `limit` bytes."""
    return PayloadTooLarge(f"the body is larger than {limit} bytes", limitBytes=limit)


class BodyReader:
    """Makes bytes into an operation's body type."""

    def __init__(self, operation: Operation) -> None:
        kind = operation.body
        self.ignored = kind is None and operation.method not in ("POST", "PUT", "PATCH")
        self.raw = kind is bytes
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Nothing if kind in (None, bytes) else kind)
        self.optional = not self.raw and self._absent() is not None

    def decode(self, raw: bytes, content_type: bytes | None) -> Any:
        """The body; the type's defaults when there is none and none is needed.

        Raises:
            BadRequest: not JSON, or not of the type.
        """
        if self.raw:
            return raw
        if len(raw) <= 4 and self.optional and raw in (b"", b"null"):
            return self._absent()
        if not raw:
            _refuse("", "a JSON body is needed")
        if content_type is not None and content_type != b"application/json":
            judge_type(content_type)
        try:
            return self._decoder.decode(raw)
        except msgspec.ValidationError as error:
            _refuse(*complaint(str(error)))
        except msgspec.DecodeError as error:
            _refuse("", f"the body is not valid JSON: {error}")
        except UnicodeDecodeError:
            _refuse("", "the body is not valid UTF-8")
        except RecursionError:
            _refuse("", "the body is nested too deeply")

    def _absent(self) -> Any:
        try:
            return self._decoder.decode(b"{}")
        except msgspec.MsgspecError:
            return None


class QueryReader:
    """Makes a query string into an operation's query type.

    Numbers and flags (`true`, `false`, `1`, `0`) are written as text. A list is a parameter given more than once, or
    parts separated by commas; anything else given twice is refused, and so is a name that the operation does not know.
    """

    def __init__(self, kind: type[msgspec.Struct]) -> None:
        self._kind = kind
        # A constraint that cannot apply to its type is a mistake of ours: it shows here, not at the first request.
        msgspec.json.Decoder(kind)
        hints = get_type_hints(kind, include_extras=True)
        self._fields = {
            field.encode_name: (field.name, _without_none(hints[field.name])) for field in msgspec.structs.fields(kind)
        }
        self._none = kind()

    def decode(self, query: bytes) -> Any:
        """The query; all defaults when the string is empty.

        Raises:
            BadRequest: an unknown name, a wrong value, bytes that are no text.
        """
        if not query:
            return self._none
        given: dict[str, list[str]] = {}
        for pair in query.split(b"&"):
            if pair:
                raw_name, _, raw = pair.partition(b"=")
                name = _text("", raw_name)
                given.setdefault(name, []).append(_text(name, raw))
        wrong: list[tuple[str, str]] = []
        values: dict[str, Any] = {}
        for name, texts in given.items():
            if name not in self._fields:
                wrong.append((name, "is not a known query parameter"))
                continue
            if name in _EMPTY_IS_ABSENT and texts == [""]:
                continue
            attribute, kind = self._fields[name]
            try:
                values[attribute] = _value(texts, kind)
            except msgspec.ValidationError as error:
                wrong.append((name, _NOT_WRITTEN.get(str(error)) or complaint(str(error))[1]))
        if wrong:
            raise refusal(wrong[:_COMPLAINTS])
        return self._kind(**values)


def judge_type(content_type: bytes) -> None:
    """Refuse a body that does not call itself JSON.

    Raises:
        BadRequest: it does not.
    """
    media = content_type.partition(b";")[0].strip().lower()
    if media not in (b"", b"application/json") and not media.endswith(b"+json"):
        _refuse("", "the Content-Type of the body must be application/json")


def refusal(wrong: list[tuple[str, str]]) -> BadRequest:
    """The error that lists what is wrong: (path, message) each."""
    sentences = [f"{path}: {message}" if path else message for path, message in wrong]
    fields = [{"path": path, "message": message} for path, message in wrong]
    return BadRequest(sentences[0], errors=sentences, fields=fields)


def complaint(said: str) -> tuple[str, str]:
    """From what the decoder said to the field's path as the client wrote it, and a sentence about it."""
    message, at, path = said.rpartition(" - at `")
    if not at:
        message, path = said, "`"
    path = path[:-1].removeprefix("$").removeprefix(".")
    if found := _FIELD.fullmatch(message):
        path = f"{path}.{found[1]}" if path else found[1]
        return path, "is missing" if "missing" in message[: found.start(1)] else "is not a known field"
    if found := _PATTERN.fullmatch(message):
        return path, "must not hold control characters" if found[1] in _TEXTS else "has not the expected form"
    return path, message[:1].lower() + message[1:300]


def _refuse(path: str, message: str) -> NoReturn:
    raise refusal([(path, message)]) from None


def _text(name: str, raw: bytes) -> str:
    try:
        text = unquote_to_bytes(raw.replace(b"+", b" ")).decode()
    except UnicodeDecodeError:
        _refuse(name, "is not valid UTF-8")
    if _CONTROL.search(text):
        _refuse(name, "must not hold control characters")
    return text


def _value(texts: list[str], kind: Any) -> Any:
    plain = get_args(kind)[0] if hasattr(kind, "__metadata__") else kind
    if get_origin(plain) is list:
        return msgspec.convert([part for text in texts for part in text.split(",")], kind, strict=False)
    if len(texts) > 1:
        raise msgspec.ValidationError("is given more than once")
    value = msgspec.convert(texts[0], kind, strict=False)
    if type(value) is float and not math.isfinite(value):
        raise msgspec.ValidationError("is not a number")
    return value


def _without_none(kind: Any) -> Any:
    """In a query a value is there or not: the text `null` is no absence."""
    if get_origin(kind) is Annotated:
        return Annotated[(_without_none(kind.__origin__), *kind.__metadata__)]
    if get_origin(kind) in (Union, types.UnionType):
        return Union[tuple(part for part in get_args(kind) if part not in (type(None), msgspec.UnsetType))]  # noqa: UP007
    return kind
