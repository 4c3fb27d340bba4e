"""Keep secrets, personal data, prompts and documents out of logs.

Four rules, applied to every value that is logged, however deep it is nested:

1. A value under a key that names a secret (``api_key``, ``password``, ``access_token``) is replaced.
2. A text under a key that names content (``prompt``, ``document``, ``query``), and any text over 1,000 characters, is
replaced by
   its length and hash.
3. What looks like a secret in any other text (``sk-…``, a bearer token, a password in an address) is replaced.
4. So are e-mail addresses, phone numbers, payment card numbers and IBANs.

A hash tells whether two log lines speak of the same text; a short text can be guessed from it, so treat logs as
confidential.
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
from collections.abc import Iterable, Mapping
from itertools import islice, pairwise
from typing import Any

__all__ = ["TextDigest", "redact", "redact_text"]

MASK = "[redacted]"
MAX_TEXT_CHARACTERS = 1000
_MAX_DEPTH = 8
_MAX_ITEMS = 100
_MAX_REPR_CHARACTERS = 200

_SECRET_WORDS = frozenset(
    "apikey authorization cookie credential credentials passphrase passwd password pwd secret secrets".split()
)
_SECRET_PAIRS = {("access", "key"), ("api", "key"), ("private", "key"), ("signing", "key"), ("encryption", "key")}
_SECRET_ENDS = frozenset({"auth", "jwt", "token"})  # only as the last word: token_count and tokenizer are harmless
_CONTENT_ENDS = frozenset(
    "answer answers completion completions content contents docs document documents messages passage passages "
    "prompt prompts queries query question questions response responses text texts transcript".split()
)
_PLAIN = (
    *(bool, int, float, complex, type(None), decimal.Decimal, uuid.UUID, pathlib.PurePath),
    *(dt.date, dt.time, dt.timedelta),
)

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_ASSIGNED = re.compile(
    r"(?i)\b((?:\w+[_-])?(?:api[_-]?key|passw(?:or)?d|pwd|secret|token|authorization|access[_-]?key)[\"']?\s*[=:]\s*)"
    r"(?!\[redacted\]|bearer\s|basic\s)[\"']?[^\s\"',;&)}\]]+[\"']?"
)
_SECRETS = re.compile(
    r"""
    -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----.*?(?:-----END\ [A-Z ]*PRIVATE\ KEY-----|\Z)
    | \b(?:[Bb]earer|BEARER|[Bb]asic)\s+[\w.~+/=-]{6,}
    | \bsk-[\w-]{6,}
    | \b(?:AKIA|ASIA)[0-9A-Z]{16}\b
    | \b(?:gh[pousr]_|github_pat_|glpat-|hf_|xox[abprs]-)[\w-]{16,}
    | \bAIza[\w-]{35}
    | \beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*
    """,
    re.VERBOSE | re.DOTALL,
)
_URL_CREDENTIALS = re.compile(r"(?<=://)[^\s/@]+@")
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+")
_PHONE = re.compile(r"(?<![\w.+])(?:\+\d(?:[ ().-]{0,2}\d){7,14}|\(?\d{3}\)?[-. ]\d{3}[-. ]\d{4})(?![\w-])")
_CARD = re.compile(r"(?<![\w.-])[3-6]\d(?:[ -]?\d){11,17}(?![\w-])")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")


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
    text = _URL_CREDENTIALS.sub(f"{MASK}@", text)
    text = _SECRETS.sub(MASK, text)
    text = _ASSIGNED.sub(lambda found: found[1] + MASK, text)
    text = _EMAIL.sub("[email]", text)
    text = _IBAN.sub(lambda found: "[iban]" if _is_iban(found[0]) else found[0], text)
    text = _CARD.sub(lambda found: "[card]" if _is_card(found[0]) else found[0], text)
    return _PHONE.sub("[phone]", text)


def redact(value: Any, *, key: str = "") -> Any:
    """Return `value` as it may be logged; nothing is changed in place, and no error escapes.

    Args:
        value: Anything. Records, mappings and sequences are walked, to a bounded depth and length.
        key: The name under which the value is logged; it decides whether the value is a secret or content.

    Returns:
        Numbers, dates and paths as they are; texts redacted or digested; containers as dicts and lists of the same; any
        other object as a short redacted representation.
    """
    return _redact(value, key, _MAX_DEPTH)


def _redact(value: Any, key: str, depth: int) -> Any:
    words = [word.lower() for word in _WORDS.findall(key)]
    if value is not None and not isinstance(value, bool) and _names_secret(words):
        return MASK
    content = bool(words) and words[-1] in _CONTENT_ENDS
    if isinstance(value, (TextDigest, *_PLAIN)):
        return value
    if isinstance(value, str):
        return TextDigest.of(value) if content or len(value) > MAX_TEXT_CHARACTERS else redact_text(str(value))
    if isinstance(value, bytes | bytearray | memoryview):
        return TextDigest.of(bytes(value))
    if isinstance(value, enum.Enum):
        return _redact(value.value, key, depth)
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {redact_text(_text_of(value, str))}"
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{type(value).__name__}(shape={tuple(value.shape)}, dtype={value.dtype})"
    return _redact_container(value, key if content else "", depth)


def _redact_container(value: Any, key: str, depth: int) -> Any:
    """Redact what holds other values; those of a sequence under a content key are content, too."""
    if depth == 0:
        return "…"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
    elif hasattr(type(value), "model_fields"):
        value = {name: getattr(value, name, None) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return {
            _redact(name, "", depth - 1): _redact(inner, key or str(name), depth - 1)
            for name, inner in _bounded(value.items())
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_redact(inner, key, depth - 1) for inner in _bounded(value)]
    return redact_text(_text_of(value, repr))[:_MAX_REPR_CHARACTERS]


def _bounded(values: Iterable[Any]) -> list[Any]:
    return list(islice(values, _MAX_ITEMS))


def _names_secret(words: list[str]) -> bool:
    pairs = set(pairwise(words))
    return bool(not _SECRET_WORDS.isdisjoint(words) or pairs & _SECRET_PAIRS or (words and words[-1] in _SECRET_ENDS))


def _text_of(value: object, convert: Any) -> str:
    try:
        return str(convert(value))
    except Exception:  # noqa: BLE001 - a broken __repr__ of a caller's object must not break the caller's logging
        return f"<{type(value).__name__}>"


def _is_card(text: str) -> bool:
    """Check the Luhn digit (ISO/IEC 7812)."""
    digits = [int(character) for character in text if character.isdigit()][::-1]
    return (sum(digits[::2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])) % 10 == 0


def _is_iban(text: str) -> bool:
    """Check the two check digits (ISO 13616, modulus 97)."""
    compact = text.replace(" ", "")
    return int("".join(str(int(character, 36)) for character in compact[4:] + compact[:4])) % 97 == 1
