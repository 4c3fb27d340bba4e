"""A small strategy: what each sentence of a passage says is asked of it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from ragtime.services.training_data_gen import Outcome, Rejected, TrainingExample, register_strategy
from ragtime.services.training_data_gen.sources.reading import Reading
from ragtime.services.training_data_gen.strategies.base import Unit
from ragtime.services.training_data_gen.tools import Tools

__all__ = ["WORDS", "ToyStrategy", "toy_documents"]

WORDS = (
    "amber basil cedar delta ember flint grove harbor island jasper kettle lantern meadow nickel orchard pebble quarry "
    "ribbon saddle timber"
).split()


def toy_documents(count: int) -> list[dict[str, str]]:
    """Return passages of three sentences, all different."""
    documents = []
    for number in range(count):
        one, two, three = (WORDS[(number * step + step) % len(WORDS)] for step in (1, 3, 7))
        text = f"The {one} {number} stands beside the {two}. Its {three} was painted in year {number}. Nobody moved it."
        documents.append({"id": f"d{number:03}", "text": text})
    return documents


class ToyStrategy:
    """Asks what each sentence says; sentences of nobody are rejected."""

    name = "toy"
    log: Path | None = None  # is told of each unit that is made
    seconds = 0.0  # that each unit takes

    def units(self, sources: Reading, tools: Tools) -> Iterator[Unit]:  # noqa: ARG002 - as the protocol
        for document in sources.documents():
            yield {"id": document.id}

    def make(self, units: Sequence[Unit], tools: Tools) -> list[list[Outcome]]:
        made: list[list[Outcome]] = []
        for unit in units:
            if self.log is not None:
                with self.log.open("a") as file:
                    file.write(f"{unit['id']}\n")
            time.sleep(self.seconds)
            document = tools.corpus.find([unit["id"]])[unit["id"]]
            outcomes: list[Outcome] = []
            for sentence in document.text.split(". "):
                if sentence.startswith("Nobody"):
                    outcomes.append(Rejected("nobody did it"))
                    continue
                lineage = tools.lineage(source="documents", document_ids=(document.id,))
                outcomes.append(
                    TrainingExample(
                        query=f"Is it true that {sentence}?", response=document.content, strategy="toy", lineage=lineage
                    )
                )
            made.append(outcomes)
        return made


register_strategy("toy", ToyStrategy)
