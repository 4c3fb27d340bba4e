"""Training rows: read from whatever holds them, split without leaks, turned into columns.

>>> read = read_rows([("How long are returns free?", "Returns are free for 30 days.", "We ship within 2 days.")])
>>> (read.shape, read.reason)
('triplets', '1 of 1 rows whose responses fit have negatives')
>>> train, validation, note = split_rows(read.rows, 0.1, seed=42)
>>> columns(train, read.shape).texts
[['How long are returns free?'], ['Returns are free for 30 days.'], ['We ship within 2 days.']]
"""

from __future__ import annotations

from ragtime.services.model_finetuner.dataset.columns import RowColumns, columns
from ragtime.services.model_finetuner.dataset.reading import ReadRows, TrainingData, read_rows
from ragtime.services.model_finetuner.dataset.rows import DataShape, Row
from ragtime.services.model_finetuner.dataset.shapes import fits
from ragtime.services.model_finetuner.dataset.splitting import LEAST_QUESTIONS, RowSplit, split_rows

__all__ = [
    "LEAST_QUESTIONS",
    "DataShape",
    "ReadRows",
    "Row",
    "RowColumns",
    "RowSplit",
    "TrainingData",
    "columns",
    "fits",
    "read_rows",
    "split_rows",
]
