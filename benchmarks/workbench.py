"""`Workbench`: what the parts of a run share, made when first asked for."""

from __future__ import annotations

import json
import re
import shutil
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import clawstate
from clawstate.memory.embedders.static import StaticEmbedder
from clawstate.memory.function_words import STOP_WORDS
from corpus import Corpus, corpus, fingerprint

ROUNDS = 3


@dataclass(frozen=True)
class MadeState:
    """A state of `size` records, and the seconds that it took."""

    root: Path
    size: int
    add_s: float
    optimize_s: float


@dataclass
class Workbench:
    """
    The texts, states and settings of one run; *scratch* is emptied at its end.

    States are made in *states*, if that is given, and used again by the next run.
    """

    out: Path
    scratch: Path
    sizes: list[int]
    sets: list[Path]
    vaults: list[Path] = field(default_factory=list)
    states: Path | None = None
    _states: dict[tuple[int, int], MadeState] = field(default_factory=dict)

    def texts(self, size: int) -> list[str]:
        """Return *size* texts, or as many as there are."""
        return corpus(self.out, size).texts

    def corpus(self) -> Corpus:
        """Return all texts and questions."""
        return corpus(self.out, max(self.sizes))

    def rounds(self) -> list[list[str]]:
        """Return the questions of each round; no question is asked twice."""
        asked = corpus(self.out, 0).questions
        each = len(asked) // ROUNDS
        return [asked[i * each : (i + 1) * each] for i in range(ROUNDS)]

    def state(self, size: int, *, namespaces: int = 1) -> MadeState:
        """Return a state of *size* records, evenly in *namespaces*, with all indexes made."""
        key = (size, namespaces)
        if key not in self._states:
            self._states[key] = self._made(size, namespaces)
        return self._states[key]

    def _made(self, size: int, namespaces: int) -> MadeState:
        texts = self.texts(size)
        name = f"state-{size}-{namespaces}"
        if self.states is None:
            return _made(self.scratch / name, texts, namespaces)
        # By the texts as well: those of another machine, or of other packages, are others.
        root = self.states / f"{name}-{fingerprint(texts)}"
        noted = root.with_suffix(".json")
        if not noted.is_file():  # or it was cut off
            shutil.rmtree(root, ignore_errors=True)
            made = asdict(_made(root, texts, namespaces)) | {"root": root.name}
            noted.write_text(json.dumps(made))
        return MadeState(**(json.loads(noted.read_text()) | {"root": root}))


def _made(root: Path, texts: list[str], namespaces: int) -> MadeState:
    with clawstate.open(root) as state:
        started = time.perf_counter()
        state.memory.add_many(record(i, text, namespaces) for i, text in enumerate(texts))
        added = time.perf_counter()
        state.memory.optimize()
        return MadeState(root, len(texts), added - started, time.perf_counter() - added)


def record(number: int, text: str, namespaces: int = 1) -> dict[str, Any]:
    """Return the record of a text: one in ten is tagged `work`, years are 2010 to 2029."""
    return {
        "text": text,
        "namespace": "default" if namespaces == 1 else f"n{number % namespaces}",
        "tags": ["work"] if number % 10 == 3 else ["home"],
        "metadata": {"year": 2010 + number * 7 % 20},
    }


def telling_words(text: str) -> tuple[str, ...]:
    """Return the distinct words of *text* less the function words, as a user of FTS5 would."""
    words = dict.fromkeys(re.findall(r"\w+", text.lower()))
    return tuple(word for word in words if word not in STOP_WORDS) or tuple(words)


def own_embedder() -> StaticEmbedder:
    """Return the default embedder, loaded."""
    embedder = StaticEmbedder()
    embedder.embed(["warm"])
    return embedder
