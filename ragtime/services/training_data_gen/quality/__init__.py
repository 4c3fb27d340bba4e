"""The check of quality: what may be trained on, without personal data."""

from ragtime.services.training_data_gen.quality.check import QualityCheck
from ragtime.services.training_data_gen.quality.language import CorpusLanguages, languages_of
from ragtime.services.training_data_gen.quality.personal_data import PersonalData, Redactor
from ragtime.services.training_data_gen.quality.redaction import ExampleRedactor, RedactionCheck, redacted_passage

__all__ = [
    "CorpusLanguages",
    "ExampleRedactor",
    "PersonalData",
    "QualityCheck",
    "RedactionCheck",
    "Redactor",
    "languages_of",
    "redacted_passage",
]
