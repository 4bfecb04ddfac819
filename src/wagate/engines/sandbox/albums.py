"""Albums: sent as one, carried as the messages that they are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from wagate.model.contents import AlbumContent, Content

Part = tuple[str, Content]
"""A message of its own: its wire id, and what it says."""


def parts(wire_id: str, content: Content, mint: Callable[[str, int], str]) -> list[Part]:
    """What a content is carried as: itself, or an album's items.

    The first item has the album's own id, the others the ids that were chosen for them or new ones. What the album says
    as a whole, its first item says.
    """
    if not isinstance(content, AlbumContent):
        return [(wire_id, content)]
    found: list[Part] = []
    for place, item in enumerate(content.items):
        chosen = item.message_id or "3EB0" + mint("item", 18).upper()
        found.append((chosen if place else wire_id, item.content))
    whole: dict[str, Any] = {"mentions": content.mentions, "quote": content.quote}
    first = found[0][1]
    found[0] = (wire_id, replace(first, **{field: value for field, value in whole.items() if value}))
    if content.forwarded:
        found = [(each, replace(said, forwarded=True)) for each, said in found]
    return found
