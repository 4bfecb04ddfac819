"""The only door to the WhatsApp library: loaded once, checked before, entered through a gate.

What it promises the rest of the host: no download ever; no call for a session that is not there (the library would
abort the process); no call beside the beginning or the end of a session. Only the binding and its message classes are
loaded, not the library's own client: that would bring image and HTTP libraries into every host, 20 MB that nobody uses.
Imported by host.py, in a host process only.
"""

from __future__ import annotations

import ctypes
import importlib.util
import sys
import threading
import time
import types
from pathlib import Path
from typing import Any, Protocol

import structlog

from wagate.engines.whatsapp.gate import Gate
from wagate.engines.whatsapp.installed import NAME, VERSION, CannotLoad, verify

log = structlog.get_logger(__name__)

_FIRST_SIGN_SECONDS = 1.0
_END_SECONDS = 10.0
_LOOK_SECONDS, _QUIET_LOOKS = 0.02, 8
"""A session that has hung up is looked at so often; after so many looks at which nothing had come, nothing will."""
_HAND_OVER_SECONDS = 5.0

EVENTS = {
    2: "PairStatus",
    3: "Connected",
    4: "KeepAliveTimeout",
    6: "LoggedOut",
    7: "StreamReplaced",
    8: "TemporaryBan",
    9: "ConnectFailure",
    10: "ClientOutdated",
    11: "StreamError",
    12: "Disconnected",
    13: "HistorySync",
    17: "Message",
    18: "Receipt",
    19: "ChatPresence",
    20: "Presence",
    21: "JoinedGroup",
    22: "GroupInfoEvent",
    23: "Picture",
    32: "NewsletterJoin",
    33: "NewsletterLeave",
    34: "NewsletterMuteChange",
    36: "CallOffer",
    40: "CallOfferNotice",
    44: "UndecryptableMessage",
}
"""The events that are asked for: the library's number, and the message class that carries them."""


class Heard(Protocol):
    """What a session calls back; each is called on threads of the library's and must not raise."""

    def event(self, code: int, body: bytes) -> None:
        """An event of `EVENTS`, in order. The library goes on with the next when this returns."""
        ...

    def qr(self, code: str) -> None:
        """A text to scan, or to type where linking is by code."""
        ...

    def status(self, word: str) -> None:
        """How linking by QR went: `success`, `timeout`, or an error's word."""
        ...

    def over(self, error: str) -> None:
        """The session has ended in the library; empty when it was stopped."""
        ...


class Library:
    """The loaded library, and the sessions that are in it."""

    def __init__(self) -> None:
        self.digest = verify()
        self._go = _load()
        from neonize.proto import Neonize_pb2

        self.messages: Any = Neonize_pb2
        self._gate = Gate()
        self._present: dict[str, _Session] = {}
        # For as long as the process lives: work that a session has left behind still logs after the session has ended.
        self._on_log = sys.modules["neonize._binder"].func_callback_bytes2(self._note)

    def begin(self, id: str, *, store: str, heard: Heard, proxy: str | None = None) -> None:
        """Begin a session: it connects, or shows codes where the store holds no keys. Returns once that is under way.

        Raises:
            KeyError: a session of this id is there already.
        """
        session = _Session(self, id, store=store, heard=heard, proxy=proxy)
        with self._gate.change():
            if id in self._present:
                raise KeyError(id)
            self._present[id] = session
            session.thread.start()
            session.sign.wait(_FIRST_SIGN_SECONDS)

    def end(self, id: str) -> bool:
        """End a session; false if it would not end in time, which leaves its thread and its store in use.

        What it had taken in is heard before: stopped at once, the library would throw away up to a hundred events of
        which WhatsApp has an acknowledgement.
        """
        session = self._present.get(id)
        if session is None:
            return True
        session.ending = True
        self._hang_up(session)
        with self._gate.change():
            if id in self._present and session.thread.is_alive():
                self._go.Stop(id.encode())
                session.thread.join(_END_SECONDS)
        if id not in self._present:
            # It ended by itself meanwhile, and may wait for the gate still.
            session.thread.join(_END_SECONDS)
        return not session.thread.is_alive()

    def call(self, name: str, id: str, *arguments: Any) -> Any:
        """Call an exported function for a session. Blocks; for threads of a pool.

        Raises:
            KeyError: no such session.
        """
        with self._gate.call():
            session = self._present.get(id)
            if session is None or not session.thread.is_alive():
                raise KeyError(id)
            return getattr(self._go, name)(id.encode(), *arguments)

    def read(self, kind: str, body: bytes) -> Any:
        """A message of the library's, by the name of its class."""
        return getattr(self.messages, kind).FromString(body)

    def proxy(self, url: str) -> Any:
        """A proxy as the library takes it."""
        from neonize._binder import ProxySettings

        return ProxySettings(proxy_address=url)._to_c_struct()

    def run(self, session: _Session) -> str:
        """The life of a session, on a thread of its own; the error that ended it."""
        binder = sys.modules["neonize._binder"]
        wanted = bytearray(EVENTS)
        codes = (ctypes.c_char * len(wanted)).from_buffer(wanted)
        # Kept in a local for as long as the call lasts: the library calls them from within it.
        callbacks = (
            binder.func_string(session.on_qr),
            binder.func_string(session.on_status),
            binder.func_callback_bytes(session.on_event),
        )
        proxy = None if session.proxy is None else ctypes.byref(self.proxy(session.proxy))
        id, store, device = session.id.encode(), session.store.encode(), _device()
        who = (store, id, b"", 0, 0, b"WARN")
        error: bytes = self._go.Neonize(
            *who, *callbacks, self._on_log, codes, len(wanted), device, len(device), b"", 0, proxy
        )
        return error.decode(errors="replace")

    def left(self, session: _Session) -> None:
        """A session's thread is about to end.

        By itself it does so when it cannot connect, or cannot put an event into a message. The library then keeps its
        connection: what came over it would be acknowledged, and heard by nobody.
        """
        self._present.pop(session.id, None)
        # Whoever began it has the gate until then.
        session.sign.set()
        if not session.ending:
            with self._gate.change():
                self._go.Stop(session.id.encode())

    def _hang_up(self, session: _Session) -> None:
        """Go offline, and hear what is on its way through the library to the end."""
        with self._gate.call():
            if not session.thread.is_alive():
                return
            self._go.Disconnect(session.id.encode())
        deadline, quiet, heard = time.monotonic() + _HAND_OVER_SECONDS, 0, -1
        # Counted in looks, not in time: a machine that stands still for a second stops the library as well.
        while quiet < _QUIET_LOOKS and time.monotonic() < deadline and session.thread.is_alive():
            quiet = quiet + 1 if session.heard == heard and not session.hearing else 0
            heard = session.heard
            time.sleep(_LOOK_SECONDS)

    def _note(self, address: int, size: int) -> None:
        if address and size > 0:
            entry = self.read("LogEntry", ctypes.string_at(address, size))
            # Never a message's content at the levels that are asked for.
            log.debug("library", part=entry.Name, level=entry.Level.lower(), text=entry.Message[:500])


class _Session:
    """One session inside the library: its thread, and its callbacks."""

    def __init__(
        self, library: Library, id: str, *, store: str, heard: Heard, proxy: str | None
    ) -> None:  # fmt: skip
        self.id, self.store, self.proxy = id, store, proxy
        self.sign = threading.Event()
        self.ending = False
        self.heard = 0
        self.hearing = False
        self._heard = heard
        self._library = library
        self.thread = threading.Thread(target=self._live, name=f"wa-{id}", daemon=True)

    def _live(self) -> None:
        error = "the call did not return"
        try:
            error = self._library.run(self)
        finally:
            self._library.left(self)
            self._heard.over(error)

    def on_event(self, _id: bytes, address: int, size: int, code: int) -> None:
        self.sign.set()
        self.hearing = True
        try:
            if code in EVENTS:
                self._heard.event(code, ctypes.string_at(address, size))
        finally:
            self.heard += 1
            self.hearing = False

    def on_qr(self, _id: int, address: int) -> None:
        self.sign.set()
        self._heard.qr(ctypes.string_at(address).decode())

    def on_status(self, _id: int, address: int) -> None:
        self.sign.set()
        self._heard.status(ctypes.string_at(address).decode(errors="replace") if address else "")


def _load() -> Any:
    """The binding, without the package's own client, and without its way to download a library."""
    spec = importlib.util.find_spec(NAME)
    if spec is None or not spec.submodule_search_locations:
        raise CannotLoad(f"{NAME} {VERSION} cannot be found.")
    folder = Path(next(iter(spec.submodule_search_locations)))
    for name, path in ((NAME, folder), (f"{NAME}.utils", folder / "utils")):
        package = types.ModuleType(name)
        package.__path__ = [str(path)]
        sys.modules[name] = package
    download = types.ModuleType(f"{NAME}.download")
    download.__GONEONIZE_VERSION__ = VERSION  # type: ignore[attr-defined]
    download.download = _never  # type: ignore[attr-defined]
    sys.modules[download.__name__] = download
    try:
        from neonize import _binder
    except Exception as error:
        raise CannotLoad(f"{NAME} {VERSION} cannot be loaded: {error}") from error
    go: Any = _binder.gocode
    # The binding forgets these two: without them their answers are addresses instead of bytes.
    for name in ("DecryptPollVote", "SendFBMessage"):
        getattr(go, name).errcheck = go.GetMe.errcheck
    return go


def _never() -> None:
    raise CannotLoad("The native library does not fit this machine, and nothing is ever downloaded.")


def _device() -> bytes:
    """How this companion shows itself in the phone's list of linked devices."""
    from neonize.proto.waCompanionReg.WAWebProtobufsCompanionReg_pb2 import DeviceProps

    return bytes(DeviceProps(os="wagate", platformType=DeviceProps.CHROME).SerializeToString())
