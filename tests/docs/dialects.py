"""The compatibility tables of a dialect's guide, printed from its operations."""

from __future__ import annotations

from tests.support.source import ROOT
from wagate.api.compat import wasend
from wagate.api.compat.wasend import shapes
from wagate.api.compat.wasend.serving import Served

MARK = "<!-- printed by `make docs` from the dialect's operations, to the end of the page -->\n"
GUIDE = ROOT / "docs" / "guides" / "wasend.md"


def wasend_guide() -> str:
    """docs/guides/wasend.md with its tables written anew."""
    before, found, _ = GUIDE.read_text().partition(MARK)
    if not found:
        raise ValueError("docs/guides/wasend.md has lost its mark")
    tables = "".join(
        f"\n### {title}\n\n| request | SDK's method | needs | status | difference |\n|---|---|---|---|---|\n"
        + "".join(_row(each) for each in served)
        for title, served in wasend.SECTIONS.items()
    )
    empty = ", ".join(f"`{name}`" for name in shapes.UNKNOWN)
    return f"{before}{MARK}{tables}\n## What a group does not say\n\nThe SDK wants these fields, and WhatsApp's answers\
 to the gateway do not hold them. They are empty, false or 0, never made up: {empty}.\n"


def _row(each: Served) -> str:
    operation = each.operation
    cells = [
        f"{operation.method} `{operation.path}`",
        f"`{each.sdk}`" if each.sdk else "",
        " or ".join(f"`{name}`" for name in sorted(operation.capability)),
        "differs" if each.difference else "as there",
        each.difference,
    ]
    return "| " + " | ".join(cells) + " |\n"
