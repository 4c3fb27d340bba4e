"""Reading texts without a model: sentences, keyphrases, questions, words that can stand for each other."""

from ragtime.services.training_data_gen.text.answers import texts_in
from ragtime.services.training_data_gen.text.declining import declines
from ragtime.services.training_data_gen.text.keyphrases import Keyphrase, keyphrases_of
from ragtime.services.training_data_gen.text.markup import plain
from ragtime.services.training_data_gen.text.questions import Question, headline_questions, questions_of
from ragtime.services.training_data_gen.text.sentences import Sentence, sentences_of
from ragtime.services.training_data_gen.text.statistics import CorpusWords
from ragtime.services.training_data_gen.text.synonyms import Synonyms

__all__ = [
    "CorpusWords",
    "Keyphrase",
    "Question",
    "Sentence",
    "Synonyms",
    "declines",
    "headline_questions",
    "keyphrases_of",
    "plain",
    "questions_of",
    "sentences_of",
    "texts_in",
]
