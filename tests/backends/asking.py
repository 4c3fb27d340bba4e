"""The four ways to ask a generator, as functions of one shape."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ragtime.protocols import Message

MESSAGES: list[Message] = [{"role": "user", "content": "How do I reset it?"}]


def generate(generator: Any, **options: Any) -> str:
    return str(generator.generate(MESSAGES, **options))


def stream(generator: Any, **options: Any) -> str:
    return "".join(generator.stream(MESSAGES, **options))


def agenerate(generator: Any, **options: Any) -> str:
    return str(asyncio.run(generator.agenerate(MESSAGES, **options)))


def astream(generator: Any, **options: Any) -> str:
    async def collect() -> str:
        return "".join([piece async for piece in generator.astream(MESSAGES, **options)])

    return asyncio.run(collect())


WAYS = [generate, stream, agenerate, astream]
