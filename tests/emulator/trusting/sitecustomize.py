"""Put on a test process's path, this makes the client library trust the emulator as soon as it is loaded.

Python imports a module of this name at its start. It waits until `neonize._binder` has loaded the native library, then
puts the key of EMULATOR_ROOT in the place of WhatsApp's, in the memory of this process only. No product has this file
on its path, and without it the library refuses the emulator: a test shows it. SIGUSR1 makes the library panic.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

_LOADS_THE_LIBRARY = "neonize._binder"


class _Trusting(MetaPathFinder):
    """Finds the one module as everybody does, and wraps its loader."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != _LOADS_THE_LIBRARY:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(Loader):
    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        sys.path.insert(0, str(Path(__file__).parents[1]))
        try:
            from rootkey import trust  # type: ignore[import-not-found]
        finally:
            del sys.path[0]
        trust(bytes.fromhex(os.environ["EMULATOR_ROOT"]))


def _panic(*_: object) -> None:
    """Die as the library does: it is asked about a session that it has not."""
    sys.modules[_LOADS_THE_LIBRARY].gocode.GetMe(b"nobody")


sys.meta_path.insert(0, _Trusting())
signal.signal(signal.SIGUSR1, _panic)
