"""Texts tokenized once, before the first step, and put together into padded passes from then on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ragtime.backends.encoders.checks import check_role, check_texts
from ragtime.errors import FineTuningError, InvalidArgumentError
from ragtime.monitoring.logging import get_logger
from ragtime.protocols import TextRole
from ragtime.utils.extras import LazyModule
from ragtime.utils.progress import ProgressMode, track

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from sentence_transformers import SentenceTransformer

    from ragtime.services.model_finetuner.planning.rows import Numbers
else:
    np = LazyModule("numpy")

__all__ = ["Padding", "Route", "TokenizedTexts", "role_prompts", "roles_differ", "text_limit", "tokenize_texts"]

_log = get_logger(__name__)

_CHUNK = 2048  # texts given to the tokenizer at once
_SHOWN_FROM = 50_000  # texts from which progress is shown
_TASKS: Mapping[TextRole, str] = {"query": "query", "passage": "document"}  # sentence-transformers' names of the roles
_PROMPT_NAMES: Mapping[TextRole, tuple[str, ...]] = {
    "query": ("query",),
    "passage": ("document", "passage", "corpus"),
}  # in the order in which sentence-transformers looks for them


@dataclass(frozen=True, slots=True)
class Route:
    """How a model computes some texts: texts of different routes cannot share a pass.

    Attributes:
        task: What sentence-transformers is told of the texts; ``None`` where the model does not ask.
        prompt_length: Leading tokens that pooling leaves out, 0 for none.
    """

    task: str | None = None
    prompt_length: int = 0


@dataclass(frozen=True, slots=True)
class Padding:
    """How short texts are filled up.

    Attributes:
        token: The token that is put in.
        kind: Its token type.
        left: Whether it is put before the text.
    """

    token: int = 0
    kind: int = 0
    left: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class TokenizedTexts:
    """The tokens of many texts, one after the other; the arrays are read-only.

    Attributes:
        tokens: int32 of shape ``[tokens]``: all texts, with prompts and special tokens, truncated.
        kinds: Token types, uint8 of the same shape; ``None`` when the model knows none.
        offsets: int64 of shape ``[texts + 1]``: where each text begins, and where the last one ends.
        routes: The ways in which texts are computed.
        route_of: For each text its place in `routes`, int64 of shape ``[texts]``.
        padding: How short texts are filled up.
        truncated: How many texts were longer than the model reads.
    """

    tokens: npt.NDArray[np.int32]
    kinds: npt.NDArray[np.uint8] | None
    offsets: Numbers
    routes: tuple[Route, ...]
    route_of: Numbers
    padding: Padding
    truncated: int

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Numbers:
        """Tokens of each text, int64 of shape ``[texts]``."""
        return np.diff(self.offsets)

    def places(self, numbers: Numbers) -> Numbers:
        """Return where the tokens of some texts stand, one text after the other: int64 of shape ``[tokens]``."""
        starts = self.offsets[numbers]
        return _spans(starts, self.offsets[numbers + 1] - starts)

    def padded(self, numbers: Numbers) -> dict[str, Numbers]:
        """Put texts side by side.

        Args:
            numbers: Numbers of the texts.

        Returns:
            ``input_ids``, ``attention_mask`` and, where the model knows them, ``token_type_ids``: int64 of shape
            ``[texts, tokens of the longest one]``.
        """
        lengths = self.offsets[numbers + 1] - self.offsets[numbers]
        width = int(lengths.max(initial=0))
        columns = np.arange(width)
        inside = columns >= width - lengths[:, None] if self.padding.left else columns < lengths[:, None]
        places = self.places(numbers)
        tokens = np.full(inside.shape, self.padding.token, np.int64)
        tokens[inside] = self.tokens[places]
        features = {"input_ids": tokens, "attention_mask": inside.astype(np.int64)}
        if self.kinds is not None:
            kinds = np.full(inside.shape, self.padding.kind, np.int64)
            kinds[inside] = self.kinds[places]
            features["token_type_ids"] = kinds
        return features


def role_prompts(
    model: SentenceTransformer, query_prompt: str | None = None, passage_prompt: str | None = None
) -> dict[TextRole, str]:
    """Return what is put before the texts of each role.

    Args:
        model: The model.
        query_prompt: Put before queries; ``None`` means what the model puts there by itself.
        passage_prompt: The same for passages.

    Returns:
        The prompts, empty for none.
    """
    given: dict[TextRole, str | None] = {"query": query_prompt, "passage": passage_prompt}
    found: dict[TextRole, str] = {}
    for role, prompt in given.items():
        names = [name for name in (*_PROMPT_NAMES[role], model.default_prompt_name) if name in model.prompts]
        own = model.prompts[names[0]] if names else None
        found[role] = prompt if prompt is not None else own or ""
    return found


def text_limit(model: SentenceTransformer, wanted: int | None = None) -> int | None:
    """Return how many tokens of a text are read: the least of what is wanted and what the model can.

    Args:
        model: The model.
        wanted: What is asked for; ``None`` means as much as the model reads.

    Returns:
        Tokens, special ones included; ``None`` when nothing limits them.
    """
    config = getattr(model.transformers_model, "config", None)
    # A config without such a number, or with 0 or -1, belongs to a model of relative positions.
    limits = [wanted, model.max_seq_length, getattr(config, "max_position_embeddings", None)]
    return min((int(limit) for limit in limits if limit is not None and limit > 0), default=None)


def roles_differ(
    model: SentenceTransformer, query_prompt: str | None = None, passage_prompt: str | None = None
) -> bool:
    """Tell whether a text is computed differently as a query and as a passage.

    Args:
        model: The model.
        query_prompt: Put before queries; ``None`` means the model's own prompt.
        passage_prompt: The same for passages.

    Returns:
        Whether the prompts differ, or the model takes different ways or lengths. Where it does not, a text that is both
        can be computed once.
    """
    prompts = role_prompts(model, query_prompt, passage_prompt)
    if prompts["query"] != prompts["passage"] or _asks_for_task(model):
        return True
    for text in ("a", "a " * (text_limit(model) or 1)):  # the longer one shows limits of their own
        query, passage = (_preprocessed(model, [text], prompts[role], role) for role in ("query", "passage"))
        if query["input_ids"].tolist() != passage["input_ids"].tolist():
            return True
    return False


def tokenize_texts(
    model: SentenceTransformer,
    texts: Sequence[str],
    roles: Sequence[TextRole] | None = None,
    *,
    query_prompt: str | None = None,
    passage_prompt: str | None = None,
    warns: bool = True,
) -> TokenizedTexts:
    """Tokenize texts as the model itself would.

    Args:
        model: The model; its ``max_seq_length`` is the limit, or the positions it has where these are fewer.
        texts: The texts, each once.
        roles: Whether each is a query or a passage; ``None`` means passages, for a model to which it makes no
            difference.
        query_prompt: Put before queries; ``None`` means the model's own prompt.
        passage_prompt: The same for passages.
        warns: Whether it is logged how many texts were too long.

    Returns:
        The tokens. Texts that are too long are cut.

    Raises:
        InvalidArgumentError: There is something else than texts, or not one role for each.
        FineTuningError: The model is given something else than tokens, or a text has none.
    """
    checked = check_texts(texts)
    given: Sequence[TextRole] = roles if roles is not None else ["passage"] * len(checked)
    if len(given) != len(checked):
        raise InvalidArgumentError(f"Expected a role for each of {len(checked)} texts, found {len(given)}")
    prompts = role_prompts(model, query_prompt, passage_prompt)
    by_role: dict[TextRole, list[int]] = {"query": [], "passage": []}
    for number, role in enumerate(given):
        by_role[check_role(role)].append(number)
    collected = _Collected(model, len(checked))
    mode: ProgressMode | None = None if len(checked) >= _SHOWN_FROM else "off"
    with track("Tokenizing", total=len(checked), unit="texts", mode=mode) as progress:
        for role, members in by_role.items():
            members.sort(key=lambda number: -len(checked[number]))  # stable: texts of like lengths pad little
            for start in range(0, len(members), _CHUNK):
                chunk = members[start : start + _CHUNK]
                collected.add(chunk, [checked[number] for number in chunk], prompts[role], role)
                progress.advance(len(chunk))
    if collected.truncated and warns:
        limit = text_limit(model)
        _log.warning("Texts longer than the model reads are cut", count=collected.truncated, tokens=limit)
    return collected.finished()


class _Collected:
    """Gathers the tokens of chunks of texts, whatever their order."""

    def __init__(self, model: SentenceTransformer, count: int) -> None:
        self.truncated = 0
        self._model = model
        self._limit = text_limit(model)
        self._asks_for_task = _asks_for_task(model)
        self._skips_prompt = any(not getattr(module, "include_prompt", True) for module in model.modules())
        self._lengths = np.zeros(count, np.int64)
        self._route_of = np.zeros(count, np.int64)
        self._routes: dict[Route, int] = {}
        self._chunks: list[tuple[Numbers, npt.NDArray[np.int32], npt.NDArray[np.uint8] | None]] = []

    def add(self, members: list[int], texts: list[str], prompt: str, role: TextRole) -> None:
        features = _preprocessed(self._model, texts, prompt, role)
        inside = features["attention_mask"].numpy().astype(bool)
        tokens = features["input_ids"].numpy()[inside].astype(np.int32)
        kinds = features["token_type_ids"].numpy()[inside].astype(np.uint8) if "token_type_ids" in features else None
        lengths = inside.sum(axis=1)
        if not lengths.all():
            raise FineTuningError(f"A text without tokens was found, a {role}: leave texts that say nothing out")
        numbers = np.array(members, np.int64)
        self._chunks.append((numbers, tokens, kinds))
        self._lengths[numbers] = lengths
        self.truncated += self._cut(texts, lengths, prompt)
        route = Route(
            task=_TASKS[role] if self._asks_for_task else None,
            prompt_length=int(features.get("prompt_length") or 0) if self._skips_prompt else 0,
        )
        self._route_of[numbers] = self._routes.setdefault(route, len(self._routes))

    def finished(self) -> TokenizedTexts:
        offsets = np.concatenate([[0], np.cumsum(self._lengths)]).astype(np.int64)
        tokens = np.empty(int(offsets[-1]), np.int32)
        typed = any(kinds is not None for _, _, kinds in self._chunks)
        all_kinds = np.empty(len(tokens), np.uint8) if typed else None
        for numbers, some, kinds in self._chunks:
            places = _spans(offsets[numbers], self._lengths[numbers])
            tokens[places] = some
            if all_kinds is not None and kinds is not None:
                all_kinds[places] = kinds
        for array in (offsets, tokens, self._route_of, all_kinds):
            if array is not None:
                array.setflags(write=False)
        tokenizer = self._model.tokenizer
        padding = Padding(
            token=int(tokenizer.pad_token_id or 0),
            kind=int(tokenizer.pad_token_type_id),
            left=tokenizer.padding_side == "left",
        )
        return TokenizedTexts(
            tokens, all_kinds, offsets, tuple(self._routes) or (Route(),), self._route_of, padding, self.truncated
        )

    def _cut(self, texts: list[str], lengths: Numbers, prompt: str) -> int:
        """Count the texts that are longer than the limit: those that reach it are tokenized whole."""
        full = [prompt + text for text, length in zip(texts, lengths, strict=True) if length == self._limit]
        if not full:
            return 0
        whole = self._model.tokenizer(full, truncation=False, padding=False, verbose=False)["input_ids"]
        return sum(len(one) > (self._limit or 0) for one in whole)


def _preprocessed(model: SentenceTransformer, texts: list[str], prompt: str, role: TextRole) -> dict[str, Any]:
    """Return the features of texts as the model makes them, all of which this module knows."""
    options: dict[str, Any] = {}
    limit = text_limit(model)
    if limit is not None and limit != model.max_seq_length:
        options["max_length"] = limit
    features = dict(model.preprocess(texts, prompt=prompt or None, task=_TASKS[role], **options))
    known = {"input_ids", "attention_mask", "token_type_ids", "modality", "prompt_length", "task"}
    if not {"input_ids", "attention_mask"} <= features.keys() <= known:
        raise FineTuningError(
            "Only models that are given tokens and a mask can be trained; this one is given "
            f"{', '.join(sorted(features))}. With Flash Attention, load it with attn_implementation='sdpa'"
        )
    return features


def _asks_for_task(model: SentenceTransformer) -> bool:
    """Tell whether some module, such as a Router, takes another way for queries than for documents."""
    told = {name for names in (model.module_kwargs or {}).values() for name in names}
    return "task" in told or any(
        hasattr(module, "sub_modules") or "task" in getattr(module, "forward_kwargs", ()) for module in model.modules()
    )


def _spans(starts: Numbers, lengths: Numbers) -> Numbers:
    """Return the places of all spans, one after the other."""
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()))
