"""The check of quality: what may be trained on, without personal data."""

from ragtime.services.training_data_gen.quality.check import QualityCheck
from ragtime.services.training_data_gen.quality.language import CorpusLanguages, languages_of
from ragtime.services.training_data_gen.quality.personal_data import PersonalData, Redactor

__all__ = ["CorpusLanguages", "PersonalData", "QualityCheck", "Redactor", "languages_of"]
