"""The memory of who is online and who watches."""

from __future__ import annotations

from wagate.engines.sandbox.presence import WATCHED, Presences, Typing

ANN, BEN = "9990000001", "9990000002"


def test_a_session_watches_so_many_and_lets_the_first_go() -> None:
    presences = Presences()
    people = [f"9990{place:06d}" for place in range(WATCHED)]
    for number in people:
        presences.watch("s1", number)
    # Watched again, the first is no longer the one that was watched longest ago.
    presences.watch("s1", people[0])
    presences.watch("s1", BEN + "7")
    assert presences.watchers(people[0]) == presences.watchers(BEN + "7") == ["s1"]
    assert presences.watchers(people[1]) == []


def test_a_session_that_is_forgotten_watches_nobody() -> None:
    presences = Presences()
    presences.watch("s1", ANN)
    presences.watch("s2", ANN)
    presences.forget("s1")
    presences.forget("s1")
    assert presences.watchers(ANN) == ["s2"]


def test_an_account_is_online_while_any_session_shows_it() -> None:
    presences = Presences()
    presences.enter("s1", ANN)
    presences.enter("s2", ANN)
    presences.typing[ANN] = Typing(BEN, "text")
    assert presences.exit("s1", ANN)
    assert presences.present(ANN)
    assert presences.shows("s2", ANN)
    assert ANN in presences.typing
    assert not presences.exit("s1", ANN)
    assert presences.exit("s2", ANN)
    assert not presences.present(ANN)
    assert presences.typing == {}
