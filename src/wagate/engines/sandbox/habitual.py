"""What some people do by nature with a message that they have read."""

from __future__ import annotations

from wagate.engines.sandbox.frames import Sent
from wagate.engines.sandbox.people import habits, jid_of
from wagate.engines.sandbox.statuses import STATUS
from wagate.model.contents import Content, ImageContent, ReactionContent, Target, TextContent
from wagate.model.jid import is_group

THUMB = "\N{THUMBS UP SIGN}"


def answer_to(sent: Sent, number: str) -> Content | None:
    """An echo of a text that was written to them alone, a thumb up for every picture; None from everybody else."""
    if sent.echo or sent.chat == STATUS or number == sent.author or not habits(number).echoes:
        return None
    if isinstance(sent.content, ImageContent):
        target = Target(message_id=sent.wire_id, from_me=False, sender=jid_of(sent.author))
        return ReactionContent(target=target, emoji=THUMB)
    if isinstance(sent.content, TextContent) and not is_group(sent.chat):
        return TextContent(text=sent.content.text)
    return None
