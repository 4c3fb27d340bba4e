"""Counters of tokens that no budget may be broken by, however oddly they count."""

from __future__ import annotations

import zlib

__all__ = ["Crowd", "Dice", "Letters", "Tens"]


class Letters:
    """Counts characters: white space is not free."""

    name, exact = "letters", True

    def count(self, text: str) -> int:
        return len(text)


class Crowd:
    """Counts more for a whole than for its parts."""

    name, exact = "crowd", False

    def count(self, text: str) -> int:
        words = len(text.split())
        return words + words**2 // 20


class Tens:
    """Counts nothing for what is short, and less for parts than for the whole."""

    name, exact = "tens", False

    def count(self, text: str) -> int:
        return len(text) // 10


class Dice:
    """Counts what no tokenizer would: a longer text may have fewer."""

    name, exact = "dice", False

    def count(self, text: str) -> int:
        return zlib.crc32(text.encode()) % 23 if text else 0
