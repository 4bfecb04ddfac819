from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wagate.engines.sandbox.people import default_name, habits, jid_of, lid_of, number_of
from wagate.model.jid import is_sandbox_number, user

numbers = st.from_regex(r"999[0-9]{7,12}", fullmatch=True)


def test_nobody_of_elsewhere_is_here() -> None:
    for jid in ("4915112345678@s.whatsapp.net", "123@lid", "999999999999999@lid", "999123@s.whatsapp.net", "1@g.us"):
        assert number_of(jid) is None


@given(numbers)
def test_a_lid_leads_back_to_its_number(number: str) -> None:
    lid = lid_of(number)
    assert number_of(lid) == number
    assert number_of(jid_of(number)) == number
    assert lid == lid_of(number)


@given(numbers)
def test_a_lid_has_15_digits_and_is_no_number(number: str) -> None:
    digits = user(lid_of(number))
    assert len(digits) == 15
    assert digits.isdigit()
    assert digits[0] != "0"
    assert not is_sandbox_number(digits)


def test_lids_are_distinct_and_stable() -> None:
    assert len({lid_of(f"9990{place:06d}") for place in range(20_000)}) == 20_000
    # A session's stored contacts rest on it: another release must not give other LIDs.
    assert lid_of("9990000001") == LID_OF_9990000001


LID_OF_9990000001 = "884953328436738@lid"


@given(st.integers(10**14, 10**15 - 1))
def test_a_lid_of_nobody_is_nobody(place: int) -> None:
    number = number_of(f"{place}@lid")
    assert number is None or lid_of(number) == f"{place}@lid"


def test_the_fourth_digit_says_how_somebody_behaves() -> None:
    ordinary = habits("9990000001")
    assert ordinary.exists
    assert ordinary.reads
    assert not ordinary.off
    assert not habits("9991000001").reads
    assert habits("9992000001").off
    assert not habits("9993000001").exists
    assert habits("9994000001").private
    assert habits("9995000001").echoes
    assert habits("9996000001").loses_ack
    assert habits("9997000001").refuses
    assert habits("9998000001").breaks
    assert habits("9999000001").slow


def test_everybody_has_a_name() -> None:
    assert default_name("9990000001") == "Sandbox 0000001"
