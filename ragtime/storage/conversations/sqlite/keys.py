"""What rows are found by: hashes of ids, and what else the statements are given.

The indexes of the file hold hashes instead of texts, made with a random key of the file, so that nothing has to be
sought there when a turn is forgotten. A user's hash is part of those of all his conversations, and of all his words.
"""

from __future__ import annotations

import functools
import hashlib
from datetime import UTC, datetime, timedelta

from ragtime.storage.conversations.arguments import encode_id

__all__ = ["Keys", "from_microseconds", "to_microseconds"]

_KEPT = 1024
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Keys:
    """Makes the hashes of one file.

    Attributes:
        conversation: Returns the hash of a user's conversation, from the user's id and its own.
        item: Returns the hash of the id of a turn or of feedback.
    """

    def __init__(self, salt: bytes) -> None:
        """Hash with the file's own key."""
        self._salt = salt
        # Those who append name the same conversation again and again, and the turn before as the parent of the next.
        self.conversation = functools.lru_cache(maxsize=_KEPT)(self._conversation)
        self.item = functools.lru_cache(maxsize=_KEPT)(self._item)

    def user(self, user_id: str | None) -> bytes:
        """Return the hash of a user; nobody is a user of their own, who has no name."""
        return self._hash(b"-" if user_id is None else b"+" + encode_id(user_id))

    def _conversation(self, user_id: str | None, conversation_id: str) -> bytes:
        return self._hash(self.user(user_id) + encode_id(conversation_id))

    def _item(self, name: str) -> bytes:
        return self._hash(encode_id(name))

    def word(self, user_key: int, stem: str) -> int:
        """Return the hash of a user's word, a signed number of 64 bits."""
        data = user_key.to_bytes(8, "big") + stem.encode("utf-8", "surrogatepass")
        return int.from_bytes(hashlib.blake2b(data, digest_size=8, key=self._salt).digest(), "big", signed=True)

    def _hash(self, data: bytes) -> bytes:
        return hashlib.blake2b(data, digest_size=16, key=self._salt).digest()


def to_microseconds(time: datetime) -> int:
    """Return a time as microseconds since 1970, exactly."""
    return (time - _EPOCH) // _MICROSECOND


def from_microseconds(number: int) -> datetime:
    """Return the time that many microseconds after 1970, in UTC."""
    return _EPOCH + timedelta(microseconds=number)
