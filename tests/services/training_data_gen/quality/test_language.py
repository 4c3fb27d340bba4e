"""Languages, told by function words and scripts."""

from __future__ import annotations

import pytest

from ragtime.services.training_data_gen.quality import CorpusLanguages, languages_of

SENTENCES = {
    "cs": "Jak se dostanu na letiště, když metro nejede a co mám dělat, aby to bylo včas?",
    "da": "Hvad skal jeg gøre, hvis den ikke vil starte og det ikke er min egen?",
    "de": "Was kann ich tun, wenn das Gerät nicht mehr startet und es nicht mein eigenes ist?",
    "en": "What can I do when the roaster does not start and it is not my own?",
    "es": "¿Qué puedo hacer cuando el aparato no se enciende y no es el mío?",
    "fi": "Mitä voin tehdä, jos se ei käynnisty ja se ei ole minun, mutta on uusi?",
    "fr": "Que puis-je faire quand l'appareil ne se met pas en marche et que ce n'est pas le mien ?",
    "it": "Che cosa posso fare quando la macchina non si accende e non è la mia?",
    "nl": "Wat kan ik doen als het niet wil starten en het niet van mij is?",
    "pl": "Co mogę zrobić, gdy nie chce się włączyć i to nie jest moje, ale jak się dowiem?",
    "pt": "O que posso fazer quando a máquina não liga e não é a minha?",
    "ru": "Что мне делать, если он не включается и это не мой?",
    "sv": "Vad kan jag göra när den inte vill starta och det inte är min?",
    "uk": "Що мені робити, якщо він не вмикається, але це не мій?",
}


@pytest.mark.parametrize("language", SENTENCES)
def test_a_sentence_is_at_home_in_its_language(language: str) -> None:
    """And in a corpus of English it is foreign, unless it is English."""
    own = CorpusLanguages([SENTENCES[language]])
    assert not own.is_foreign(SENTENCES[language])
    english = CorpusLanguages([SENTENCES["en"]] * 3)
    assert english.languages == {"en"}
    assert english.is_foreign(SENTENCES[language]) == (language != "en")


def test_a_corpus_can_be_in_several_languages() -> None:
    both = CorpusLanguages([SENTENCES["en"], SENTENCES["de"]])
    assert not both.is_foreign(SENTENCES["en"])
    assert not both.is_foreign(SENTENCES["de"])
    assert both.is_foreign(SENTENCES["fr"])


@pytest.mark.parametrize("text", ["", "12 345", "docker run -it --rm redis", "SELECT a FROM b", "iPhone 12 Pro", "x²"])
def test_what_is_no_prose_is_in_no_language(text: str) -> None:
    assert not languages_of(text)
    assert not CorpusLanguages([SENTENCES["en"]]).is_foreign(text)


def test_without_a_corpus_nothing_is_foreign() -> None:
    assert not CorpusLanguages([]).is_foreign(SENTENCES["fr"])


def test_other_scripts_are_told_by_their_letters() -> None:
    english = CorpusLanguages([SENTENCES["en"]])
    for text in ("Πού είναι το εγχειρίδιο;", "האם זה עובד", "दस्तावेज़ कहाँ है", "설명서는 어디에 있나요", "说明书在哪里"):
        assert english.is_foreign(text)
    assert not english.is_foreign("What does the sign 説 mean in the title of the book?")
    assert not CorpusLanguages(["说明书在抽屉里"]).is_foreign("说明书在哪里")
