"""Real texts, and copies of them with words changed."""

from __future__ import annotations

import random

from ragtime.utils.standard_library import standard_library_documents


def real_texts(limit: int) -> list[str]:
    return [document.text for document in standard_library_documents(limit, per_module=1000)]


def perturbed(text: str, share: float, rng: random.Random) -> str:
    """Replace a share of the words."""
    words = text.split()
    for place in rng.sample(range(len(words)), round(share * len(words))):
        words[place] = f"word{rng.randrange(10_000)}"
    return " ".join(words)


def with_copies(count: int, seed: int) -> list[str]:
    """Return real texts and, after each, none to three copies of it with 0 to 6 % of the words changed."""
    rng = random.Random(seed)  # noqa: S311 - repeatable on purpose
    texts = []
    for text in real_texts(count):
        texts.append(text)
        texts += [perturbed(text, rng.uniform(0, 0.06), rng) for _ in range(rng.choice([0, 0, 1, 3]))]
    return texts
