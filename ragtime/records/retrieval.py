"""Documents, and judged retrieval sets made of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Self

from pydantic import AfterValidator, Field, JsonValue, model_validator

from ragtime.records.base import Identifier, Record, Text, freeze

__all__ = ["Document", "RetrievalSet"]

Grade = Annotated[int, Field(ge=0, strict=True)]
_NAMED = 3  # how many ids an error names


class Document(Record):
    """A passage that a query can retrieve.

    Attributes:
        id: Identifies the document within its corpus.
        text: The text, not blank.
        title: Its title; ``None`` or empty when it has none.
        metadata: Anything else that JSON can hold.
    """

    id: Identifier
    text: Text
    title: str | None = None
    metadata: Annotated[Mapping[str, JsonValue], AfterValidator(freeze)] = Field(
        default_factory=dict, validate_default=True
    )

    def __hash__(self) -> int:
        return hash((self.id, self.text, self.title))

    @property
    def content(self) -> str:
        """What is embedded and searched: the title, a line break, the text; the text alone without a title."""
        return f"{self.title}\n{self.text}" if self.title else self.text


class RetrievalSet(Record):
    """Queries, a corpus, and judgements of which document answers which query.

    This is the shape of the BEIR collection (Thakur et al., 2021). Documents without a judgement count as not relevant.

    Attributes:
        queries: Text of each query, by id.
        corpus: The documents, by id.
        judgements: Grade of each judged document, by query id and document id; 0 means not relevant, higher is better.
            Every id in it is known, and every query in it has at least one judgement; queries without any are allowed,
            and not evaluated.
        name: What the set is called in reports.
    """

    queries: Annotated[Mapping[Identifier, Text], AfterValidator(freeze)]
    corpus: Annotated[Mapping[Identifier, Document], AfterValidator(freeze)]
    judgements: Annotated[Mapping[Identifier, Mapping[Identifier, Grade]], AfterValidator(freeze)]
    name: str = ""

    @classmethod
    def from_documents(
        cls,
        documents: Iterable[Document],
        queries: Mapping[str, str],
        judgements: Mapping[str, Mapping[str, int]],
        *,
        name: str = "",
    ) -> Self:
        """Build a set from documents in any order.

        Args:
            documents: The corpus.
            queries: Text of each query, by id.
            judgements: Grade of each judged document, by query id and document id.
            name: What the set is called in reports.

        Returns:
            The set.

        Raises:
            ValueError: Two documents share an id, or the parts do not fit together.
        """
        corpus: dict[str, Document] = {}
        for document in documents:
            if corpus.setdefault(document.id, document) is not document:
                raise ValueError(f"Two documents have the id {document.id!r}")
        return cls(queries=queries, corpus=corpus, judgements=judgements, name=name)

    @property
    def judged_queries(self) -> dict[str, str]:
        """The queries with at least one relevant document, in the order of the queries: those that can be evaluated."""
        return {key: text for key, text in self.queries.items() if self.relevant(key)}

    def relevant(self, query_id: str) -> dict[str, int]:
        """Return the relevant documents of a query, with their grades; none for a query without judgements."""
        return {key: grade for key, grade in self.judgements.get(query_id, {}).items() if grade > 0}

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        misnamed = [key for key, document in self.corpus.items() if key != document.id]
        strange = [key for key in self.judgements if key not in self.queries]
        empty = [key for key, judged in self.judgements.items() if not judged]
        missing = {key: None for judged in self.judgements.values() for key in judged if key not in self.corpus}
        for ids, what in (
            (misnamed, "documents stand under another id than their own"),
            (strange, "judged queries are not among the queries"),
            (empty, "judged queries have no judgement"),
            (list(missing), "judged documents are not in the corpus"),
        ):
            if ids:
                named = ", ".join(repr(key) for key in ids[:_NAMED])
                raise ValueError(f"{len(ids)} {what}: {named}{', …' if len(ids) > _NAMED else ''}")
        return self
