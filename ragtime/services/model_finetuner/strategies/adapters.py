"""Training of small matrices beside the encoder's own, which are merged into them at the end."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ragtime.errors import FineTuningError, InvalidArgumentError
from ragtime.services.model_finetuner.config import FineTuningConfig
from ragtime.services.model_finetuner.strategies.comparison import embed_for_check, largest_difference
from ragtime.services.model_finetuner.strategies.structure import linear_layers, transformer_of
from ragtime.services.model_finetuner.strategies.weights import TrainsWeights
from ragtime.utils.extras import require

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import nn
    from transformers import PreTrainedModel

__all__ = ["EncoderAdapter"]

_OFT_BLOCK = 32  # at most, as in peft
_TOLERANCE = 1e-4  # largest change of a number in an embedding that merging may bring


class EncoderAdapter(TrainsWeights):
    """Adapters in all linear layers of attention and feed-forward networks, by peft.

    The methods: ``lora`` (Hu et al. 2021), ``ia3`` (Liu et al. 2022), ``loha`` (Hyeon-Woo et al. 2021), ``lokr`` (Yeh
    et al. 2023), ``oft`` (Qiu et al. 2023). At the start none changes an embedding, and all can be merged into the
    weights. DoRA is not among them: what peft reloads of it is not what was trained.

    Attributes:
        name: The method.
    """

    def __init__(self, config: FineTuningConfig) -> None:
        """Prepare the strategy.

        Args:
            config: A resolved config: strategy, `adapter_method`, `lora_rank`, `lora_alpha` and `random_seed` count.

        Raises:
            InvalidArgumentError: It has no seed.
        """
        if config.random_seed is None:
            raise InvalidArgumentError("random_seed must be set: call resolved() on the config first")
        self.name: str = "lora" if config.strategy == "lora" else config.adapter_method
        self._rank = config.lora_rank
        self._alpha = config.lora_alpha or 2 * config.lora_rank
        self._seed = config.random_seed

    def prepare(self, model: SentenceTransformer) -> SentenceTransformer:
        """Freeze the model, and put adapters into its encoder.

        Args:
            model: The base model, which is changed in place.

        Returns:
            The same model. The first weights of the adapters depend on the seed alone.

        Raises:
            FineTuningError: The model has no encoder with linear layers, or none that the method suits.
        """
        import torch  # noqa: PLC0415 - heavy

        peft = require("peft", "finetune")
        transformer = transformer_of(model)
        config = self._config(peft, linear_layers(transformer))
        model.requires_grad_(requires_grad=False)
        with torch.random.fork_rng(devices=[]):  # peft draws on the CPU, wherever the model is
            torch.default_generator.manual_seed(self._seed)  # that of the CPU alone
            peft.inject_adapter_in_model(config, transformer)
        return model

    def frozen_depth(self, model: SentenceTransformer) -> int | None:  # noqa: ARG002 - the same for all
        """Return 0: the embeddings are frozen, and there is an adapter in the lowest layer."""
        return 0

    def finished(self, model: SentenceTransformer) -> SentenceTransformer:
        """Merge the adapters into the weights, and take them out.

        Args:
            model: The trained model, which is changed in place.

        Returns:
            The same model, plain as before :meth:`prepare`.

        Raises:
            FineTuningError: An embedding changed by more than 1e-4, or a merged weight is not finite.
        """
        before = embed_for_check(model)
        self._merge(transformer_of(model))
        difference = largest_difference(before, embed_for_check(model))
        if not difference <= _TOLERANCE:
            raise FineTuningError(
                f"Merging the {self.name} adapters changed an embedding by {difference:.2g}, expected at most "
                f"{_TOLERANCE:.0e}: the weights have grown too large; train again with a lower learning_rate"
            )
        return model.eval()

    def _merge(self, transformer: PreTrainedModel) -> None:
        tuners = require("peft.tuners.tuners_utils", "finetune")
        adapted = [item for item in transformer.named_modules() if isinstance(item[1], tuners.BaseTunerLayer)]
        for name, layer in adapted:
            try:
                layer.merge(safe_merge=True)
            except ValueError as error:
                raise FineTuningError(
                    f"The {self.name} adapter of {name} holds numbers that are not finite; train again with a lower "
                    "learning_rate"
                ) from error
            transformer.set_submodule(name, layer.get_base_layer())
        if hasattr(transformer, "peft_config"):
            del transformer.peft_config

    def _config(self, peft: Any, linear: Mapping[str, nn.Linear]) -> Any:
        common = {"target_modules": sorted(linear)}
        makers: dict[str, Callable[[], Any]] = {
            "lora": lambda: peft.LoraConfig(r=self._rank, lora_alpha=self._alpha, **common),
            "loha": lambda: peft.LoHaConfig(r=self._rank, alpha=self._alpha, **common),
            "lokr": lambda: peft.LoKrConfig(r=self._rank, alpha=self._alpha, **common),
            "ia3": lambda: peft.IA3Config(feedforward_modules=_down_projections(linear), **common),
            "oft": lambda: peft.OFTConfig(oft_block_size=_block_size(linear), **common),
        }
        return makers[self.name]()


def _down_projections(linear: Mapping[str, nn.Linear]) -> list[str]:
    """Find the second layers of feed-forward networks: of these (IA)³ scales the inputs, of the others the outputs."""
    width = statistics.mode(layer.in_features for layer in linear.values())  # that of the vectors between layers
    return sorted(name for name, layer in linear.items() if layer.in_features > width)


def _block_size(linear: Mapping[str, nn.Linear]) -> int:
    """Return the largest size of the rotated blocks that divides the width of every layer."""
    common = math.gcd(*(layer.in_features for layer in linear.values()))
    found = max(size for size in range(1, _OFT_BLOCK + 1) if common % size == 0)
    if found == 1:  # a rotation of one number is none
        widths = ", ".join(map(str, sorted({layer.in_features for layer in linear.values()})))
        raise FineTuningError(
            f"The adapter_method oft needs layers whose widths share a divisor from 2 to {_OFT_BLOCK}; found the "
            f"widths {widths}: use another adapter_method"
        )
    return found
