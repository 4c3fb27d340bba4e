"""Exporting a tuned model: a folder with weights, pinned versions, hashes, a card with curves, and a self-check.

exported = ModelFineTuner(config).export("deploy/support", model="registry:support")
check_export("deploy/support", digest=exported.digest)
"""

from __future__ import annotations

from ragtime.services.model_finetuner.exporting.check import EXPORTERS, ExportCheck, check_export, choose_exporter
from ragtime.services.model_finetuner.exporting.exporter import Exporter, SafetensorsExporter
from ragtime.services.model_finetuner.exporting.exporting import ExportedModel, export_model
from ragtime.services.model_finetuner.exporting.manifest import ExportFacts
from ragtime.services.model_finetuner.exporting.plots import plot_comparison, plot_training
from ragtime.services.model_finetuner.exporting.source import ExportSource, open_source, read_run

__all__ = [
    "EXPORTERS",
    "ExportCheck",
    "ExportFacts",
    "ExportSource",
    "ExportedModel",
    "Exporter",
    "SafetensorsExporter",
    "check_export",
    "choose_exporter",
    "export_model",
    "open_source",
    "plot_comparison",
    "plot_training",
    "read_run",
]
