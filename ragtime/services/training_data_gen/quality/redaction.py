"""Personal data of examples: blacked out in all their texts, by names that hold within an example and a passage.

Equal values of an example have one name: the address in the query is ``[email]`` when it is the ``[email]`` of the
passage. Names count from the beginning of each passage, so that a passage is the same text in every example, as a
response or as a negative, and in an evaluation set. So ``[email]`` of two passages need not be one address.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ragtime.services.training_data_gen.example import TrainingExample
from ragtime.services.training_data_gen.quality.personal_data import Redactor
from ragtime.services.training_data_gen.tools import Tools
from ragtime.services.training_data_gen.verdict import Verdict

if TYPE_CHECKING:
    from pydantic import JsonValue

    from ragtime.records.retrieval import Document

__all__ = ["ExampleRedactor", "RedactionCheck", "redacted_passage"]

_ID_KEYS = ("id", "ids", "parent", "parents", "part_of", "forked_from")  # ends of names in metadata
_BESIDE_NEGATIVES = {"negative_ids", "negative_scores", "negative_grades"}  # have an entry for each negative


class ExampleRedactor:
    """Replaces personal data in all texts of examples by what they are: ``[email]``, ``[phone 2]``."""

    def __init__(self, tools: Tools) -> None:
        """Get ready, and note what is not looked for.

        Args:
            tools: Takes the note.
        """
        self._redactor = Redactor()
        if self._redactor.missing is not None:
            tools.note(
                "Personal data: phone numbers, payment cards and IBANs are not looked for, e-mail addresses are; "
                f"the package {self._redactor.missing!r} is not installed: pip install 'ragtime-gal[data]'"
            )

    def redacted(self, example: TrainingExample) -> TrainingExample:
        """Return an example without personal data, with their number in ``metadata["redacted"]``; itself without any.

        Ids and lineage stay as they are, for they have to lead back to where it came from.
        """
        counts: Counter[str] = Counter()
        names: dict[tuple[str, str], str] = {}
        redact = self._redactor.redact
        changed: dict[str, Any] = {"response": redact(example.response, names, counts)}
        changed["query"] = redact(example.query, names, counts)
        if example.context is not None:
            changed["context"] = redact(example.context, names, counts)
        metadata: dict[str, Any] = {
            key: self._changed(value, key, names, counts) for key, value in example.metadata.items()
        }
        negatives = [redact(one, {}, counts) for one in example.negatives]
        if not counts:
            return example
        left = [place for place, one in enumerate(negatives) if one != changed["response"]]
        changed["negatives"] = tuple(negatives[place] for place in left)
        if len(left) < len(negatives):  # what differed from the response in personal data alone
            for key in _BESIDE_NEGATIVES & metadata.keys():
                metadata[key] = [metadata[key][place] for place in left]
        return example.model_copy(
            update={**changed, "metadata": {**metadata, "redacted": dict(sorted(counts.items()))}}
        )

    def _changed(
        self, value: JsonValue, key: str, names: dict[tuple[str, str], str], counts: Counter[str]
    ) -> JsonValue:
        if isinstance(value, str):
            return value if key.endswith(_ID_KEYS) else self._redactor.redact(value, names, counts)
        if isinstance(value, list):
            return [self._changed(one, key, names, counts) for one in value]
        if isinstance(value, Mapping):
            return {name: self._changed(one, name, names, counts) for name, one in value.items()}
        return value


class RedactionCheck:
    """Blacks out personal data, and rejects nothing: for runs that check nothing else."""

    stage = "personal_data"

    def __init__(self, tools: Tools) -> None:
        """Get ready; see ``ExampleRedactor``."""
        self._redactor = ExampleRedactor(tools)

    def begin(self, kept: Sequence[TrainingExample]) -> None:
        """Do nothing: no example counts for another; see ``Check``."""

    def check(self, examples: Sequence[TrainingExample]) -> list[Verdict]:
        """Return the examples without personal data; see ``Check``."""
        return [Verdict(self._redactor.redacted(example)) for example in examples]


def redacted_passage(document: Document, redactor: Redactor) -> Document:
    """Black out personal data in title and text of a passage, by the names that they have in examples.

    Args:
        document: The passage.
        redactor: Finds them.

    Returns:
        The passage without them; itself when there are none.
    """
    counts: Counter[str] = Counter()
    lines = redactor.redact(document.content, {}, counts).split("\n")  # no personal data go over the end of a line
    if not counts:
        return document
    head = document.title.count("\n") + 1 if document.title else 0
    changed = {"text": "\n".join(lines[head:])} | ({"title": "\n".join(lines[:head])} if head else {})
    return document.model_copy(update=changed)
