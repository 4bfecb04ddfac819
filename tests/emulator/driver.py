"""The program of a test process: the unmodified client library, moved by lines of JSON on its two pipes.

Started by `library.py`: `driver.py <pipe in> <pipe out> <proxy>`. Requests are
`{"id", "do": "open" | "call" | "stop", "session", …}`; answers `{"id", "result"}` or `{"id", "error"}`; what happens by
itself `{"event", "session", "told"}`. The library prints to standard output and may abort the process: both are the
reason for this file.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import sys
import threading
from typing import Any

import neonize.events as happenings
import neonize.utils.enum as enums
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message as Protobuf
from neonize import _binder
from neonize.client import NewClient
from neonize.proto.Neonize_pb2 import JID, MessageInfo, PatchInfo
from neonize.proto.Neonize_pb2 import Message as Arrived
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import Message

_EVENTS = [kind for kind in happenings.EVENT_TO_INT if kind.__name__ not in ("Device", "QR")]
_START = 30.0


class Sessions:
    """The sessions of this process. `gate`: no native call enters while a session is between its start and its first
    sign of life; the library's tables know no lock, and the process would abort."""

    def __init__(self, out: Any, proxy: str) -> None:
        self.out = out
        self.proxy = _binder.ProxySettings(proxy)
        self.clients: dict[str, NewClient] = {}
        self.gate = threading.Lock()
        self._order = threading.Lock()

    def tell(self, **line: Any) -> None:
        """One line out."""
        with self._order:
            self.out.write(json.dumps(line) + "\n")
            self.out.flush()

    def open(self, session: str, store: str) -> None:
        """Start a session on a store and return after its first sign of life."""
        client = NewClient(store, uuid=session)
        alive = threading.Event()

        def shown(_: NewClient, qr: bytes) -> None:
            alive.set()
            self.tell(event="qr", session=session, told=qr.decode())

        def register(kind: type[Protobuf]) -> None:
            @client.event(kind)
            def happened(_: NewClient, event: Protobuf) -> None:
                alive.set()
                told = MessageToDict(event, preserving_proto_field_name=True)
                raw = base64.b64encode(event.SerializePartialToString()).decode()
                self.tell(event=kind.__name__, session=session, told=told, raw=raw)

        def live() -> None:
            try:
                client.connect(self.proxy)
                self.tell(event="ended", session=session, told="")
            except Exception as error:
                self.tell(event="ended", session=session, told=repr(error))
            finally:
                alive.set()

        client.qr(shown)
        for kind in _EVENTS:
            register(kind)
        with self.gate:
            threading.Thread(target=live, daemon=True).start()
            alive.wait(_START)
        self.clients[session] = client

    def call(self, session: str, name: str, args: list[Any], named: dict[str, Any]) -> Any:
        """A method of the library's client, by name; a dot leads to a part of it."""
        found: Any = self.clients[session]
        for part in name.split("."):
            found = getattr(found, part)
        with self.gate:
            pass
        return _plain(found(*map(_given, args), **{key: _given(value) for key, value in named.items()}))

    def obey(self, request: dict[str, Any]) -> None:
        """Do what a line asks, and answer."""
        try:
            result: Any = None
            if request["do"] == "open":
                self.open(request["session"], request["store"])
            elif request["do"] == "call":
                result = self.call(request["session"], request["name"], request["args"], request["named"])
            else:
                self.clients.pop(request["session"]).stop()
            self.tell(id=request["id"], result=result)
        except Exception as error:
            self.tell(id=request["id"], error=f"{type(error).__name__}: {error}")


def _given(value: Any) -> Any:
    """An argument as the library wants it; `library.py` writes these forms."""
    if isinstance(value, list):
        return [_given(each) for each in value]
    if not isinstance(value, dict):
        return value
    form, content = next(iter(value.items()))
    if form == "jid":
        user, _, server = content.rpartition("@")
        user, _, device = user.partition(":")
        return JID(User=user, Server=server, Device=int(device or 0), RawAgent=0, Integrator=0, IsEmpty=False)
    if form == "enum":
        return getattr(getattr(enums, content[0]), content[1])
    raw = base64.b64decode(content)
    if form in ("content", "asked"):
        arrived = Arrived.FromString(raw)
        return arrived.Message if form == "content" else arrived.Info
    kinds = {"message": Message, "arrived": Arrived, "info": MessageInfo, "patch": PatchInfo}
    return raw if form == "bytes" else kinds[form].FromString(raw)


def _plain(value: Any) -> Any:
    """A result as JSON; of protobuf both the fields and the bytes."""
    if isinstance(value, Protobuf):
        raw = base64.b64encode(value.SerializePartialToString()).decode()
        return {"told": MessageToDict(value, preserving_proto_field_name=True), "raw": raw}
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    return [_plain(each) for each in value]


def main() -> None:
    """Obey until the pipe ends."""
    pipe_in, pipe_out, proxy = sys.argv[1:]
    logging.getLogger("neonize").setLevel(os.environ.get("DRIVER_LOG", "WARNING"))
    with os.fdopen(int(pipe_in)) as requests, os.fdopen(int(pipe_out), "w") as out:
        sessions = Sessions(out, proxy)
        sessions.tell(event="ready", session="", told="")
        for line in requests:
            threading.Thread(target=sessions.obey, args=(json.loads(line),), daemon=True).start()
    os._exit(0)


if __name__ == "__main__":
    main()
