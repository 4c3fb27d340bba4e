"""The trainer of sentence-transformers as it comes: what it takes, step by step."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.benchmarks.finetune_measures import (
    EVEN,
    LEARNING_RATE,
    LONGEST,
    SEED,
    WARM_UP,
    Pairs,
    Run,
    peak_mebibytes,
    rates,
)

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


@dataclass
class _Tokens:
    """What the model was given to compute.

    Attributes:
        real: Tokens of texts.
        padded: Tokens with padding.
    """

    real: int = 0
    padded: int = 0

    def count(self, _: Any, arguments: tuple[Any, ...]) -> None:
        """Count the tokens of a pass, before it."""
        mask = arguments[0]["attention_mask"]
        self.real += int(mask.sum())
        self.padded += mask.numel()


@dataclass
class _Clock:
    """When steps ended; from one to the next there is all that a step takes, tokenizing included.

    Attributes:
        last: Stop after this step; ``None`` means not to.
        ticks: Seconds.
    """

    last: int | None
    ticks: list[float] = field(default_factory=list)

    def tick(self) -> bool:
        """Take the time; tells whether to stop."""
        self.ticks.append(time.perf_counter())
        return self.last is not None and len(self.ticks) > self.last


def stock_run(run: Run, model: SentenceTransformer, pairs: Pairs, place: Path) -> dict[str, float]:
    """Tune a model in place for one epoch.

    All is left at its default but what makes the runs comparable: the length of texts, the learning rate with its
    course and the batch, which are ours too, and that nothing is written or shown on the way.

    Args:
        run: What to do.
        model: The model.
        pairs: What to train on.
        place: A folder for what the trainer writes.

    Returns:
        The figures.
    """
    from datasets import Dataset
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
    from sentence_transformers.losses import MultipleNegativesRankingLoss
    from transformers import TrainerCallback

    clock, tokens = _Clock(run.steps), _Tokens()

    class Watch(TrainerCallback):
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            clock.tick()

        def on_step_end(self, _: Any, __: Any, control: Any, **___: Any) -> None:
            control.should_training_stop = clock.tick() or control.should_training_stop

    begin, computed = time.perf_counter(), time.process_time()
    model.max_seq_length = min(model.max_seq_length, EVEN if run.texts == "even" else LONGEST)
    hook = model[0].register_forward_pre_hook(tokens.count)
    queries, responses = zip(*pairs, strict=True)
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(place / "stock"),
        num_train_epochs=1,
        per_device_train_batch_size=run.batch,
        learning_rate=LEARNING_RATE,
        warmup_steps=round(WARM_UP * -(-len(pairs) // run.batch)),
        seed=SEED,
        use_cpu=True,
        bf16=run.precision == "bfloat16",
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    trainer = SentenceTransformerTrainer(
        model,
        arguments,
        train_dataset=Dataset.from_dict({"anchor": list(queries), "positive": list(responses)}),
        loss=MultipleNegativesRankingLoss(model),
        callbacks=[Watch()],
    )
    trainer.train()
    trainer.save_model(str(place / "stock"))
    seconds, computed = time.perf_counter() - begin, time.process_time() - computed
    hook.remove()
    taken = [after - before for before, after in zip(clock.ticks, clock.ticks[1:], strict=False)]
    return {
        **rates(taken, run.batch, len(pairs), run.warm_up),
        "call_seconds": seconds,
        "call_cpu_seconds": computed,
        "padding": 1 - tokens.real / tokens.padded,
        "mebibytes": peak_mebibytes(),
        "bits": 16.0 if arguments.bf16 else 32.0,
    }
