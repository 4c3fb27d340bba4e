"""Conversations: killed writers, random histories, SQLite against memory, and forgetting while others write.

Four parts take turns:

- Four processes of two threads write into one file, in either durability, while a fifth comes and goes, and all are
  killed at random moments: every acknowledged turn is there, in order, once; an exchange is there with both turns or
  neither; nothing else is.
- Windows of random histories are safe for pairs, within their budget, idempotent and monotone.
- Random calls, forks, forgetting and crashes among them, give over SQLite what they give over memory, and leave exactly
  the turns that were acknowledged.
- Turns are forgotten while processes write and while the one that forgets is killed: no file holds a canary afterwards.
"""

from __future__ import annotations

import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ragtime.config.settings import Settings
from ragtime.records.conversation import Interaction, ToolCall
from ragtime.services.conversation import Conversation, ConversationManager, EnhancedConversation
from ragtime.storage.conversations import MemoryConversationStore, SQLiteConversationStore
from ragtime.testing import HashEncoder
from ragtime.utils.tokens import EstimatedTokenCounter
from tests.torture.harness import Counts, Timer

_PROCESSES = 4
_TURNS_OF_A_FILE = 20_000
_HISTORIES, _SEQUENCES, _STEPS, _FORGOTTEN = 150, 2, 50, 12

# Each process has two threads that write and read, so that it has several connections. Turns n and n + 1 are one call
# where n % 3 is 1.
_WRITER = """
import sys, threading
from ragtime.errors import ConversationExistsError
from ragtime.records.conversation import Interaction
from ragtime.services.conversation import ConversationManager
from ragtime.storage.conversations import SQLiteConversationStore

path, name, durability = sys.argv[1:]
lock = threading.Lock()

def write(place, thread):
    number = 0
    while True:
        ids = [f"{name}-{thread}-{number + each}" for each in range(1 + number % 3 % 2)]
        place.add_interactions([Interaction(id=one, role="user", content=f"said {one}") for one in ids])
        number += len(ids)
        with lock:
            sys.stdout.write(" ".join(ids) + "\\n")
            sys.stdout.flush()
        manager.store.head(None, place.conversation_id)

with ConversationManager(store=SQLiteConversationStore(path, durability=durability)) as manager:
    try:
        manager.create_conversation("shared")
    except ConversationExistsError:
        pass
    places = [manager.get_conversation("shared"), manager.create_conversation(name)]
    print("ready", flush=True)
    threads = [threading.Thread(target=write, args=(place, number)) for number, place in enumerate(places)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
"""
# The last process to close a file of SQLite clears up; one that comes and goes must never take itself for the last.
_VISITOR = """
import sys
from ragtime.storage.conversations import SQLiteConversationStore
print("ready", flush=True)
while True:
    with SQLiteConversationStore(sys.argv[1]) as store:
        store.conversations(None)
"""
# Not in this process: closing a file lets go of all locks that the process has on it, those of SQLite among them.
_FINDER = """
import pathlib, sys
data = b"".join(file.read_bytes() for file in pathlib.Path(sys.argv[1]).rglob("*") if file.is_file())
print(*(canary for canary in sys.argv[2:] if canary[:20].encode() in data))
"""
_FORGETTER = """
import sys
from ragtime.storage.conversations import SQLiteConversationStore
store = SQLiteConversationStore(sys.argv[1])
for turn_id in sys.argv[2:]:
    print("forgets", flush=True)
    store.forget("ann", conversation_id="c", turn_id=turn_id)
"""


@dataclass
class _Told:
    """How often each part was done."""

    kills: int = 0
    histories: int = 0
    sequences: int = 0
    forgotten: int = 0


def torture(time_left: Timer, seed: int) -> Counts:
    """Let the four parts take turns until the time is up."""
    rng, counts, told = random.Random(seed), Counts(), _Told()
    while time_left.left:
        with tempfile.TemporaryDirectory(prefix="ragtime-torture-") as folder:
            path, acknowledged, lost = Path(folder) / "c.sqlite", list[str](), 0
            while time_left.left and len(acknowledged) < _TURNS_OF_A_FILE and not lost:
                for _ in range(_HISTORIES):
                    check_history(rng)
                told.histories += _HISTORIES
                for _ in range(_SEQUENCES):
                    _run_sequence(rng, counts)
                told.sequences += _SEQUENCES
                acknowledged += _write_and_kill(path, rng)
                counts.killed += _PROCESSES + 1
                told.kills += _PROCESSES
                lost = count_lost(path, acknowledged)  # of all since the file was made
                told.forgotten += _forget_while_others_write(rng, counts)
            counts.acknowledged += len(acknowledged)
            counts.lost += lost
    counts.inputs = told.histories + told.sequences + told.forgotten
    print(
        f"{told.kills:,} writers killed, {told.histories:,} histories, {told.sequences:,} sequences, "
        f"{told.forgotten:,} turns forgotten under writers",
        flush=True,
    )
    return counts


# --- killed writers ---------------------------------------------------------------------------------------------


def _write_and_kill(path: Path, rng: random.Random) -> list[str]:
    """Return the ids that were acknowledged; some writers die while they still open the file."""
    durability, name = rng.choice(["normal", "full"]), f"w{rng.randrange(2**48):x}"
    writers = [_start(_WRITER, path, f"{name}-{number}", durability) for number in range(_PROCESSES)]
    processes = [*writers, _start(_VISITOR, path)]
    try:
        if rng.random() < 0.8:
            for process in processes:
                assert process.stdout is not None
                assert process.stdout.readline() == "ready\n"
    finally:
        for process in rng.sample(processes, len(processes)):
            time.sleep(rng.uniform(0, 0.15))
            process.send_signal(signal.SIGKILL)
    lines = [line for process in processes for line in _lines(process)]
    return [turn_id for line in lines if line != "ready" for turn_id in line.split()]


def _start(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _lines(process: subprocess.Popen[str]) -> list[str]:
    """Return the whole lines that a killed process has told."""
    assert process.stdout is not None
    with process.stdout as told:
        lines = [line[:-1] for line in told.read().splitlines(keepends=True) if line.endswith("\n")]
    if process.wait() != -signal.SIGKILL:
        raise AssertionError(f"a process failed by itself, with code {process.returncode}")
    return lines


def count_lost(path: Path, acknowledged: Sequence[str]) -> int:
    """Compare a file with the ids that were acknowledged, those of a process in their order; returns how many miss."""
    with SQLiteConversationStore(path) as store:
        found = {head.id: list(store.turns(None, head.id)) for head in store.conversations(None)}
        scope = store.lexical_scope(None, ["said"])
    ids = [turn.interaction.id for turns in found.values() for turn in turns]
    known = set(ids)
    if lost := len(set(acknowledged) - known):
        return lost
    if len(known) < len(ids) or len(scope.matches) != len(ids) or scope.turns != len(ids):
        raise AssertionError(f"{len(ids)} turns, {len(known)} of them different, {len(scope.matches)} in the index")
    writers = Counter(_writer(one) for one in acknowledged)
    present = Counter(map(_writer, ids))
    # A call of two turns may have been done and not told.
    if any(number - writers[writer] > 2 for writer, number in present.items()):
        raise AssertionError("there are turns that nobody has written")
    for turns in found.values():
        places: dict[str, int] = {}
        for turn in turns:
            writer, number = _writer(turn.interaction.id), int(turn.interaction.id.rpartition("-")[2])
            if turn.interaction.content != f"said {turn.interaction.id}" or places.get(writer, -1) > number:
                raise AssertionError(f"{turn.interaction.id} is wrong or out of its order")
            places[writer] = number
    for one in known:
        writer, number = _writer(one), int(one.rpartition("-")[2])
        if number % 3 in {1, 2} and f"{writer}-{number + (1 if number % 3 == 1 else -1)}" not in known:
            raise AssertionError(f"{one} is there without the turn of the same call")
    with closing(sqlite3.connect(path)) as connection:
        if connection.execute("PRAGMA integrity_check").fetchone() != ("ok",):
            raise AssertionError("the file is damaged")
    return 0


def _writer(turn_id: str) -> str:
    return turn_id.rpartition("-")[0]


# --- windows ----------------------------------------------------------------------------------------------------


def check_history(rng: random.Random) -> None:
    """Make a random history, and look at its windows of several budgets."""
    turns, counter = _history(rng), EstimatedTokenCounter()
    conversation = Conversation()
    conversation.add_interactions(turns)
    pinned = next((place for place, turn in enumerate(turns) if turn.role != "system"), len(turns))
    least = sum(counter.count(turn.content) for turn in turns[:pinned])
    former: set[str] = set()
    for more in sorted(rng.sample(range(600), 8)):
        window = conversation.window(max(1, least + more))
        check_pairs(turns, list(window))
        present = {turn.id for turn in window}
        again = Conversation()
        again.add_interactions(window)
        if not window.tokens <= window.max_tokens or list(window[:pinned]) != turns[:pinned]:
            raise AssertionError(f"{window.tokens} of {window.max_tokens} tokens, pinned {window.pinned}")
        if list(again.window(window.max_tokens)) != list(window) or not former <= present:
            raise AssertionError(f"not idempotent or not monotone at {window.max_tokens} tokens")
        if len(window) + window.omitted + window.unanswered != len(turns):
            raise AssertionError("turns that are neither in the window nor counted as left out")
        former = present


def check_pairs(turns: Sequence[Interaction], window: Sequence[Interaction]) -> None:
    """Raise unless every call in a window stands before all its results, and no result without its call."""
    answers = {turn.tool_call_id: turn.id for turn in turns if turn.tool_call_id}
    calls: dict[str, str] = {}
    present = {turn.id for turn in window}
    for turn in window:
        if turn.tool_call_id is not None and turn.tool_call_id not in calls:
            raise AssertionError("a result without its call")
        calls.update({call.id: turn.id for call in turn.tool_calls})
        if any(answers.get(call.id) not in present for call in turn.tool_calls):
            raise AssertionError("a call without its results")


def _history(rng: random.Random) -> list[Interaction]:
    """Make turns with parallel, reordered, late and never answered calls."""
    turns = [Interaction(role="system", content="rule " * rng.randint(1, 9)) for _ in range(rng.randrange(3))]
    waiting: list[str] = []
    for number in range(rng.randrange(60)):
        text, kind = f"word{number} " * rng.randint(1, 20), rng.randrange(6)
        if kind == 0:
            calls = [ToolCall(id=f"c{number}-{each}", name="look up") for each in range(rng.randint(1, 4))]
            waiting += [call.id for call in calls]
            turns.append(Interaction(role="assistant", content=rng.choice(["", text]), tool_calls=tuple(calls)))
        elif kind <= 2 and waiting:
            call = waiting.pop(rng.randrange(len(waiting)))
            turns.append(Interaction(role="tool", content=rng.choice(["", text]), tool_call_id=call))
        else:
            turns.append(Interaction(role=rng.choice(["user", "assistant", "system"]), content=text))
    return turns


# --- SQLite against memory --------------------------------------------------------------------------------------


class _Sequence:
    """The same calls on two managers, one over SQLite and one over memory, and the turns that must be there."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.rng, self.folder, self.made = rng, folder, 0
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.settings = Settings.isolated(data_dir=str(folder))
        self.encoder = HashEncoder(32)
        self.managers = [self._manager(SQLiteConversationStore(folder / "0.sqlite")), self._manager(None)]
        self.live: dict[str, list[EnhancedConversation]] = {}
        self.expected: dict[str, dict[str, str]] = {}  # content by the id of the turn, by conversation
        self.generation = 0

    def _manager(self, store: SQLiteConversationStore | None) -> ConversationManager:
        return ConversationManager(
            self.settings,
            store=store or MemoryConversationStore(),
            user_id="ann",
            encoder=self.encoder,
            clock=lambda: self.now,
        )

    def name(self, letter: str) -> str:
        self.made += 1
        return f"{letter}{self.made}"

    def step(self) -> None:
        """Do something random that fits."""
        self.now += timedelta(seconds=self.rng.randint(0, 90_000))
        kinds = ["append", "tools", "edit", "fork", "switch", "rate", "metadata", "summarise", "forget", "crash"]
        kind = self.rng.choices(kinds, [10, 3, 4, 3, 3, 3, 2, 2, 2, 1])[0]
        filled = [one for one, turns in self.expected.items() if turns]
        if not self.expected or self.rng.random() < 0.05:
            self._create()
        elif filled or kind in {"append", "tools", "metadata", "crash"}:
            places = list(self.live) if not filled or kind in {"append", "tools"} else filled
            getattr(self, f"_{kind}")(self.rng.choice(places))

    def _create(self) -> None:
        name = self.name("c")
        self.live[name] = [manager.create_conversation(name, metadata={"n": self.made}) for manager in self.managers]
        self.expected[name] = {}

    def _add(self, place: str, turns: list[Interaction]) -> None:
        for conversation in self.live[place]:
            conversation.add_interactions(turns)
        self.expected[place] |= {turn.id: turn.content for turn in turns}

    def _turn(self, role: str, **fields: object) -> Interaction:
        fields.setdefault("content", " ".join(self.rng.choices("red green blue door window key".split(), k=6)) + ".")
        return Interaction.model_validate({"id": self.name("t"), "role": role, "created_at": self.now, **fields})

    def _append(self, place: str) -> None:
        self._add(place, [self._turn(self.rng.choice(["user", "assistant"])) for _ in range(self.rng.randint(1, 3))])

    def _tools(self, place: str) -> None:
        calls = [ToolCall(id=self.name("k"), name="look") for _ in range(self.rng.randint(1, 2))]
        answers = [self._turn("tool", tool_call_id=call.id) for call in calls[: self.rng.randint(0, 2)]]
        self._add(place, [self._turn("assistant", content="", tool_calls=tuple(calls)), *answers])

    def _edit(self, place: str) -> None:
        turn_id, new = self.rng.choice(list(self.expected[place])), self.name("t")
        original = self.live[place][0].get_interaction(turn_id)
        if original.role == "tool":
            return
        for conversation in self.live[place]:
            act = conversation.regenerate if original.role == "assistant" else conversation.edit
            act(turn_id, f"Said anew as {new}.", id=new)
        self.expected[place][new] = f"Said anew as {new}."

    def _fork(self, place: str) -> None:
        turn_id, name = self.rng.choice(list(self.expected[place])), self.name("c")
        self.live[name] = [conversation.fork(turn_id, conversation_id=name) for conversation in self.live[place]]
        self.expected[name] = {turn.id: turn.content for turn in self.live[name][1]}

    def _switch(self, place: str) -> None:
        turn_id = self.rng.choice(list(self.expected[place]))
        for conversation in self.live[place]:
            conversation.switch(turn_id)

    def _rate(self, place: str) -> None:
        turn_id, name, stars = self.rng.choice(list(self.expected[place])), self.name("f"), self.rng.randint(1, 5)
        for conversation in self.live[place]:
            conversation.add_feedback(turn_id, stars, id=name)
        self._take_out()  # a fork shows the rating once it is taken out anew

    def _metadata(self, place: str) -> None:
        for conversation in self.live[place]:
            conversation.update_metadata(n=self.made)

    def _summarise(self, place: str) -> None:
        strategy = self.rng.choice(["extractive", "recent", "rolling", "hierarchical"])
        budget = self.rng.randint(5, 80)
        one, other = (conversation.summarize(strategy=strategy, max_tokens=budget) for conversation in self.live[place])
        if one.text != other.text or one.tokens > budget:
            raise AssertionError(f"a summary ({strategy}) differs, or has {one.tokens} of {budget} tokens")
        path = [turn.id for turn in self.live[place][0]]
        if any(turn_id not in path for sentence in one.sentences for turn_id in sentence.turn_ids):
            raise AssertionError("a summary names a turn that is not in its branch")

    def _forget(self, place: str) -> None:
        if self.rng.random() < 0.3:
            receipts = [manager.forget(conversation_id=place) for manager in self.managers]
            del self.expected[place]
        else:
            turn_id = self.rng.choice(list(self.expected[place]))
            receipts = [manager.forget(conversation_id=place, turn_id=turn_id) for manager in self.managers]
            for turns in self.expected.values():  # forks share it
                turns.pop(turn_id, None)
        if receipts[0] != receipts[1]:
            raise AssertionError(f"receipts differ: {receipts}")
        self._take_out()

    def _crash(self, place: str) -> None:  # noqa: ARG002 - called like the others
        """Open a copy of the files as they are now, as after the death of the process."""
        old = self.folder / f"{self.generation}.sqlite"
        self.generation += 1
        for suffix in ("", "-wal"):
            if (source := Path(f"{old}{suffix}")).exists():
                shutil.copy(source, self.folder / f"{self.generation}.sqlite{suffix}")
        self.managers[0].close()
        self.managers[0] = self._manager(SQLiteConversationStore(self.folder / f"{self.generation}.sqlite"))
        self._take_out()

    def _take_out(self) -> None:
        self.live = {name: [each.get_conversation(name) for each in self.managers] for name in self.expected}

    def check(self) -> int:
        """Compare everything; returns how many acknowledged turns miss."""
        heads = [manager.list_conversations() for manager in self.managers]
        if heads[0] != heads[1] or {head.id for head in heads[0]} != self.expected.keys():
            raise AssertionError("the conversations differ")
        lost = 0
        for name, turns in self.expected.items():
            dicts = [manager.get_conversation(name).to_dict() for manager in self.managers]
            if any(one != dicts[0] for one in [dicts[1], *(live.to_dict() for live in self.live[name])]):
                raise AssertionError(f"{name} is not the same in the file, in memory, and as it was held")
            found = {turn.interaction.id: turn.interaction.content for turn in self.live[name][0].stored_turns()}
            lost += len(turns.keys() - found.keys())
            if any(turns.get(turn_id) != content for turn_id, content in found.items()):
                raise AssertionError(f"{name} has a turn that was never said, or was forgotten")
        found = [manager.search("blue door", k=5, mode="lexical") for manager in self.managers]
        told = [[(one.conversation_id, one.interaction.id, one.score) for one in each] for each in found]
        if told[0] != told[1]:
            raise AssertionError(f"a search differs: {told}")
        return lost

    def close(self) -> None:
        for manager in self.managers:
            manager.close()


def _run_sequence(rng: random.Random, counts: Counts) -> None:
    with tempfile.TemporaryDirectory(prefix="ragtime-torture-") as folder:
        sequence = _Sequence(Path(folder), rng)
        for step in range(_STEPS):
            sequence.step()
            if step % 10 == 9:
                counts.lost += sequence.check()
        counts.acknowledged += sum(map(len, sequence.expected.values()))
        sequence.close()


# --- forgetting -------------------------------------------------------------------------------------------------


def _forget_while_others_write(rng: random.Random, counts: Counts) -> int:
    """Forget turns one by one, by a process that is killed, and all at last; returns how many."""
    canaries = [f"canary{rng.randrange(16**16):016x}" for _ in range(_FORGOTTEN)]
    with tempfile.TemporaryDirectory(prefix="ragtime-torture-") as folder:
        path = Path(folder) / "c.sqlite"
        with ConversationManager(store=SQLiteConversationStore(path), user_id="ann") as manager:
            conversation = manager.create_conversation("c")
            kept = f"kept{rng.randrange(16**16):016x}"
            conversation.add_interaction("user", f"{kept} stays")
            for canary in canaries:
                conversation.add_interaction("user", f"{canary} sings. " * rng.randint(1, 200), id=canary[6:])
                conversation.add_feedback(canary[6:], 1, comment=canary)
            manager.search("sings", mode="lexical")
            writers = [_start(_WRITER, path, f"w{number}", "normal") for number in range(_PROCESSES - 1)]
            try:
                _forget_all(manager, path, canaries, rng, counts)
            finally:
                for writer in writers:
                    writer.kill()
                for writer in writers:
                    _lines(writer)
            if find_canaries(path.parent, [kept]) != {kept}:
                raise AssertionError("a turn that was not forgotten is not in the file")
            manager.forget(everything=True)
            if find_canaries(path.parent, [kept, *canaries]):
                raise AssertionError("a canary of the user is left after all was forgotten")
    return _FORGOTTEN


def _forget_all(
    manager: ConversationManager, path: Path, canaries: Sequence[str], rng: random.Random, counts: Counts
) -> None:
    half = [canary[6:] for canary in canaries[: len(canaries) // 2]]
    forgetter = _start(_FORGETTER, path, *half)
    assert forgetter.stdout is not None
    forgetter.stdout.readline()
    time.sleep(rng.uniform(0, 0.1))
    forgetter.kill()
    counts.killed += 1
    forgetter.communicate()
    manager.store.forget("nobody")  # ends the work of one that was killed
    left = {turn.interaction.id for turn in manager.store.turns("ann", "c")}
    gone = [canary for canary in canaries if canary[6:] not in left]
    if find_canaries(path.parent, gone):
        raise AssertionError(f"canaries are left after a killed forget: {find_canaries(path.parent, gone)}")
    for canary in canaries:
        if canary[6:] in left:
            manager.forget(conversation_id="c", turn_id=canary[6:])
            gone.append(canary)
            if find_canaries(path.parent, gone):
                raise AssertionError(f"canaries are left after forget: {find_canaries(path.parent, gone)}")


def find_canaries(folder: Path, canaries: Sequence[str]) -> set[str]:
    """Return the canaries that a file of a folder holds; the first 20 letters count, for words are cut to stems."""
    command = [sys.executable, "-I", "-S", "-c", _FINDER, str(folder), *canaries]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
