"""The protocol's protobuf messages, as generated and shipped by the client library.

They are imported beside the library's package, not through it: importing `neonize` itself would load its native code
into this process.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from unittest import SkipTest


def _folder() -> Path:
    spec = importlib.util.find_spec("neonize")
    if spec is None or not spec.submodule_search_locations:
        # Of this kind, so that test files that import the emulator are skipped with this sentence.
        raise SkipTest("the emulator takes the protocol's messages from neonize, which is not installed")
    return Path(spec.submodule_search_locations[0]) / "proto"


if str(_folder()) not in sys.path:
    sys.path.append(str(_folder()))

from Neonize_pb2 import PatchInfo  # noqa: E402
from waAdv.WAAdv_pb2 import (  # noqa: E402
    ADVDeviceIdentity,
    ADVKeyIndexList,
    ADVSignedDeviceIdentity,
    ADVSignedDeviceIdentityHMAC,
    ADVSignedKeyIndexList,
)
from waCert.WACert_pb2 import CertChain  # noqa: E402
from waE2E.WAWebProtobufsE2E_pb2 import HistorySyncNotification, Message  # noqa: E402
from waHistorySync.WAWebProtobufsHistorySync_pb2 import HistorySync  # noqa: E402
from waServerSync.WAWebProtobufsServerSync_pb2 import SyncdPatch  # noqa: E402
from waWa6.WAWebProtobufsWa6_pb2 import ClientPayload, HandshakeMessage  # noqa: E402

__all__ = (
    "ADVDeviceIdentity",
    "ADVKeyIndexList",
    "ADVSignedDeviceIdentity",
    "ADVSignedDeviceIdentityHMAC",
    "ADVSignedKeyIndexList",
    "CertChain",
    "ClientPayload",
    "HandshakeMessage",
    "HistorySync",
    "HistorySyncNotification",
    "Message",
    "PatchInfo",
    "SyncdPatch",
)
