"""What the sessions of a web application keep of a conversation: its dict, and of its vectors the name.

A session is often a cookie, which holds some 4,000 bytes and is silently dropped when there is more; one vector of
4,096 numbers has 50,000. So vectors that do not fit stay in this process, under a name that the dict has; where they
are gone, they are made anew when they are needed.
"""

from __future__ import annotations

import json
import threading
from array import array
from collections import OrderedDict
from collections.abc import Mapping, MutableMapping, Sequence
from hashlib import blake2b
from typing import Any

from ragtime.monitoring.logging import get_logger

__all__ = ["SESSION_KEY", "remembered_vectors", "stored_in", "with_vectors"]

SESSION_KEY = "conversation"
"""Under which a session holds the dict."""

_log = get_logger(f"ragtime.{__name__}")
_VECTORS = "vectors"
_FITTING = 2000  # characters of a dict with its vectors that leave room for what else a cookie holds
_REMEMBERED = 128  # conversations; with ten vectors of 4,096 numbers each some 40 MB
_lock = threading.Lock()
_remembered: OrderedDict[str, tuple[array[float], ...]] = OrderedDict()


def stored_in(session: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Return the dict of a session's conversation; where there is none, the session gets that of an empty one."""
    found = session.get(SESSION_KEY)
    if isinstance(found, Mapping):
        return found
    if found is not None:
        _log.warning("The session holds no dict of a conversation; a new one begins", found=type(found).__name__)
    empty: dict[str, Any] = {"history": []}
    session[SESSION_KEY] = empty
    return empty


def with_vectors(data: Mapping[str, Any], vectors: Sequence[Sequence[float] | None]) -> dict[str, Any]:
    """Return the dict of a conversation for a session.

    Args:
        data: The dict without vectors.
        vectors: A vector for each exchange, ``None`` where there is none yet.

    Returns:
        The dict with the vectors while they fit, else with the name under which this process keeps them.
    """
    if not any(vectors):
        return dict(data)
    whole = {**data, "embeddings": vectors}
    if all(vectors) and _fits(whole):
        return whole
    return {**data, _VECTORS: _remember(vectors)}


def remembered_vectors(data: Mapping[str, Any]) -> list[list[float]] | None:
    """Return the vectors that a dict names, an empty one where there was none; ``None`` when they are not here."""
    name = data.get(_VECTORS)
    with _lock:
        found = _remembered.get(name) if isinstance(name, str) else None
        if found is None:
            return None
        _remembered.move_to_end(str(name))
    return [list(vector) for vector in found]


def _fits(data: Mapping[str, Any]) -> bool:
    try:
        return len(json.dumps(data)) <= _FITTING
    except (TypeError, ValueError):  # a value of the caller's that JSON cannot hold
        return False


def _remember(vectors: Sequence[Sequence[float] | None]) -> str:
    """Keep vectors, those that were not asked for longest giving way to them, and return their name: a hash of them."""
    kept = tuple(array("d", vector or ()) for vector in vectors)
    digest = blake2b(digest_size=16)
    for vector in kept:
        digest.update(len(vector).to_bytes(8, "little"))
        digest.update(vector.tobytes())
    name = digest.hexdigest()
    with _lock:
        _remembered[name] = kept
        _remembered.move_to_end(name)
        while len(_remembered) > _REMEMBERED:
            _remembered.popitem(last=False)
    return name
