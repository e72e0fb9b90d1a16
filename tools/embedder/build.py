"""
Make the table of the embedder: `python build.py FOLDER` writes its files into FOLDER.

Every step leaves its result in the folder of `--work`, and is not done again while that is there:
an interrupted build goes on where it was. README.md says what is needed and how long it takes.
"""

from __future__ import annotations

import argparse
import itertools
import os
import pickle
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

# Sums in one order, whatever the machine: before numpy is loaded.
os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_CORETYPE": "Haswell"}

import numpy as np
from numpy.typing import NDArray

import texts
import translations
from clawstate.memory.embedders.static import PIECES, ROWS, SCALES
from clawstate.memory.embedders.word_pieces import INSIDE, WordPieces
from notice import NOTICE, notice
from packages import Store
from teachers import English, Multilingual, Rows
from training import Task, Trainer, as_queries, counted
from translations import Translation
from vocabulary import Vocabulary, chosen, first_rows

T = TypeVar("T")
Pairs = dict[str, list[texts.Pair]]
Translations = dict[str, list[Translation]]

SEED = 20261130
_ENGLISH_STEPS, _ENGLISH_RATE = 200, 3e-4  # more, and rows lose what the models knew
_STEPS, _RATE = 1_200, 5e-4
_ANCHORS = 3_200  # English words that both vocabularies have
_AT_ONCE = 1_000
_MESSAGES_A_LANGUAGE = 12_000
_CLOSE = {"ar", "de", "el", "es", "fr", "hi", "ja", "ko", "ru", "th", "zh"}
_SHARES = {"phrases": 0.12, "pictures": 0.38, "names": 0.05, "browser": 0.2, "messages": 0.25}


class Checkpoints:
    """Results of steps, each kept in a file of its name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, name: str, make: Callable[[], T]) -> T:
        """Return what *make* returns, or what it returned in an earlier run."""
        file = self.folder / f"{name}.pickle"
        if file.exists():
            found: T = pickle.loads(file.read_bytes())  # noqa: S301 - a file of ours
            return found
        begun = time.process_time()
        result = make()
        part = file.with_suffix(".part")
        part.write_bytes(pickle.dumps(result))
        part.replace(file)
        report(f"{name}: {time.process_time() - begun:.0f} s of CPU")
        return result


def main() -> None:
    """Run the steps and write the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--work", type=Path, default=Path("work"))
    given = parser.parse_args()
    done = Checkpoints(given.work)
    store = Store(given.work / "packages")
    pairs = done("texts", lambda: _texts(store))
    parallel = done("translations", lambda: _translations(store))
    vocabulary = done("vocabulary", lambda: _vocabulary(store, given.work, pairs, parallel))
    teachers = done("english", lambda: English(store).rows(vocabulary.bert))
    anchors, others = done("multilingual", lambda: _multilingual(store, given.work, vocabulary))
    pieces = WordPieces(vocabulary.pieces)
    size = len(vocabulary.pieces) + 1
    tasks, frequencies = done("tasks", lambda: _tasks(pairs, parallel, pieces.rows, size))
    begin = first_rows(
        vocabulary,
        teachers,
        others[: -len(anchors)],
        (anchors, others[-len(anchors) :]),
        frequencies[1 : vocabulary.english + 1],
    )
    trainer = Trainer(begin, SEED)
    trainer.train(tasks[:2], _ENGLISH_STEPS, _ENGLISH_RATE, report)
    # English stays where it is, and the other languages come to it.
    across = [replace(task, fixed=vocabulary.english + 1) for task in tasks[2:]]
    trainer.train(across, _STEPS, _RATE, report)
    write(given.folder, trainer.rows, vocabulary.pieces)
    text = notice(store, ROWS, SCALES, PIECES)
    (given.folder / NOTICE).write_text(text, encoding="utf-8", newline="\n")


def write(folder: Path, rows: Rows, pieces: list[str]) -> None:
    """Write *rows* as bytes with a scale each, and the pieces they are of."""
    folder.mkdir(parents=True, exist_ok=True)
    scales = np.maximum(np.abs(rows).max(1) / 127, 1e-6).astype(np.float16)
    whole = np.rint(rows / scales.astype(np.float32)[:, np.newaxis]).clip(-127, 127)
    np.save(folder / ROWS, whole.astype(np.int8))
    np.save(folder / SCALES, scales)
    (folder / PIECES).write_text("\n".join(pieces), encoding="utf-8", newline="\n")


def report(line: str) -> None:
    """Print *line* where progress goes."""
    print(line, file=sys.stderr, flush=True)


def _texts(store: Store) -> Pairs:
    return {
        "definitions": texts.definitions(store),
        "crops": texts.crops(store, SEED) + texts.conversations(store),
    }


def _translations(store: Store) -> Translations:
    return {
        "phrases": list(translations.phrases()),
        "pictures": list(dict.fromkeys(translations.pictures(store))),
        "names": list(dict.fromkeys(translations.names(store))),
        "browser": list(dict.fromkeys(translations.browser(store))),
        "messages": list(dict.fromkeys(translations.messages(store))),
    }


def _vocabulary(store: Store, work: Path, pairs: Pairs, parallel: Translations) -> Vocabulary:
    seen = itertools.chain(
        (text for each in pairs.values() for pair in each for text in pair),
        dict.fromkeys(english for each in parallel.values() for english, _, _ in each),
    )
    # The words of everyday life first: what programs say is mostly about programs.
    wanted = [*parallel["phrases"] * 20, *parallel["pictures"], *parallel["names"]]
    return chosen(English(store), Multilingual(store, work), seen, wanted)


def _multilingual(store: Store, work: Path, vocabulary: Vocabulary) -> tuple[list[str], Rows]:
    """Return English words and the rows of the other pieces, those of these words last."""
    model = Multilingual(store, work)
    theirs = {piece[1:] for piece in model.pieces[:60_000] if piece[0] == "\u2581"}
    english = vocabulary.pieces[: vocabulary.english]
    anchors = [each for each in english if each.isalpha() and len(each) > 3 and each in theirs]
    anchors = anchors[:_ANCHORS]
    others = [each.removeprefix(INSIDE) for each in vocabulary.pieces[vocabulary.english :]]
    wanted = others + anchors
    parts = []
    for begin in range(0, len(wanted), _AT_ONCE):
        parts.append(model.rows(wanted[begin : begin + _AT_ONCE]))
        report(f"multilingual: {begin} of {len(wanted)}")
    return anchors, np.vstack(parts)


def _tasks(
    pairs: Pairs, parallel: Translations, rows: Callable[[str], list[int]], size: int
) -> tuple[list[Task], NDArray[np.float64]]:
    """Return what is trained on, and how frequent each row is in English text."""
    english = {
        name: [counted([pair[side] for pair in each], rows, size) for side in (0, 1)]
        for name, each in pairs.items()
    }
    counts = np.full(size, 2.0)
    for each in english.values():
        counts += sum(np.asarray(side.sum(0)).ravel() for side in each)
    frequencies = counts / counts.sum()
    tasks = [
        Task(name, as_queries(left, frequencies), right, np.arange(left.shape[0]))
        for name, (left, right) in english.items()
    ]
    chosen: list[Translation] = []
    chances: list[float] = []
    for name, each in parallel.items():
        kept = _some(each) if name == "messages" else each
        weights = np.array([2.0 if language in _CLOSE else 1.0 for _, language, _ in kept])
        chosen += kept
        chances += (_SHARES[name] * weights / weights.sum()).tolist()
    numbers: dict[str, int] = {}
    groups = np.array([numbers.setdefault(ours, len(numbers)) for ours, _, _ in chosen])
    left = counted([ours for ours, _, _ in chosen], rows, size)
    right = counted([other for _, _, other in chosen], rows, size)
    tasks.append(
        Task("translations", as_queries(left, frequencies), right, groups, np.cumsum(chances))
    )
    related = translations.related(parallel["pictures"])
    left, right = (counted([pair[side] for pair in related], rows, size) for side in (0, 1))
    tasks.append(Task("related", left, right, np.arange(len(related))))
    return tasks, frequencies


def _some(messages: Iterable[Translation]) -> list[Translation]:
    """Return at most so many messages of each language, from all parts of its catalogue."""
    by_language: dict[str, list[Translation]] = {}
    for each in messages:
        by_language.setdefault(each[1], []).append(each)
    kept: list[Translation] = []
    for own in by_language.values():
        kept += own[:: max(1, -(-len(own) // _MESSAGES_A_LANGUAGE))]
    return kept


if __name__ == "__main__":
    main()
