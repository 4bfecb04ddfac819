"""`make docs`: write every page that is printed from the code."""

from __future__ import annotations

from tests.docs.pages import PAGES
from tests.support.source import ROOT

for name, printed in PAGES.items():
    page, text = ROOT / name, printed()
    if not page.exists() or page.read_text() != text:
        page.write_text(text)
        print(f"written anew: {name}")
