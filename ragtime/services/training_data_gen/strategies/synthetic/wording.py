"""Questions and keyword queries by rules, from the sentences and keyphrases of a passage."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

from ragtime.services.training_data_gen.strategies.synthetic.heading import is_generic, is_identifier
from ragtime.services.training_data_gen.strategies.synthetic.pair import Pair, Passage
from ragtime.services.training_data_gen.text import CorpusWords, Question, keyphrases_of, questions_of
from ragtime.utils.stems import STOP_WORDS

__all__ = ["keyword_pairs", "question_pairs"]

_SENTENCES = 24  # of a long passage that are read for questions
_TELLING = 1.4  # what a question has to tell, in words that stand in one passage only; "What is ...?" half of it
_TITLE_WORDS = 6
_TYPED = 3  # fewest words of a query of keyphrases alone
_FORMS = 4


def question_pairs(passage: Passage, words: CorpusWords, chance: random.Random, limit: int) -> Iterator[Pair]:
    """Ask what the sentences of a passage answer.

    Args:
        passage: The passage.
        words: The words of the corpus, which tell what is worth asking.
        chance: Decides which forms are taken, and which questions when there are many.
        limit: Most questions.

    Yields:
        The pairs; the span is that of the sentence.
    """
    enough = _TELLING * math.log(2 + words.documents)
    topic = passage.title if is_identifier(passage.title, passage.document.text) else ""
    pairs: list[Pair] = []
    for sentence in passage.sentences[:_SENTENCES]:
        form = chance.randrange(_FORMS)
        for question in questions_of(sentence.text, words, form=form):
            query = _about(question, topic) if form % 2 and topic else question.text
            said = {word.strip("?.,'\"").lower() for word in query.split()}
            told = sum(words.weight(word) for word in said - STOP_WORDS)
            if told < (enough / 2 if question.kind == "definition" else enough):
                continue
            span = (sentence.start, sentence.end)
            pairs.append(Pair(query, passage.document.content, "question", span, {"form": question.kind}))
    yield from chance.sample(pairs, min(limit, len(pairs)))


def _about(question: Question, topic: str) -> str:
    """Name what a question is about, where the sentence leaves it to the title."""
    if question.kind != "how" or topic.lower() in question.text.lower():
        return question.text
    return f"{question.text.rstrip('?')} with {topic.partition('(')[0]}{'?' if question.text.endswith('?') else ''}"


def keyword_pairs(passage: Passage, words: CorpusWords, chance: random.Random, limit: int) -> Iterator[Pair]:
    """Put the keyphrases of a passage together as one types them into a search engine.

    Args:
        passage: The passage.
        words: The words of the corpus.
        chance: Decides which go together.
        limit: Most queries.

    Yields:
        The pairs.
    """
    phrases = [one.text for one in keyphrases_of(passage.sentences, words, 3 * limit + 1)]
    title = passage.title.partition("(")[0].strip()
    queries: list[str] = []
    if phrases and title and not is_generic(title) and len(title.split()) <= _TITLE_WORDS:
        telling = [phrase for phrase in phrases if phrase.lower() not in title.lower()]
        if telling:
            queries.append(f"{title if words.is_name(title.split()[0]) else title.lower()} {telling[0]}")
            phrases = [phrase for phrase in phrases if phrase != telling[0]] if limit > 1 else []
    chance.shuffle(phrases)
    typed: list[str] = []
    for phrase in phrases:
        typed.append(phrase)
        if len(typed) > 1 and len(" ".join(typed).split()) >= _TYPED:
            queries.append(" ".join(typed))
            typed = []
    for query in queries[:limit]:
        yield Pair(query, passage.document.content, "keywords")
