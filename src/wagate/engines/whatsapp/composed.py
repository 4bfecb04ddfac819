"""Messages that are composed of parts: what businesses send (templates, buttons, lists), and what is answered by a tap.

We have no types of their own for them. What a person reads of them is a text, or a file with a caption; buttons that
were not pressed are left out. Used by reading.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

_FILES = ("imageMessage", "videoMessage", "documentMessage", "locationMessage")


class Parts(msgspec.Struct, frozen=True):
    """The words, in lines; and where there is one, what stands above them: the field's name, and the message in it."""

    text: str
    above: tuple[str, Any] | None = None


def parts_of(field: str, said: Any) -> Parts:
    """What there is to see of a message of one of `FIELDS`."""
    return FIELDS[field](said)


def _joined(*words: str, above: tuple[str, Any] | None = None) -> Parts:
    """Each line once: a title is often said again in the text."""
    return Parts("\n".join(dict.fromkeys(filter(None, words))), above)


def _file_in(said: Any, group: str) -> tuple[str, Any] | None:
    field = said.WhichOneof(group)
    return (field, getattr(said, field)) if field in _FILES else None


def _template(said: Any) -> Parts:
    if said.HasField("interactiveMessageTemplate"):
        return _interactive(said.interactiveMessageTemplate)
    whole = said.hydratedTemplate if said.HasField("hydratedTemplate") else said.hydratedFourRowTemplate
    words = (whole.hydratedTitleText, whole.hydratedContentText, whole.hydratedFooterText)
    return _joined(*words, above=_file_in(whole, "title"))


def _buttons(said: Any) -> Parts:
    return _joined(said.text, said.contentText, said.footerText, above=_file_in(said, "header"))


def _interactive(said: Any) -> Parts:
    cards = [_interactive(card) for card in said.carouselMessage.cards]
    words = (said.header.title, said.header.subtitle, said.body.text, *(card.text for card in cards), said.footer.text)
    return _joined(*words, above=_file_in(said.header, "media"))


def _product(said: Any) -> Parts:
    product = said.product
    above = ("imageMessage", product.productImage) if product.HasField("productImage") else None
    return _joined(product.title, product.description, said.body, said.footer, above=above)


def _words(*names: str) -> Callable[[Any], Parts]:
    return lambda said: _joined(*(getattr(said, name) for name in names))


FIELDS: dict[str, Callable[[Any], Parts]] = {
    "templateMessage": _template,
    "highlyStructuredMessage": lambda said: _template(said.hydratedHsm),
    "buttonsMessage": _buttons,
    "interactiveMessage": _interactive,
    "listMessage": _words("title", "description", "footerText"),
    "buttonsResponseMessage": _words("selectedDisplayText"),
    "templateButtonReplyMessage": _words("selectedDisplayText"),
    "listResponseMessage": _words("title", "description"),
    "interactiveResponseMessage": lambda said: _joined(said.body.text),
    "productMessage": _product,
    "orderMessage": _words("orderTitle", "message"),
    "groupInviteMessage": _words("groupName", "caption"),
    "newsletterAdminInviteMessage": _words("newsletterName", "caption"),
    "newsletterFollowerInviteMessageV2": _words("newsletterName", "caption"),
    "eventMessage": lambda said: _joined(said.name, said.description, said.location.name, said.joinLink),
    "eventInviteMessage": _words("eventTitle", "caption", "callLink"),
    "stickerPackMessage": _words("name", "caption"),
    "questionResponseMessage": _words("text"),
    "statusQuestionAnswerMessage": _words("text"),
}
"""What is read by its parts, and how."""
