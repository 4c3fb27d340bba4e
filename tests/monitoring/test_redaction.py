"""Redaction: secrets, personal data and content go; what is harmless stays."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from ragtime.monitoring.redaction import TextDigest, redact, redact_text


@pytest.mark.parametrize(
    "key",
    "api_key apiKey API-KEY openai_api_key password db_password secret client_secret_v2 token access_token authToken "
    "Authorization cookie private_key aws_access_key credentials passphrase".split(),
)
def test_a_key_that_names_a_secret(key: str) -> None:
    assert redact({key: "x"}) == {key: "[redacted]"}
    assert redact({key: 5}) == {key: "[redacted]"}
    assert redact({key: None}) == {key: None}


@pytest.mark.parametrize(
    "key",
    [
        "tokenizer",
        "max_tokens",
        "token_count",
        "tokens_per_second",
        "keyboard",
        "monkey",
        "primary_key",
        "secretary",
        "author",
    ],
)
def test_a_key_that_only_looks_like_one(key: str) -> None:
    assert redact({key: "x"}) == {key: "x"}


@pytest.mark.parametrize(
    "key", ["prompt", "system_prompt", "document", "content", "text", "query", "userQuery", "response"]
)
def test_content_is_told_by_length_and_hash(key: str) -> None:
    told = redact({key: "What is my balance?"})[key]
    assert told.startswith("<19 characters, sha256 ")
    assert redact({key: ["a", {"b": "c d"}]}) == {key: [TextDigest.of("a"), {"b": TextDigest.of("c d")}]}
    assert redact({key: 7}) == {key: 7}


def test_a_long_text_is_told_by_length_and_hash_under_any_key() -> None:
    assert redact("word " * 1000).startswith("<5000 characters")
    assert redact(b"abc") == "<3 bytes, sha256 ba7816bf8f01>"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("key sk-abc123def456 used", "key [redacted] used"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: [redacted]"),
        ("http://user:pass@host/path", "http://[redacted]@host/path"),
        ("postgresql://u:p%40ss@db:5432/x", "postgresql://[redacted]@db:5432/x"),
        ("AKIAABCDEFGHIJKLMNOP", "[redacted]"),
        ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "[redacted]"),
        ("hf_abcdefghijklmnopqrstuv", "[redacted]"),
        ("eyJhbGciOiJI.eyJzdWIiOiIx.abc-def", "[redacted]"),
        ("?api_key=abc123&x=1", "?api_key=[redacted]&x=1"),
        ("password = 'hunter2', next", "password = [redacted], next"),
        ('{"token": "abc"}', '{"token": [redacted]}'),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY----- after", "[redacted] after"),
        ("mail ann.b+c@sub.example.org.", "mail [email]."),
        ("call +49 170 1234567 now", "call [phone] now"),
        ("call (555) 123-4567", "call [phone]"),
        ("card 4111 1111 1111 1111", "card [card]"),
        ("card 5500-0000-0000-0004", "card [card]"),
        ("DE89 3704 0044 0532 0130 00", "[iban]"),
        ("GB29NWBK60161331926819 paid", "[iban] paid"),
    ],
)
def test_what_looks_like_a_secret_or_personal(text: str, told: str) -> None:
    assert redact_text(text) == told


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T12:00:00Z took 3.25 s",
        "sha256:5c0e0ea42157b1c2d3e4f5061728394a5b6c7d8e9f00112233445566778899aa",
        "1764000000",
        "4111 1111 1111 1112",  # no card: its check digit is wrong
        "XX00 ABCD 1234 EFGH",  # no IBAN: its check digits are wrong
        "batch 128 of 4096, 12.5 % at 192.168.10.20:8080",
        "model sentence-transformers/all-MiniLM-L6-v2@1",
        "http://localhost:11434/v1",
        "550e8400-e29b-41d4-a716-446655440000",
        "max_tokens: 5",
        "ask-me-anything",
    ],
)
def test_what_is_harmless_stays(text: str) -> None:
    assert redact_text(text) == text


def test_containers_and_records_are_walked() -> None:
    @dataclasses.dataclass
    class Row:
        password: str = "p"
        count: int = 1

    class Model(BaseModel):
        api_key: str = "k"
        secret_holder: SecretStr = SecretStr("zzz")
        nested: dict[str, str] = {"token": "t", "mail": "a@b.org"}

    class Colour(enum.Enum):
        RED = "red"

    assert redact(Row()) == {"password": "[redacted]", "count": 1}
    assert redact(Model()) == {
        "api_key": "[redacted]",
        "secret_holder": "[redacted]",
        "nested": {"token": "[redacted]", "mail": "[email]"},
    }
    assert redact([Colour.RED, (1, 2), {"a": ValueError("b@c.org")}]) == ["red", [1, 2], {"a": "ValueError: [email]"}]
    assert redact({"x": SecretStr("zzz")})["x"] == "SecretStr('**********')"
    assert redact(np.zeros((2, 3), dtype=np.float32)) == "ndarray(shape=(2, 3), dtype=float32)"
    assert redact({"at": dt.date(2026, 1, 2), "path": Path("a/b"), "on": True}) == {
        "at": dt.date(2026, 1, 2),
        "path": Path("a/b"),
        "on": True,
    }


def test_depth_and_length_are_bounded() -> None:
    loop: list[object] = []
    loop.append(loop)
    assert "…" in repr(redact(loop))
    assert len(redact(list(range(10_000)))) == 100
    assert len(redact(type("Odd", (), {"__repr__": lambda _: "x" * 999})())) == 200


def test_a_broken_object_breaks_nothing() -> None:
    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError

    class BrokenError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert redact(Broken()) == "<Broken>"
    assert redact(BrokenError()) == "BrokenError: <BrokenError>"


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@given(_values, st.sampled_from(["", "content", "count"]))
def test_redacting_twice_is_redacting_once(value: object, key: str) -> None:
    once = redact(value, key=key)
    assert redact(once, key=key) == once


@given(st.text())
def test_any_text_can_be_redacted(text: str) -> None:
    assert redact_text(redact_text(text)) == redact_text(text)


@given(st.text(min_size=6, max_size=40, alphabet="abcdefghijklmnopqrstuvwxyz0123456789"), st.text(max_size=30))
def test_a_key_never_survives(secret: str, around: str) -> None:
    assert secret not in redact_text(f"{around} sk-{secret} end").replace(around, "")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('password="correct horse battery"', "password=[redacted]"),
        ("Authorization: Token abcdef123456", "Authorization: [redacted]"),
        ("Authorization: BASIC dXNlcjpwYXNz", "Authorization: [redacted]"),
        ("Cookie: session=abc; other=1", "Cookie: [redacted]; other=1"),
        ("--password hunter2 next", "--password [redacted] next"),
        ("SECRET_KEY=abc", "SECRET_KEY=[redacted]"),
        ("clientSecret: abc", "clientSecret: [redacted]"),
        ("passphrase=x y", "passphrase=[redacted] y"),
        ("postgres://user:p@ss@host/db", "postgres://[redacted]@host/db"),
        ("4111 1111 1111 1111 12/27", "[card] 12/27"),
        ("4111111111111111 123", "[card] 123"),
        ("BE68 5390 0754 7034 EUR", "[iban] EUR"),
        ("(555) 123-4567+49 170 1234567", "[phone][phone]"),
        ("{'api_key': '[redacted]'}", "{'api_key': '[redacted]'}"),
    ],
)
def test_harder_cases(text: str, told: str) -> None:
    assert redact_text(text) == told
    assert redact_text(told) == told


@pytest.mark.parametrize(
    "text",
    [
        "Basic understanding of retrieval",
        "loss delta +1.23456789",
        "dims 384 128 1024",
        "input token: 512",
        "sk-learn 1.9",
    ],
)
def test_more_that_is_harmless(text: str) -> None:
    assert redact_text(text) == text


@pytest.mark.parametrize("key", ["passwords", "api_keys", "cookies", "access_tokens", "ssh_key", "id_token"])
def test_more_keys_of_secrets(key: str) -> None:
    assert redact({key: ["x"]}) == {key: "[redacted]"}


@pytest.mark.parametrize("key", ["pad_token", "max_token", "secret_count", "password_length", "total_tokens"])
def test_more_keys_that_only_look_like_one(key: str) -> None:
    assert redact({key: 7}) == {key: 7}


def test_any_collection_is_walked() -> None:
    from collections import deque, namedtuple

    pair = namedtuple("Pair", "user api_key")("u", "hunter2")  # noqa: PYI024 - the untyped kind is met, too
    assert redact(pair) == {"user": "u", "api_key": "[redacted]"}
    assert redact([("x-api-key", "hunter2"), ("accept", "json")]) == [["x-api-key", "[redacted]"], ["accept", "json"]]
    assert redact(["set api_key=abc first", "then this"]) == ["set api_key=[redacted] first", "then this"]
    assert redact({"documents": deque(["a b"])}) == {"documents": [TextDigest.of("a b")]}
    assert redact({"prompts": {"a": "b c"}.values()}) == {"prompts": [TextDigest.of("b c")]}
    assert redact({"content": {"password": 12345}}) == {"content": {"password": "[redacted]"}}
    assert redact({"content": object()}) == {"content": "<object>"}
    assert redact({"a@b.org": 1, "c@d.org": 2}) == {"[email]": 1, "[email]_": 2}
    assert redact(np.float32(0.25)) == 0.25
    assert redact(np.ndarray) == "<class 'numpy.ndarray'>"


def test_a_value_that_holds_itself_many_times_ends_soon() -> None:
    loop: list[object] = []
    loop.extend([loop] * 50)
    assert redact(loop) == ["…"] * 50
    wide = [[[[0] * 50] * 50] * 50] * 50
    assert repr(redact(wide)).count("0") <= 2000


@pytest.mark.parametrize(
    "piece",
    ["eyJaaaaaaaa-", "sk-", "a@", "password=", "4111 ", "://a:", "+49 ", "-----BEGIN PRIVATE KEY-----", "DE89 "],
)
def test_no_pattern_runs_away(piece: str) -> None:
    redact_text(
        piece * (100_000 // len(piece))
    )  # quadratic patterns would take minutes and end in the test's time limit
