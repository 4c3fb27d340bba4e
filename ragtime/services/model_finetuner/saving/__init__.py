"""Folders of models: the base is loaded from one, and what was trained is saved as one that anybody can load.

model = load_base_model(config)
saved = save_model(trained, "models/support", prompts={"query": "query: "}, metadata={"run": "2026-03-01"})
encoder = load_encoder(saved.path)  # or, elsewhere, SentenceTransformer("models/support")
"""

from __future__ import annotations

from ragtime.services.model_finetuner.saving.about import ModelAbout, read_about, read_prompts
from ragtime.services.model_finetuner.saving.load import INT8_MARKER, load_base_model, load_encoder
from ragtime.services.model_finetuner.saving.plain import set_text_options
from ragtime.services.model_finetuner.saving.save import METADATA_NAME, FolderWriter, SavedModel, save_model

__all__ = [
    "INT8_MARKER",
    "METADATA_NAME",
    "FolderWriter",
    "ModelAbout",
    "SavedModel",
    "load_base_model",
    "load_encoder",
    "read_about",
    "read_prompts",
    "save_model",
    "set_text_options",
]
