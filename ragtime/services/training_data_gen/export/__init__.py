"""Examples as files, in the shapes and formats that training wants, and back."""

from ragtime.services.training_data_gen.export.exporting import ExportReport, export_examples
from ragtime.services.training_data_gen.export.formats import ExportFormat
from ragtime.services.training_data_gen.export.loading import iter_examples, load_examples

__all__ = ["ExportFormat", "ExportReport", "export_examples", "iter_examples", "load_examples"]
