"""Personal data in texts: found by their form and their check digits, and blacked out.

E-mail addresses are told by their form. Payment cards (ISO/IEC 7812) and IBANs (ISO 13616) are told by form, issuer or
country, and check digits, with python-stdnum. Phone numbers are told by phonenumbers, the numbering plans of all
countries, among what is written like one: with a plus, in the groups of a national number, or behind a word such as
"call". Dates, versions, prices, network addresses and numbers of orders are not.

Patterns find what is written as usual; they are a net, not a proof, and names of people pass through it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import Any, NamedTuple

from ragtime.errors import MissingExtraError
from ragtime.utils.extras import require

__all__ = ["PersonalData", "Redactor"]

_EXTRA = "data"
_KEPT = 2048  # texts whose findings are remembered: a passage comes with each of its queries
_MAYBE = re.compile(r"[\d@]")
_EMAIL = re.compile(
    r"(?<![\w.+%'-])[\w+%'-]+(?:\.[\w+%'-]+){0,10}"
    r"@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}[^\W\d_]{2,24}(?![\w-]|\.\w|:[\w~/])"  # user@host:path is none
)
_CARD = re.compile(
    r"(?<![\w.,+-])[2-6]\d{3}(?:"
    r"(?P<four>[ -]?)\d{4}(?P=four)\d{4}(?P=four)\d{1,7}|(?P<six>[ -]?)\d{6}(?P=six)\d{4,5})"
    r"(?![\w-]|[.,]\d)"
)
_ISSUED = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}"
    r"|3(?:0[0-5]|[689]\d)\d{11}|6(?:011|4[4-9]\d|5\d\d)\d{12}|35(?:2[89]|[3-8]\d)\d{12}|62\d{14,17}|(?:5[06-9]|6[37])\d{10,17}"
)
_IBAN = re.compile(r"(?<![^\W_])[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]){11,30}(?![^\W_])", re.IGNORECASE)
_IBAN_LENGTHS = range(34, 14, -1)

_PHONE = re.compile(
    r"(?<![\w@#$€£¥%=/.,:-])(?:(?:\+|00 ?)[1-9]|\(?\d)(?:[ ./()\u00a0\u2011-]{0,3}\d){6,14}(?![\w%@€$£]|[.,:/-]\d)"
)
_NO_PHONE = re.compile(
    r"\d{1,3}(?:\.\d{1,3}){3}"  # network address
    r"|\d{4}[-/.]\d{1,2}[-/.]\d{1,2}(?: \d{1,2}.*)?"  # date, and time
    r"|\d{1,2}[-/.]\d{1,2}[-/.](?:\d{4}|\d{2})(?: \d{1,2}.*)?"
    r"|\d{4} ?[-/] ?\d{4}"  # years
    r"|\d{1,3}(?:[ .\u00a0]\d{3})+"  # number in groups of three
    r"|\d+(?:\.\d+)+"  # version, section
    r"|97[89][- ]?\d{1,5}[- ]?\d{1,7}[- ]?\d{1,7}[- ]?\d"  # ISBN
)
_CUE = re.compile(
    r"(?:\b(?:call(?:ed|ing)?|phone|telephone|tel|fax|mobile|cell(?:phone)?|contact number|whatsapp|ring|dial|sms|"
    r"text(?: me)?|hotline|reach (?:me|us|him|her|them)|telefon|handy|mobil|t[ée]l[ée]phone|tel[ée]fono|m[óo]vil)\b"
    r"|\u260e|\U0001f4de)[^\d\n]{0,25}$",
    re.IGNORECASE,
)
_CUE_CHARACTERS = 45
_OTHER_NUMBER = re.compile(
    r"(?:\b(?:order|invoice|ticket|case|ref(?:erence)?|serial|part|article|item|isbn|issn|iso|rfc|din|en|id|sku|"
    r"tracking|version|account|customer|model|build|revision|port|error|code|no|nr|number|patent)\b\.?|#)[\s:#.]{0,4}$",
    re.IGNORECASE,
)
_NATIONAL = re.compile(  # as it is written in North America, or with the 0 of most other countries
    r"(?:1[ .-])?\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}"
    r"|\(?0\d{1,5}\)?[ /.\u00a0\u2011-]{1,3}\d[\d \u00a0\u2011/.-]{4,}"
)
_REGIONS = ("US", "GB", "DE", "FR", "IT", "NL", "AT", "CH", "AU", "IN")  # where a number without a country may be from


class PersonalData(NamedTuple):
    """A piece of personal data in a text.

    Attributes:
        start: Where it begins, in characters.
        end: Where it ends.
        kind: ``email``, ``phone``, ``card`` or ``iban``.
        value: What it is, in the one form of equal ones.
    """

    start: int
    end: int
    kind: str
    value: str


class Redactor:
    """Finds personal data; safe to use from threads.

        >>> redactor = Redactor()
        >>> [found.kind for found in redactor.find("Write to ada@example.org, or call +44 20 7946 0958.")]
        ['email', 'phone']

    Attributes:
        missing: The package of the extra `data` that is not installed, so that only e-mail addresses are found;
            ``None`` when all are.
    """

    def __init__(self) -> None:
        """Get ready."""
        self.missing: str | None = None
        self._cards: Callable[[str], bool] | None = None
        self._ibans: Callable[[str], bool] | None = None
        self._phones: Any = None
        try:
            self._cards = require("stdnum.luhn", _EXTRA).is_valid
            # A country's own rules know banks by lists that lag behind; form and check digits are enough.
            self._ibans = partial(require("stdnum.iban", _EXTRA).is_valid, check_country=False)
            self._phones = require("phonenumbers", _EXTRA)
        except MissingExtraError as error:
            self.missing = error.module
        self._found = lru_cache(_KEPT)(self._find)

    def find(self, text: str) -> tuple[PersonalData, ...]:
        """Find personal data in a text.

        Args:
            text: The text.

        Returns:
            What was found, in the order of the text; no two overlap.
        """
        return self._found(text) if _MAYBE.search(text) else ()

    def redact(self, text: str, names: dict[tuple[str, str], str], counts: Counter[str]) -> str:
        """Replace personal data by what it is, such as ``[email]``; the second address is ``[email 2]``.

        Args:
            text: The text.
            names: What stands for each value so far, by kind and value; grows.
            counts: How often each kind was replaced; grows.

        Returns:
            The text without them; itself when there are none.
        """
        found = self.find(text)
        if not found:
            return text
        pieces = []
        end = 0
        for one in found:
            key = one.kind, one.value
            if key not in names:
                number = 1 + sum(kind == one.kind for kind, _ in names)
                names[key] = f"[{one.kind}]" if number == 1 else f"[{one.kind} {number}]"
            counts[one.kind] += 1
            pieces += [text[end : one.start], names[key]]
            end = one.end
        return "".join([*pieces, text[end:]])

    def _find(self, text: str) -> tuple[PersonalData, ...]:
        found: list[PersonalData] = []
        for search in (self._emails, self._ibans_in, self._cards_in, self._phones_in):
            for one in search(text):
                if all(one.end <= other.start or one.start >= other.end for other in found):
                    found.append(one)
        return tuple(sorted(found))

    @staticmethod
    def _emails(text: str) -> Iterator[PersonalData]:
        if "@" in text:
            for match in _EMAIL.finditer(text):
                yield PersonalData(match.start(), match.end(), "email", match[0].casefold())

    def _ibans_in(self, text: str) -> Iterator[PersonalData]:
        if self._ibans is None:
            return
        for match in _IBAN.finditer(text):
            places = [place for place, sign in enumerate(match[0]) if sign.isalnum()]
            compact = "".join(match[0][place] for place in places).upper()
            for length in _IBAN_LENGTHS:  # what follows it may be another word
                if length <= len(places) and self._ibans(compact[:length]):
                    end = match.start() + places[length - 1] + 1
                    yield PersonalData(match.start(), end, "iban", compact[:length])
                    break

    def _cards_in(self, text: str) -> Iterator[PersonalData]:
        if self._cards is None:
            return
        for match in _CARD.finditer(text):
            digits = match[0].replace(" ", "").replace("-", "")
            if _ISSUED.fullmatch(digits) and self._cards(digits):
                yield PersonalData(match.start(), match.end(), "card", digits)

    def _phones_in(self, text: str) -> Iterator[PersonalData]:
        if self._phones is None:
            return
        for match in _PHONE.finditer(text):
            before = text[max(0, match.start() - _CUE_CHARACTERS) : match.start()]
            number = match[0].rstrip("( ")
            cued, other = _CUE.search(before) is not None, _OTHER_NUMBER.search(before) is not None
            value = self._phone(number, cued=cued, other=other)
            if value is not None:
                yield PersonalData(match.start(), match.start() + len(number), "phone", value)

    def _phone(self, number: str, *, cued: bool, other: bool) -> str | None:
        """Return a phone number in the international form; ``None`` when it is none."""
        international = number.startswith("+")
        if not (international or cued) and (other or _NO_PHONE.fullmatch(number) or not _NATIONAL.fullmatch(number)):
            return None
        if number.startswith("00"):
            number, international = "+" + number[2:].strip(), True
        for region in (None,) if international else _REGIONS:
            try:
                parsed = self._phones.parse(number, region)
            except self._phones.NumberParseException:
                continue
            if self._phones.is_valid_number(parsed) or (
                cued and international and self._phones.is_possible_number(parsed)
            ):
                return str(self._phones.format_number(parsed, self._phones.PhoneNumberFormat.E164))
        return None
