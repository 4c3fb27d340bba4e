"""Redaction: secrets hidden in random surroundings and structures never come out; nothing raises; twice is once."""

from __future__ import annotations

import json
import random
import string
from typing import Any

from ragtime.monitoring.redaction import redact
from tests.torture.harness import Counts, Timer

_ALPHABET = string.ascii_letters + string.digits
_NOISE = string.printable + "äß…日本語\u202e\ud800\x00\x1b"
_KEYS = ["note", "detail", "count", "items", "error", "url", "X", "", "max_tokens"]


def torture(time_left: Timer, seed: int) -> Counts:
    """Redact random values that hold secrets, and look for them in what comes out."""
    rng, counts = random.Random(seed), Counts()
    while time_left.left:
        secrets = ["".join(rng.choices(_ALPHABET, k=24)) for _ in range(3)]
        value = _value(rng, secrets, depth=4)
        told = redact(value, key=rng.choice(_KEYS))
        shown = json.dumps(told, default=repr)
        for secret in secrets:
            if secret in shown:
                raise AssertionError(f"{secret} came out of {value!r}")
        if redact(told) != told:
            raise AssertionError(f"not idempotent: {value!r}")
        counts.inputs += 1
    return counts


def _value(rng: random.Random, secrets: list[str], depth: int) -> Any:
    kind = rng.randrange(6 if depth else 3)
    if kind == 0:
        return _leak(rng, rng.choice(secrets))
    if kind == 1:
        return "".join(rng.choices(_NOISE, k=rng.randrange(40)))
    if kind == 2:
        return rng.choice([None, True, 7, 1.5, b"bytes"])
    inner = [_value(rng, secrets, depth - 1) for _ in range(rng.randrange(4))]
    if kind == 3:
        return {rng.choice(_KEYS): each for each in inner} | {
            rng.choice(["api_key", "password", "authToken"]): rng.choice(secrets)
        }
    return inner if kind == 4 else ValueError(_leak(rng, rng.choice(secrets)))


def _leak(rng: random.Random, secret: str) -> str:
    noise = ["".join(rng.choices(_NOISE, k=rng.randrange(20))) for _ in range(2)]
    shapes = [
        f"sk-{secret}",
        f"Bearer {secret}",
        f"https://user:{secret}@host/x",
        f"api_key={secret}",
        f"password: {secret}",
        f"hf_{secret}",
    ]
    return f"{noise[0]} {rng.choice(shapes)} {noise[1]}"
