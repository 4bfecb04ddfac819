"""Whether the WhatsApp library is installed as it was tested, found out without loading any of it.

Called by the host before it loads the library, and by bootstrap before the first host is started.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
from pathlib import Path

NAME, VERSION = "neonize", "0.5.2"
_PROTOBUF_LEAST, _PROTOBUF_BELOW = (7, 34, 1), (8,)
"""Which runtime the library's generated code runs with; its own metadata asks for less."""


class CannotLoad(RuntimeError):
    """The library is not there, or not the one that was tested. A sentence for the operator."""


def verify() -> str:
    """The digest of the native library's file, when it is the one that its wheel brought.

    Raises:
        CannotLoad: it is missing, of another version, or was changed.
    """
    try:
        installed = importlib.metadata.distribution(NAME)
    except importlib.metadata.PackageNotFoundError:
        raise CannotLoad("The WhatsApp library is not installed: pip install 'wagate[whatsapp]'.") from None
    if installed.version != VERSION:
        raise CannotLoad(f"{NAME} {installed.version} is installed, not {VERSION}: pip install 'wagate[whatsapp]'.")
    _fits_protobuf()
    recorded = [file for file in installed.files or () if file.name.startswith(f"{NAME}-") and file.parent.name == NAME]
    for file in recorded:
        path = Path(str(file.locate()))
        if file.hash is None or not path.is_file():
            continue
        digest = base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).rstrip(b"=").decode()
        if digest != file.hash.value:
            raise CannotLoad(f"{path.name} is not the file that the package brought: install {NAME} {VERSION} again.")
        return digest
    raise CannotLoad(f"{NAME} {VERSION} has no native library for this machine.")


def protobuf() -> str:
    """The installed version of protobuf, which the library needs; empty for none."""
    try:
        return importlib.metadata.version("protobuf")
    except importlib.metadata.PackageNotFoundError:
        return ""


def _fits_protobuf() -> None:
    found = protobuf()
    numbers = tuple(int(part) for part in found.split(".")[:3] if part.isdigit())
    if not _PROTOBUF_LEAST <= numbers < _PROTOBUF_BELOW:
        raise CannotLoad(f"{NAME} {VERSION} needs protobuf 7.34.1 or later, below 8: {found or 'none'} is installed.")
