"""Around a running gateway: one of its dialects, asked as its clients ask."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from wagate.api.compat.wasend.naming import SDK_AGENT
from wagate.testing import Answer, SandboxGateway

BASES = ("/wasend", "")
"""Where the dialect is spoken."""


class Dialect:
    """The Wasend dialect of a gateway. `sdk`: as its SDK; `base`: below /wasend, or at the root."""

    def __init__(self, wagate: SandboxGateway, *, sdk: bool = False, base: str = "/wasend") -> None:
        self.wagate = wagate
        self.sdk = sdk
        self.base = base

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request, whatever its answer. `key`: another credential, empty for none."""
        place = urlsplit(self.wagate.url)
        sent = {"content-type": "application/json", **({"user-agent": SDK_AGENT} if self.sdk else {})}
        if key != "":
            sent["authorization"] = f"Bearer {self.wagate.key if key is None else key}"
        raw = body if isinstance(body, bytes) or body is None else msgspec.json.encode(body)
        line = http.client.HTTPConnection(place.hostname or "", place.port or 80, timeout=60)
        try:
            line.request(method, self.base + path, raw, sent | dict(headers or {}))
            got = line.getresponse()
            data = got.read()
            told = {name.lower(): value for name, value in got.getheaders()}
        finally:
            line.close()
        json = told.get("content-type", "").startswith("application/json") and data
        return Answer(status=got.status, headers=told, body=msgspec.json.decode(data) if json else data)

    def good(self, method: str, path: str, body: Any = None) -> Any:
        """The body of a success."""
        answer = self.ask(method, path, body)
        assert 200 <= answer.status < 300, (method, path, answer.status, answer.body)
        return answer.body

    def get(self, path: str) -> Any:
        """The body of a successful GET."""
        return self.good("GET", path)

    def post(self, path: str, body: Any = None) -> Any:
        """The body of a successful POST."""
        return self.good("POST", path, body)


def told(answer: Answer, status: int, words: str = "") -> str:
    """The sentence of an error with this status, in the dialect's body and nothing else."""
    assert answer.status == status, (answer.status, answer.body)
    assert answer.headers["content-type"] == "application/json"
    assert {"success", "error", "message", "statusCode"} <= set(answer.body)
    assert set(answer.body) <= {"success", "error", "message", "statusCode", "applied", "failed"}
    assert answer.body["success"] is False
    assert answer.body["statusCode"] == status
    assert isinstance(answer.body["message"], str)
    assert answer.body["message"]
    assert answer.body["error"] == answer.body["message"]
    assert words in answer.body["message"], answer.body
    return str(answer.body["message"])


def _each(names: str, kind: Any) -> dict[str, Any]:
    return dict.fromkeys(names.split(), kind)


_DETAILS = {
    **dict.fromkeys(("id", "uniqueSessionId", "userId", "sessionName", "phoneNumber", "createdAt", "updatedAt"), str),
    **dict.fromkeys(("enableAccountProtection", "enableMessageLogging", "enableWebhook"), bool),
    "webhookUrl?": str,
}
_CONFIG = {
    "metadata": {"userId": str, "userEmail": str},
    "debug": bool,
    "noweb": {"markOnline": bool, "store": {"enabled": bool, "fullSync": bool}},
    "webhooks": list,
}
_ENGINE = {"grpc": {"client": str, "stream": str}, "gows": {"found": bool, "connected": bool}}
_BELOW = {"name": str, "status": str, "config": _CONFIG, "engine": _ENGINE}
_PARTICIPANT = {
    "jid": str,
    "phoneNumber": str,
    "isAdmin": bool,
    "isSuperAdmin": bool,
    "lid?": str,
    "displayName?": str,
    "error?": float,
}
SHAPES: dict[str, Any] = {
    "SessionDetails": _DETAILS,
    "Session": _DETAILS | _BELOW,
    "SessionList": {"sessions": [{"session": _DETAILS, "downstream": _BELOW}]},
    "QRCode": {"data": str},
    "Group": {
        **_each(
            "jid ownerJid ownerPn name nameSetAt nameSetBy nameSetByPn topic topicId topicSetAt topicSetBy "
            "topicSetByPn announceVersionId defaultMembershipApprovalMode linkedParentJid addressingMode groupCreated "
            "creatorCountryCode participantVersionId memberAddMode",
            str,
        ),
        **_each(
            "topicDeleted isLocked isAnnounce isEphemeral isIncognito isParent isDefaultSubGroup "
            "isJoinApprovalRequired",
            bool,
        ),
        "disappearingTimer": float,
        "participants": [_PARTICIPANT],
    },
    "GroupParticipant": _PARTICIPANT,
    "Joined": {"id": str, "name": str, "participantsCount": float, "description?": str, "pictureUrl?": str},
    "Count": {"total": float, "byStatus?": {"*": str}},
    "Picture": {"url": str, "format?": str, "size?": float, "dimensions?": {"*": str}},
    "Switch": {"enabled": bool, "changedAt?": str, "changedBy?": str},
    "WAMessage": {
        **dict.fromkeys(("id", "to", "content", "type", "timestamp", "status", "sender", "recipient"), str),
        "fromMe": bool,
    },
    "Contact": {
        "id": str,
        "phoneNumber": str,
        **dict.fromkeys(("name?", "pushName?", "profilePictureUrl?", "status?"), str),
        "businessProfile?": {"*": str},
    },
    "Exists": {"exists": bool, "phone": str, "jid?": str},
    "Read": {"success": bool, "message?": str},
    "Account": {"id": str, "name": str, "plan": str},
    "Chat": {
        "id": str,
        "name?": str,
        "isGroup?": bool,
        "timestamp?": float,
        "unreadCount?": float,
        "archived?": bool,
        "pinned?": bool,
    },
    "ChatWAMessage": {
        **dict.fromkeys(("id", "chatId", "from", "to", "type"), str),
        "timestamp": float,
        "fromMe": bool,
        **dict.fromkeys(("body?", "caption?", "mediaUrl?", "mimetype?", "filename?", "quotedMsgId?"), str),
        "ack?": float,
        "hasMedia?": bool,
    },
}
"""What the SDK declares: a name with `?` may be absent, `*` is every name; a list holds one shape."""


def strict(value: Any, shape: Any, path: str = "") -> Any:
    """The value, which has the shape as the SDK demands it: what is declared is there, of its type, never null."""
    if isinstance(shape, str):
        strict(value, SHAPES[shape], shape)
    elif isinstance(shape, list):
        assert isinstance(value, list), path
        for position, each in enumerate(value):
            strict(each, shape[0], f"{path}[{position}]")
    elif isinstance(shape, dict):
        assert isinstance(value, dict), path
        for name, kind in shape.items():
            for plain in value if name == "*" else [name.removesuffix("?")]:
                assert plain in value or name.endswith("?"), f"{path}.{plain} is missing"
                if plain in value:
                    strict(value[plain], kind, f"{path}.{plain}")
    elif shape is float:
        assert type(value) in (int, float), f"{path} is {value!r}"
    else:
        assert type(value) is shape, f"{path} is {value!r}"
    return value
