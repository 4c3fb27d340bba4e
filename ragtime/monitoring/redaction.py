"""Keep secrets, personal data, prompts and documents out of logs.

Four rules, applied to every value that is logged, however deep it is nested:

1. A value under a key that names a secret (``api_key``, ``password``, ``access_token``) is replaced.
2. A text under a key that names content (``prompt``, ``document``, ``query``), and any text over 1,000 characters, is
   replaced by its length and hash.
3. What looks like a secret in any other text (``sk-…``, a bearer token, a password in an address) is replaced.
4. So are e-mail addresses, phone numbers, payment card numbers and IBANs.

A hash tells whether two log lines speak of the same text; a short text can be guessed from it, so treat logs as
confidential. Patterns find what is written as usual; they are a net, not a proof.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import hashlib
import pathlib
import re
import uuid
from collections.abc import Callable, Collection, Mapping
from itertools import islice, pairwise
from typing import Any

__all__ = ["TextDigest", "redact", "redact_text"]

MASK = "[redacted]"
MAX_TEXT_CHARACTERS = 1000
_MAX_DEPTH = 8
_MAX_ITEMS = 100  # of one container
_MAX_VALUES = 2000  # in all
_MAX_REPR_CHARACTERS = 200

_SECRET_WORDS = frozenset(
    "apikey authorization cookie credential passphrase passwd password pwd secret".split(),
)
_SECRET_PAIRS = {(first, "key") for first in ("access", "api", "private", "signing", "encryption", "ssh")}
_TOKEN_OWNERS = frozenset("access api auth bearer csrf id refresh session".split())  # whose plural is secret, too
_TOKEN_KINDS = frozenset(  # a token of text, not of access
    "bos cls completion end eos first input last mask max min new next num output pad per prompt sep special start "
    "stop total unk".split()
)
_MEASURES = frozenset("age count length limit number size total".split())  # password_length tells no password
_CONTENT_ENDS = frozenset(
    "answer body chunk comment completion content context doc document history input message negative output "
    "passage positive prompt query question response summary text title transcript turn utterance".split()
)
_PLAIN = (
    *(bool, int, float, complex, type(None), decimal.Decimal, uuid.UUID, pathlib.PurePath),
    *(dt.date, dt.time, dt.timedelta),
)

_NAME = re.compile(r"[\w-]{1,60}")
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_NAMED = r"(?:api[_-]?key|access[_-]?key|private[_-]?key|passw(?:or)?d|passphrase|pwd|secret(?:[_-]?key)?|token)"
_ASSIGNED = re.compile(
    rf"(?i)((?:\b|_)\w{{0,40}}?{_NAMED}s?[\"']?\s{{0,3}}[=:]\s{{0,3}})(?!\s*[\"']?\[redacted\])(?!\d+\b)"
    r"(?:\"[^\"\n]{0,500}\"|'[^'\n]{0,500}'|[^\s\"'&]+)"
)
_OPTION = re.compile(rf"(?i)(--\w{{0,20}}[_-]?{_NAMED}[ =])(?!\[redacted\])\S+")
_HEADER = re.compile(r"(?i)\b((?:authorization|cookie)[\"']?\s{0,3}[=:]\s{0,3}[\"']?)(?!\s*\[redacted\])[^\n\"',;]+")
_SECRETS = re.compile(
    r"""
    -----BEGIN\ [A-Z ]{0,40}PRIVATE\ KEY-----.*?(?:-----END\ [A-Z ]{0,40}PRIVATE\ KEY-----|\Z)
    | \b(?i:bearer)\s+[\w.~+/=-]{6,}
    | \b(?i:basic)\s+(?=[\w+/]*[\d=])[\w+/=]{8,}
    | \bsk-(?!learn\b)[\w-]{6,}
    | \b(?:gsk|sk_live|sk_test|rk_live|npm|hf|gh[pousr]|github_pat|glpat|xox[abprs]|pypi)[_-][\w-]{16,}
    | \b(?:AKIA|ASIA)[0-9A-Z]{16}\b
    | \bAIza[\w-]{35}
    | (?<![\w-])eyJ[\w-]{8,4000}\.eyJ[\w-]{8,8000}\.[\w-]{0,2000}
    """,
    re.VERBOSE | re.DOTALL,
)
_URL_CREDENTIALS = re.compile(r"(?<=://)[^\s/@:]*:[^\s@]*@(?:[^\s/@]*@)*|(?<=://)[^\s/]+@")
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")
_PHONE = re.compile(
    r"(?<![\w.])(?:\+\d(?:[ ()/-]{0,2}\d){7,14}|\(\d{3}\) ?\d{3}[ -]\d{4}|\d{3}-\d{3}-\d{4}|\d{3}\.\d{3}\.\d{4})"
    r"(?![\w-])"
)
_CARD = re.compile(r"(?<![\w.-])[2-6]\d(?:[ -]?\d){11,30}(?![\w-])")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{1,4}){3,9}\b")
_CARD_DIGITS = range(19, 12, -1)
_IBAN_CHARACTERS = range(34, 14, -1)


class TextDigest(str):
    """What a log tells of a text instead of the text: its length and the start of its SHA-256."""

    __slots__ = ()

    @classmethod
    def of(cls, text: str | bytes) -> TextDigest:
        """Digest `text`; equal texts have equal digests."""
        raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
        unit = "characters" if isinstance(text, str) else "bytes"
        return cls(f"<{len(text)} {unit}, sha256 {hashlib.sha256(raw).hexdigest()[:12]}>")


def redact_text(text: str) -> str:
    """Replace what looks like a secret or like personal data in `text`; idempotent."""
    for _ in range(3):  # what one pattern has replaced may uncover another to the next pass
        before, text = text, _redact_once(text)
        if text == before:
            break
    return text


def _redact_once(text: str) -> str:
    text = _URL_CREDENTIALS.sub(f"{MASK}@", text)
    text = _SECRETS.sub(MASK, text)
    for pattern in (_HEADER, _OPTION, _ASSIGNED):
        text = pattern.sub(lambda found: found[1] + MASK, text)
    text = _EMAIL.sub("[email]", text)
    text = _IBAN.sub(lambda found: _without_prefix(found[0], _IBAN_CHARACTERS, _is_iban, "[iban]"), text)
    text = _CARD.sub(lambda found: _without_prefix(found[0], _CARD_DIGITS, _is_card, "[card]"), text)
    return _PHONE.sub("[phone]", text)


def redact(value: Any, *, key: str = "") -> Any:
    """Return `value` as it may be logged; nothing is changed in place, and no error escapes.

    Args:
        value: Anything. Records, mappings and collections are walked, to a bounded depth and size.
        key: The name under which the value is logged; it decides whether the value is a secret or content.

    Returns:
        Numbers, dates and paths as they are; texts redacted or digested; containers as dicts with text keys and as
        lists of the same; any other object as a short redacted representation.
    """
    return _Walk().redact(value, key, content=False, depth=_MAX_DEPTH)


class _Walk:
    """One walk through a value, with a budget."""

    def __init__(self) -> None:
        self._left = _MAX_VALUES
        self._open: set[int] = set()  # containers we are inside of

    def redact(self, value: Any, key: str, *, content: bool, depth: int) -> Any:
        self._left -= 1
        if self._left < 0:
            return "…"
        try:
            return self._redact(value, key, content=content, depth=depth)
        except Exception:  # noqa: BLE001 - an odd object of a caller must not break the caller's logging
            return f"<{type(value).__name__}>"

    def _redact(self, value: Any, key: str, *, content: bool, depth: int) -> Any:
        words = [word.lower() for word in _WORDS.findall(key)]
        if value is not None and not isinstance(value, bool) and _names_secret(words):
            return MASK
        content = content or (bool(words) and _singular(words[-1]) in _CONTENT_ENDS)
        if isinstance(value, (TextDigest, *_PLAIN)):
            return value
        if isinstance(value, str | bytes | bytearray | memoryview | BaseException):
            return _told(value, content=content)
        if isinstance(value, enum.Enum):
            return self.redact(value.value, key, content=content, depth=depth)
        if hasattr(value, "dtype") and hasattr(value, "shape") and not isinstance(value, type):
            scalar = tuple(value.shape) == ()
            return (
                value.item() if scalar else f"{type(value).__name__}(shape={tuple(value.shape)}, dtype={value.dtype})"
            )
        if id(value) in self._open or depth == 0:
            return "…"
        self._open.add(id(value))
        try:
            return self._redact_container(value, content=content, depth=depth - 1)
        finally:
            self._open.discard(id(value))

    def _redact_container(self, value: Any, *, content: bool, depth: int) -> Any:
        fields = _fields(value)
        if fields is not None:
            told: dict[str, Any] = {}
            for name, inner in islice(fields.items(), _MAX_ITEMS):
                shown = redact_text(str(name))
                while shown in told:
                    shown += "_"
                told[shown] = self.redact(inner, str(name), content=content, depth=depth)
            return told
        if isinstance(value, Collection) and not isinstance(value, type):
            items = [self._item(inner, content=content, depth=depth) for inner in islice(value, _MAX_ITEMS)]
            return items if len(value) <= _MAX_ITEMS else [*items[:-1], f"… {len(value) - _MAX_ITEMS + 1} more"]
        if content:
            return f"<{type(value).__name__}>"
        shown = redact_text(repr(value))
        return shown if len(shown) <= _MAX_REPR_CHARACTERS else f"{shown[: _MAX_REPR_CHARACTERS - 1]}…"

    def _item(self, value: Any, *, content: bool, depth: int) -> Any:
        """Redact an item of a collection; in a pair, the first may name the second, as in headers."""
        if isinstance(value, tuple | list) and len(value) == 2 and isinstance(value[0], str):  # noqa: PLR2004
            name, inner = value
            if _NAME.fullmatch(name) and _names_secret([word.lower() for word in _WORDS.findall(name)]):
                return [redact_text(name), MASK if inner is not None else None]
        return self.redact(value, "", content=content, depth=depth)


def _told(value: Any, *, content: bool) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return TextDigest.of(bytes(value))
    if isinstance(value, BaseException):
        try:
            text = str(value)
        except Exception:  # noqa: BLE001 - an error that cannot tell itself
            text = f"<{type(value).__name__}>"
        short = TextDigest.of(text) if content or len(text) > MAX_TEXT_CHARACTERS else redact_text(text)
        return f"{type(value).__name__}: {short}"
    return TextDigest.of(value) if content or len(value) > MAX_TEXT_CHARACTERS else redact_text(str(value))


def _fields(value: Any) -> Mapping[Any, Any] | None:
    """Return the named values of a mapping, a record or a named tuple; ``None`` for anything else."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, type):
        return None
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
    if isinstance(getattr(type(value), "model_fields", None), dict):
        return {name: getattr(value, name, None) for name in type(value).model_fields}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        named: Mapping[Any, Any] = value._asdict()
        return named
    return None


def _names_secret(words: list[str]) -> bool:
    if not words or words[-1] in _MEASURES:
        return False
    singular = [_singular(word) for word in words]
    if not _SECRET_WORDS.isdisjoint(singular) or not _SECRET_PAIRS.isdisjoint(pairwise(singular)):
        return True
    before = words[-2] if len(words) > 1 else ""
    return (words[-1] in {"auth", "jwt", "token"} and before not in _TOKEN_KINDS) or (
        words[-1] == "tokens" and before in _TOKEN_OWNERS
    )


def _singular(word: str) -> str:
    if word.endswith("ies"):
        return f"{word[:-3]}y" if word != "cookies" else "cookie"
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _without_prefix(text: str, lengths: range, is_one: Callable[[str], bool], mask: str) -> str:
    """Replace the longest beginning of `text` that is one: what follows it may be another number."""
    places = [place for place, character in enumerate(text) if character.isalnum()]
    compact = "".join(text[place] for place in places)
    for length in lengths:
        if length <= len(places) and is_one(compact[:length]):
            return mask + text[places[length - 1] + 1 :]
    return text


def _is_card(digits: str) -> bool:
    """Check the Luhn digit (ISO/IEC 7812)."""
    numbers = [int(digit) for digit in digits[::-1]]
    return (sum(numbers[::2]) + sum(sum(divmod(2 * number, 10)) for number in numbers[1::2])) % 10 == 0


def _is_iban(compact: str) -> bool:
    """Check the two check digits (ISO 13616, modulus 97)."""
    return int("".join(str(int(character, 36)) for character in compact[4:] + compact[:4])) % 97 == 1
