"""Text from a local causal model, through transformers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ragtime.backends.generators.base import BaseGenerator
from ragtime.backends.generators.decoding import TokenText, TokenWatch, sampling_chain
from ragtime.backends.generators.local_models import LocalModel, load_local_model
from ragtime.backends.generators.prompts import PLAIN_STOP, prompt_tokens
from ragtime.backends.generators.request import GenerationOutcome, GenerationRequest, resolve_settings
from ragtime.errors import BackendError, InvalidArgumentError, RagtimeError
from ragtime.protocols import TokenUsage
from ragtime.utils.extras import require
from ragtime.utils.workers import WorkerPool

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from ragtime.backends.servers.bridge import Emit
    from ragtime.config.settings import Settings

__all__ = ["TransformersGenerator"]

_SAMPLING = ("temperature", "top_k", "top_p", "min_p")
_GREEDY_BELOW = 1e-4  # a division by less leaves nothing to draw from
_STOP_SECONDS = 1.0  # how long a cancelled call waits for the token in the making


class TransformersGenerator(BaseGenerator):
    """Runs a causal model here; a :class:`ragtime.protocols.TextGenerator` and its asynchronous twin.

    The model is loaded by the first call, once, whatever the number of threads; :meth:`load` does it earlier. Only
    safetensors are read and no code of a model's folder is run. Messages go through the tokenizer's chat template; a
    model without one gets ``User: …`` and ``Assistant: …`` paragraphs. Temperature 0 takes the likeliest token each
    time; otherwise the same seed gives the same text on the same device, and no global random state is touched.

    The time limit, ``llm.timeout_seconds``, counts from the call, loading included. The model stops between two tokens;
    what cannot be stopped, reading a long prompt or loading, ends by itself in its thread while the caller has the
    error already. What it has loaded by then serves the next call.
    """

    provider = "transformers"

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        model_name: str | None = None,
        model: PreTrainedModel | None = None,
        tokenizer: PreTrainedTokenizerBase | None = None,
        device: str = "auto",
        dtype: str = "auto",
    ) -> None:
        """Prepare to run a model; nothing is loaded.

        Args:
            settings: The settings; ``None`` means the current ones.
            model_name: A local folder, ``registry:NAME``, or a name on the hub; ``None`` means ``llm.model_name``.
            model: A finished causal model, used where it is; ``None`` means that `model_name` is loaded.
            tokenizer: Its tokenizer; both or neither are given.
            device: Where a loaded model runs: ``auto``, ``cpu``, ``mps``, ``cuda`` or ``cuda:N``.
            dtype: Precision of a loaded model: ``auto``, ``float32``, ``float16`` or ``bfloat16``.

        Raises:
            InvalidArgumentError: An argument has a wrong value.
            ConfigurationError: No model is named.
        """
        if (model is None) != (tokenizer is None):
            raise InvalidArgumentError("model and tokenizer belong together; pass both, or neither and model_name")
        if model is not None and model_name is None:
            model_name = str(getattr(model, "name_or_path", "") or type(model).__name__)
        self._settings = resolve_settings(settings, model_name=model_name)
        super().__init__(self._settings.llm)
        self._device, self._dtype = device, dtype
        self._lock = threading.Lock()
        self._local = LocalModel(model, tokenizer) if model is not None and tokenizer is not None else None

    @property
    def _who(self) -> str:
        return f"Local model {self.model_name!r}"

    def load(self) -> LocalModel:
        """Load the model unless it is loaded.

        Returns:
            The model and its tokenizer.

        Raises:
            BackendError: It cannot be loaded; the message says why and what to do. The next call tries again.
            InvalidArgumentError: The device or precision is not there.
            MissingExtraError: torch or transformers is not installed.
        """
        with self._lock:
            if self._local is None:
                self._local = load_local_model(
                    self.model_name, device=self._device, dtype=self._dtype, settings=self._settings
                )
            return self._local

    async def _run(self, request: GenerationRequest, emit: Emit, *, streamed: bool) -> GenerationOutcome:
        loop = asyncio.get_running_loop()

        def give(piece: str) -> None:
            if streamed:
                loop.call_soon_threadsafe(emit, piece)

        writing = _Writing(self._who, request, give)
        pool = WorkerPool(1, thread_name_prefix="ragtime-transformers")
        worker = asyncio.wrap_future(pool.submit(lambda: writing.run(self.load())))
        pool.shutdown(wait=False)  # starts no more; the thread ends with its only task
        try:
            return await asyncio.shield(worker)
        except asyncio.CancelledError:
            writing.abort()
            await asyncio.wait({worker}, timeout=_STOP_SECONDS)
            raise


class _Writing:
    """One generation, in the thread that computes it."""

    def __init__(self, who: str, request: GenerationRequest, give: Callable[[str], object]) -> None:
        self._who = who
        self._request = request
        self._give = give
        self._parts: list[str] = []
        self._aborted = threading.Event()

    def abort(self) -> None:
        """Stop before the next token, from any thread."""
        self._aborted.set()

    def run(self, local: LocalModel) -> GenerationOutcome:
        if self._aborted.is_set():
            raise BackendError(f"{self._who}: stopped before it began")
        problem = ""
        try:
            return self._write(local)
        except RagtimeError:
            raise
        except Exception as error:  # noqa: BLE001 - errors of a model may quote its input
            problem = type(error).__name__
        raise BackendError(f"{self._who}: the model failed ({problem}); {_remedy(problem)}")

    def _write(self, local: LocalModel) -> GenerationOutcome:
        torch = require("torch", "generation")
        writer: Any = local.model  # its class has generate only by inheritance that type checkers do not see
        model, tokenizer, request = local.model, local.tokenizer, self._request
        prompt = prompt_tokens(tokenizer, request.messages, who=self._who)
        stop = request.stop if tokenizer.chat_template else (*request.stop, PLAIN_STOP)
        watch = TokenWatch(
            TokenText(tokenizer), stop, prompt_tokens=len(prompt), give=self._take, aborted=self._aborted.is_set
        )
        ids = torch.tensor([prompt], device=model.device)
        with torch.inference_mode():
            writer.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                logits_processor=self._processors(model),
                stopping_criteria=[watch],
                **_options(model, tokenizer, max_tokens=self._room(model, len(prompt))),
            )
        watch.finish()
        text = "".join(self._parts)
        usage = TokenUsage(prompt_tokens=len(prompt), completion_tokens=watch.tokens)
        ended = watch.cutter.stopped or watch.last_token in _end_tokens(model, tokenizer)
        if not text.strip() and not self._aborted.is_set():
            raise BackendError(f"{self._who}: an empty answer; ask otherwise, or choose other stop texts")
        return GenerationOutcome(text, usage, "stop" if ended else "length")

    def _take(self, piece: str) -> None:
        if piece:
            self._parts.append(piece)
            self._give(piece)

    def _processors(self, model: PreTrainedModel) -> list[Any]:
        if self._request.temperature < _GREEDY_BELOW:
            return []
        return sampling_chain(model.generation_config, temperature=self._request.temperature, seed=self._request.seed)

    def _room(self, model: PreTrainedModel, prompt_tokens: int) -> int:
        """Tokens that the answer may have, between the prompt and the model's limit."""
        limit = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        if not isinstance(limit, int) or limit <= 0:
            return self._request.max_tokens
        if prompt_tokens >= limit:
            raise BackendError(
                f"{self._who}: the messages have {prompt_tokens} tokens and the model holds {limit} with the answer; "
                "send fewer or shorter messages"
            )
        return min(self._request.max_tokens, limit - prompt_tokens)


def _options(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, *, max_tokens: int) -> dict[str, Any]:
    """Arguments of transformers' ``generate``; greedy, for a sampled token is drawn by the last logits processor."""
    ends = _end_tokens(model, tokenizer)
    padding = tokenizer.pad_token_id
    return {
        "max_new_tokens": max_tokens,
        "do_sample": False,
        **dict.fromkeys(_SAMPLING),  # the model's own, which the chain applies; with do_sample=False each is a warning
        "num_beams": 1,
        "return_dict_in_generate": False,
        "eos_token_id": ends or None,
        "pad_token_id": padding if padding is not None else next(iter(ends), 0),
    }


def _end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The tokens that end an answer: those of the model, else that of the tokenizer."""
    found = getattr(model.generation_config, "eos_token_id", None)
    if found is None:
        found = tokenizer.eos_token_id
    if found is None:
        return []
    return list(found) if isinstance(found, list | tuple) else [int(found)]


def _remedy(problem: str) -> str:
    if "OutOfMemory" in problem:
        return "use a smaller model, shorter messages, or device='cpu'"
    return "check that model and tokenizer belong together, or use another model"
