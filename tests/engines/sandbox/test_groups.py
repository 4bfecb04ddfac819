from __future__ import annotations

import pytest

from wagate.engines.sandbox.groups import code_of


@pytest.mark.parametrize("given", ["Ab12", " https://chat.whatsapp.com/Ab12 ", "https://chat.whatsapp.com/Ab12?mode=x"])
def test_a_link_is_as_good_as_its_code(given: str) -> None:
    assert code_of(given) == "Ab12"
