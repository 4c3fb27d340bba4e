"""A small help desk made of the documentation strings of the running interpreter's standard library."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from ragtime.errors import InvalidArgumentError
from ragtime.protocols import TokenCounter
from ragtime.records import Document, RetrievalSet
from ragtime.services.training_data_gen.dedup.shingles import normalize_text
from ragtime.services.training_data_gen.text import Sentence, plain, sentences_of
from ragtime.utils.hashing import keyed_order, keyed_uniform, text_hash
from ragtime.utils.progress import track_each
from ragtime.utils.standard_library import standard_library_documents

__all__ = ["MOST_PAGES", "PAGE_TOKENS", "HelpDesk", "HelpDeskQuestion", "build_help_desk"]

MOST_PAGES = 1000
"""Pages of the help desk at most."""

PAGE_TOKENS = 64
"""Tokens of a page or question at most, a page's title and the two that mark beginning and end included."""

_MODULES = (
    "abc argparse ast asyncio.base_events asyncio.events asyncio.futures asyncio.locks asyncio.queues asyncio.streams "
    "asyncio.tasks asyncio.transports base64 bdb bisect bz2 calendar cmd code codecs collections colorsys compileall "
    "concurrent.futures concurrent.futures._base configparser contextlib copy csv ctypes.util dataclasses datetime "
    "difflib dis doctest email.charset email.header email.headerregistry email.message email.policy email.utils enum "
    "filecmp fileinput fnmatch fractions ftplib functools getopt getpass gettext glob gzip heapq hmac html html.parser "
    "http.client http.cookiejar http.cookies http.server imaplib importlib.abc importlib.machinery "
    "importlib.resources importlib.util inspect ipaddress json json.decoder json.encoder linecache locale logging "
    "logging.config logging.handlers lzma mailbox mimetypes multiprocessing.managers multiprocessing.shared_memory "
    "netrc numbers operator optparse os pathlib pdb pickle pickletools pkgutil platform plistlib poplib pprint profile "
    "pstats pydoc queue random re reprlib runpy sched secrets selectors shelve shlex shutil smtplib socket "
    "socketserver ssl statistics string subprocess symtable sysconfig tarfile tempfile textwrap threading timeit "
    "tokenize tomllib trace traceback turtle typing urllib.parse urllib.request urllib.robotparser uuid venv warnings "
    "wave weakref webbrowser wsgiref.handlers wsgiref.headers wsgiref.simple_server wsgiref.util xmlrpc.client "
    "xmlrpc.server zipapp zipfile zoneinfo"
).split()
_PER_MODULE = 40  # so that no module fills the help desk
_READ = 10_000  # documentation strings that are looked at

_UNSEEN = 0.4  # share of the pages that nobody has asked about before the questions of the gate
_QUESTIONS = 2  # most that are taken out of a page
_NEAR = 8  # sentences of a page among which they are: further down a long text has turned to something else
_WORDS = (7, 30)  # fewest and most of a question
_LETTERS = 0.75  # share of a question that is letters and spaces: the rest is code
_REST = 40  # fewest characters that remain of a page
_TITLE = 20  # most tokens of a title with its arguments; a longer one is the bare name
_SET = re.compile(r"^(?:\s|[-*+>:]|\d+[.)])", re.MULTILINE)  # lines of a list, of code or of a table
_MARKS = 2  # tokens that a model adds
_ID = 16  # digits
_FEWEST = 50  # pages: of fewer, hardly any question is held out


class HelpDeskQuestion(NamedTuple):
    """A sentence that was taken out of a page, which is what answers it.

    Attributes:
        id: The start of the SHA-256 of its text.
        text: The sentence.
        page_id: The page.
    """

    id: str
    text: str
    page_id: str


@dataclass(frozen=True, slots=True)
class HelpDesk:
    """Pages, and questions whose answers are known.

    Attributes:
        pages: The pages without the sentences that became questions, sorted by id.
        unseen: Ids of the pages that are new: nobody has asked about them yet, and nothing of them is trained on.
        questions: The questions, sorted by page.
    """

    pages: tuple[Document, ...]
    unseen: frozenset[str]
    questions: tuple[HelpDeskQuestion, ...]

    @property
    def seen_pages(self) -> tuple[Document, ...]:
        """The pages that users ask about, which the model learns from."""
        return tuple(page for page in self.pages if page.id not in self.unseen)

    @property
    def asked(self) -> tuple[HelpDeskQuestion, ...]:
        """The questions that users ask, about the pages that are seen."""
        return tuple(question for question in self.questions if question.page_id not in self.unseen)

    @property
    def held_out(self) -> tuple[HelpDeskQuestion, ...]:
        """The questions that models are measured by, about the pages that are unseen."""
        return tuple(question for question in self.questions if question.page_id in self.unseen)

    def evaluation(self) -> RetrievalSet:
        """Return the held-out questions, to be answered from all pages."""
        return RetrievalSet.from_documents(
            self.pages,
            {question.id: question.text for question in self.held_out},
            {question.id: {question.page_id: 1} for question in self.held_out},
            name="questions about unseen pages",
        )


def build_help_desk(counter: TokenCounter, *, seed: int, limit: int = MOST_PAGES) -> HelpDesk:
    """Collect pages, and take sentences out of them that become questions.

    The same interpreter, counter and seed give the same help desk.

    Args:
        counter: Counts the tokens of pages.
        seed: Chooses pages, sentences, and which pages are unseen.
        limit: Most pages, 50 to 1,000.

    Returns:
        The help desk.

    Raises:
        InvalidArgumentError: `limit` is out of range.
        StorageError: This interpreter comes without the sources of its library.
    """
    if not _FEWEST <= limit <= MOST_PAGES:
        raise InvalidArgumentError(f"limit must be from {_FEWEST} to {MOST_PAGES}, found {limit!r}")
    documents = [
        document.model_copy(update={"text": _unwrapped(document.text)})
        for document in standard_library_documents(_READ, per_module=_PER_MODULE, modules=_MODULES)
    ]
    asking = {
        document.id: [one for one in _asking(document) if counter.count(one.text) <= PAGE_TOKENS - _MARKS]
        for document in track_each(documents, "Reading", unit="documentation strings")
    }
    stand_alone = _standing_once(documents, [sentence.text for some in asking.values() for sentence in some])
    taken = {
        document.id: _chosen(document, [one for one in asking[document.id] if one.text in stand_alone], seed)
        for document in documents
    }
    shuffled = keyed_order(documents, seed, "pages", key=lambda document: document.id)
    shuffled.sort(key=lambda document: not taken[document.id])  # those that can be asked about come first
    chosen = sorted(shuffled[:limit], key=lambda document: document.id)
    pages = [_page(document, taken[document.id], counter) for document in chosen]
    return HelpDesk(
        tuple(pages),
        frozenset(page.id for page in pages if keyed_uniform(seed, "unseen", page.id) < _UNSEEN),
        tuple(
            HelpDeskQuestion(text_hash(sentence.text)[:_ID], sentence.text, page.id)
            for page in pages
            for sentence in taken[page.id]
        ),
    )


def _unwrapped(text: str) -> str:
    """Join the lines of each paragraph, but for those that are set out, as a list or as code."""
    paragraphs = (paragraph.strip("\n") for paragraph in text.split("\n\n"))
    return "\n\n".join(one if _SET.search(one) else " ".join(one.split("\n")) for one in paragraphs if one)


def _chosen(document: Document, sentences: Sequence[Sentence], seed: int) -> tuple[Sentence, ...]:
    """Choose the sentences of a page that become questions, in their order in the page."""
    some = keyed_order(sentences, seed, "questions", document.id, key=lambda one: one.start)[:_QUESTIONS]
    while some and len(_without(document.text, some)) < _REST:
        some.pop()
    return tuple(sorted(some))


def _asking(document: Document) -> Iterator[Sentence]:
    """Yield the sentences near the beginning that are whole; the first stays, for it says what the page is about."""
    for before, sentence in pairwise(sentences_of(document.text)[:_NEAR]):
        if before.closed and _asks(sentence):
            yield sentence


def _standing_once(documents: Iterable[Document], sentences: Sequence[str]) -> set[str]:
    """Return the sentences that stand in one place alone, so that each has one answer."""
    everything = "\n".join(normalize_text(plain(document.text)) for document in documents)
    times = Counter(map(normalize_text, sentences))
    return {text for text in sentences if times[key := normalize_text(text)] == everything.count(key) == 1}


def _asks(sentence: Sentence) -> bool:
    text = sentence.text
    fewest, most = _WORDS
    return (
        sentence.closed
        and text[0].isupper()
        and not text.partition(" ")[0].endswith(":")  # "Args:"
        and fewest <= len(text.split()) <= most
        and sum(sign.isalpha() or sign.isspace() for sign in text) >= _LETTERS * len(text)
    )


def _without(text: str, sentences: Sequence[Sentence]) -> str:
    return "\n".join(_pieces(text, sorted(sentences)))


def _pieces(text: str, sentences: Sequence[Sentence]) -> Iterator[str]:
    place = 0
    for start, end in [*((one.start, one.end) for one in sentences), (len(text), len(text))]:
        if piece := text[place:start].strip():
            yield piece
        place = end


def _page(document: Document, taken: Sequence[Sentence], counter: TokenCounter) -> Document:
    """Make the page of a documentation string: without the sentences that were taken out, cut behind a word."""
    title = document.title if document.title and counter.count(document.title) <= _TITLE else document.id
    room = PAGE_TOKENS - _MARKS - counter.count(title)
    text = _without(document.text, taken)
    ends = [word.end() for word in re.finditer(r"\S+", text)]
    words = bisect_right(ends, room, key=lambda end: counter.count(text[:end]))
    return Document(id=document.id, title=title, text=text[: ends[max(1, words) - 1]])
