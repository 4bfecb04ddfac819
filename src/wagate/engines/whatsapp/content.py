"""From our contents to the library's messages."""

from __future__ import annotations

from typing import Any

from wagate.errors import UnsupportedByEngine
from wagate.model.contents import Content, TextContent


def message_of(content: Content) -> Any:
    """The message that says this.

    Raises:
        UnsupportedByEngine: the library has no way to say it.
    """
    from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import Message

    match content:
        case TextContent():
            return Message(conversation=content.text)
    raise UnsupportedByEngine
