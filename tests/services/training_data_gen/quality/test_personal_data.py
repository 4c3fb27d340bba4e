"""Personal data: what is found, what is left alone, and by which names it goes afterwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum import luhn

from ragtime.services.training_data_gen.quality import Redactor
from ragtime.utils.hashing import keyed_random

_SENTENCES = [
    "You can reach me at {} from Monday on.",
    "My colleague wrote {} into the form, and nothing came.",
    "Please use {}.",
    "{}",
    "Is {} right?",
    "* contact: {}\n* room 12",
    "Details ({}) are in the file",
    "It was: {}; please check",
]
_CALLS = ["Call {} after six.", "Phone: {}", "my mobile is {}, ask for Kim", "Tel. {}"]
_REGIONS = "US GB DE FR IT NL AT CH AU IN ES SE PL JP BR ZA".split()
_IBANS = [
    "DE89370400440532013000",
    "GB29NWBK60161331926819",
    "FR1420041010050500013M02606",
    "NL91ABNA0417164300",
    "ES9121000418450200051332",
    "IT60X0542811101000000123456",
    "CH9300762011623852957",
    "AT611904300234573201",
    "BE68539007547034",
    "PL61109010140000071219812874",
    "SE4550000000058398257466",
    "NO9386011117947",
]


def _emails() -> Iterator[str]:
    names = ["ada", "ada.lovelace", "a_l", "ada+news", "o'brien", "x", "jo-ann.mc-kay", "j.r.r.t", "müller", "ADA99"]
    hosts = [
        "example.org",
        "mail.example.com",
        "example.co.uk",
        "ex-ample.io",
        "müller.example",
        "a.b.c.example.museum",
    ]
    for name in names:
        for host in hosts:
            yield f"{name}@{host}"


def _cards() -> Iterator[str]:
    draw = keyed_random(5)
    for start, length in (("4", 16), ("51", 16), ("55", 16), ("2221", 16), ("37", 15), ("6011", 16), ("3569", 16)):
        for _ in range(6):
            body = start + "".join(str(draw.randrange(10)) for _ in range(length - len(start) - 1))
            digits = body + luhn.calc_check_digit(body)
            groups = (
                (digits[:4], digits[4:10], digits[10:])
                if length == 15
                else tuple(digits[place : place + 4] for place in range(0, 16, 4))
            )
            yield from (digits, " ".join(groups), "-".join(groups))


def _phones() -> Iterator[tuple[str, str]]:
    """Numbers as they are written, and sentences that they stand in."""
    for region in _REGIONS:
        for kind in (phonenumbers.PhoneNumberType.FIXED_LINE, phonenumbers.PhoneNumberType.MOBILE):
            number = phonenumbers.example_number_for_type(region, kind)
            form = phonenumbers.PhoneNumberFormat
            for sentence in _SENTENCES:
                yield phonenumbers.format_number(number, form.INTERNATIONAL), sentence
                yield phonenumbers.format_number(number, form.E164), sentence
            if region in {"US", "GB", "DE", "FR", "NL", "AU"}:
                for sentence in _CALLS:
                    yield phonenumbers.format_number(number, form.NATIONAL), sentence


def _ibans() -> Iterator[str]:
    for iban in _IBANS:
        yield iban
        yield " ".join(iban[place : place + 4] for place in range(0, len(iban), 4))


def _planted() -> dict[str, list[tuple[str, str]]]:
    return {
        "email": [(one, sentence) for one in _emails() for sentence in _SENTENCES],
        "card": [(one, sentence) for one in _cards() for sentence in _SENTENCES],
        "iban": [(one, sentence) for one in _ibans() for sentence in _SENTENCES],
        "phone": list(_phones()),
    }


def _harmless() -> Iterator[str]:
    """Sentences with numbers, and signs, that are nobody's."""
    draw = keyed_random(7)

    def number(digits: int) -> str:
        return str(draw.randrange(10 ** (digits - 1), 10**digits))

    def date() -> tuple[int, int, int]:
        return draw.randrange(1950, 2040), draw.randrange(1, 13), draw.randrange(1, 29)

    for _ in range(40):
        year, month, day = date()
        yield f"Version {day}.{draw.randrange(30)}.{draw.randrange(9000)} came on {year}-{month:02}-{day:02}."
        yield f"It was signed on {day:02}.{month:02}.{year} and ended on {month}/{day}/{year}."
        yield f"Logged at {year}-{month:02}-{day:02} 14:{day:02}:07, {year}-{month:02}-{day:02}T09:{month:02}:00Z."
        yield f"In {year}-{year + 3}, costs went from ${number(3)},{number(3)} to {number(1)} {number(3)} {number(3)}."
        yield f"Order {number(10)} and invoice no. {number(8)} were paid; ticket #{number(7)} is open."
        yield f"The order number is {number(12)}, tracking {number(14)}."
        yield f"Hosts 192.168.{draw.randrange(256)}.{draw.randrange(256)} and 10.0.{day}.{month}:8080 do not answer."
        yield f"See ISO 9001:2015, ISO/IEC {number(5)}-{day}:{year}, RFC {number(4)} and DIN EN {number(5)}."
        yield f"ISBN 978-3-16-14{number(4)}-0, ISSN {number(4)}-{number(4)}, section {day}.{month}.{draw.randrange(9)}."
        yield f"pip install package=={day}.{month}.{draw.randrange(99)} needs python@3.12 and node@{day}.{month}.0"
        yield f"git clone git@git.example.org:team/repository-{number(6)}.git, commit {number(8)}ab{number(5)}"
        yield f"There are {number(2)} {number(3)} {number(3)} of {number(8)}, {number(2)}.{number(3)}.{number(3)}."
        yield f"Serial SN-{number(4)}-{number(4)}-{number(4)}, part {number(3)}-{number(4)}, model XR{number(10)}."
        yield f"@decorator def f(x): return x * {number(9)} + 0x{number(8)}  # line {number(3)}"
        yield f"Coordinates 52.{number(6)}, 13.{number(6)}; 1024 x 768; {number(4)} / {number(4)} = {number(6)}"
        yield f"timestamp 17{number(8)} and 17{number(11)}, id 550e8400-e29b-41d4-a716-4466{number(8)}"
        yield f"Opening hours: 09:00-17:30, 24/7 in {year}, room {number(3)}-{number(3)}, ext {number(3)}."
        yield f"Between 10 000 000 and 20 000 000 rows, {number(3)} 000 a second, in 0.{number(6)} s."


@pytest.mark.parametrize("kind", ["email", "card", "iban", "phone"])
def test_nearly_all_of_a_kind_are_found(kind: str) -> None:
    """At least 98 of 100 are found, whole, whatever sentence they stand in."""
    redactor = Redactor()
    planted = _planted()[kind]
    missed = []
    for value, sentence in planted:
        text = sentence.format(value)
        found = [(one.kind, text[one.start : one.end]) for one in redactor.find(text)]
        if found != [(kind, value)]:
            missed.append((text, found))
    assert len(planted) >= 150
    assert len(missed) <= 0.02 * len(planted), missed[:20]


def test_other_numbers_are_left_alone() -> None:
    """At most one in a hundred sentences with dates, versions, prices, orders and addresses of machines is touched."""
    redactor = Redactor()
    texts = list(_harmless())
    touched = [(text, redactor.find(text)) for text in texts if redactor.find(text)]
    assert len(touched) <= 0.01 * len(texts), touched[:20]


def test_equal_values_go_by_one_name() -> None:
    names: dict[tuple[str, str], str] = {}
    counts: Counter[str] = Counter()
    text = "ada@example.org or bob@example.org, rather ADA@example.org; +44 20 7946 0958 or +442079460958"
    redacted = Redactor().redact(text, names, counts)
    assert redacted == "[email] or [email 2], rather [email]; [phone] or [phone]"
    assert counts == {"email": 3, "phone": 2}


@settings(max_examples=100)
@given(st.text())
def test_any_text_is_searched(text: str) -> None:
    """No text breaks it, and what was blacked out once has nothing left to black out."""
    redactor = Redactor()
    found = redactor.find(text)
    assert all(0 <= one.start < one.end <= len(text) for one in found)
    once = redactor.redact(text, {}, Counter())
    assert redactor.redact(once, {}, Counter()) == once


@settings(max_examples=100)
@given(st.text(alphabet="0123456789+-./() @aDE", max_size=80))
def test_any_digits_are_searched(text: str) -> None:
    found = Redactor().find(text)
    assert all(first.end <= second.start for first, second in pairwise(found))
