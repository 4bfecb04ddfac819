"""What is sealed opens with its key and in its place only."""

from __future__ import annotations

import pytest

from wagate.backends.sealing import CannotOpen, Sealer

ONE, OTHER = Sealer(bytes(32)), Sealer(bytes(31) + b"\1")


@pytest.mark.parametrize(
    ("sealer", "about", "sealed"),
    [
        (OTHER, "a", ONE.seal("words", about="a")),
        (ONE, "b", ONE.seal("words", about="a")),
        (ONE, "a", "words"),
        (ONE, "a", "1."),
        (ONE, "a", "1.%"),
        (ONE, "a", ONE.seal("words", about="a")[:-4] + "AAAA"),
        (Sealer(), "a", ONE.seal("words", about="a")),
    ],
    ids=["another key", "about another", "plain", "empty", "no base64", "forged", "no key"],
)
def test_anything_else_stays_closed(sealer: Sealer, about: str, sealed: str) -> None:
    with pytest.raises(CannotOpen):
        sealer.open(sealed, about=about)


def test_without_a_key_nothing_is_sealed() -> None:
    with pytest.raises(CannotOpen):
        Sealer().seal("words", about="a")


def test_it_opens_and_never_looks_the_same_twice() -> None:
    first, second = (ONE.seal("wörds", about="a") for _ in range(2))
    assert first != second
    assert ONE.open(first, about="a") == "wörds"
    assert ONE.open(second, about="a") == "wörds"
