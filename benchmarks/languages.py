"""
Short notes in nine languages, asked for in their own and in English.

`languages_notes.tsv` holds 19 subjects in translations: a note, and a question that it answers in
other words. `languages_absent.tsv` holds questions that no note answers. All are ours.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import clawstate
from timing import Figures
from workbench import Workbench

TITLE = "Languages"
MODES = ("words", "vector", "hybrid")
FOLDER = Path(__file__).parent


class Note(NamedTuple):
    """A note on a subject in a language, and the question that it answers."""

    subject: str
    language: str
    text: str
    question: str


def measure(bench: Workbench) -> Figures:
    """Return by mode and language which share of questions found their note first."""
    notes = [Note(*line) for line in _lines("languages_notes.tsv")]
    absent = list(_lines("languages_absent.tsv"))
    with clawstate.open(bench.scratch / "languages") as state:
        memory = state.memory
        memory.add_many([_record(each, "all") for each in notes])
        memory.add_many([_record(each, each.language) for each in notes])
        found: Figures = {}
        for mode in MODES:
            own: dict[str, list[float]] = defaultdict(list)
            english: dict[str, list[float]] = defaultdict(list)
            low: dict[str, list[float]] = defaultdict(list)
            high: dict[str, list[float]] = defaultdict(list)
            asked = {each.subject: each.question for each in notes if each.language == "en"}
            for each in notes:
                (hit, *_) = [*memory.search(each.question, k=1, mode=mode, namespace="all"), None]
                own[each.language].append(_is(hit, each))
                high[each.language].append(hit.score if hit else 0.0)
                question = asked[each.subject]
                (hit, *_) = [
                    *memory.search(question, k=1, mode=mode, namespace=each.language),
                    None,
                ]
                english[each.language].append(_is(hit, each))
            for _, language, question in absent:
                (hit, *_) = [*memory.search(question, k=1, mode=mode, namespace="all"), None]
                low[language].append(hit.score if hit else 0.0)
            found[mode] = {
                "own": _means(own),
                "english": _means(english),
                "present_low": {key: round(min(each), 2) for key, each in high.items()},
                "absent_high": {key: round(max(each), 2) for key, each in low.items()},
            }
    return found


def lines(result: Figures) -> Iterator[str]:
    """Yield the tables to print."""
    names = {
        "own": "first, own language",
        "english": "first, asked in English",
        "present_low": "lowest score of a subject that is there",
        "absent_high": "highest score of one that is not",
    }
    for mode, figures in result.items():
        languages = list(figures["own"])
        yield f"{mode:<44}" + "".join(f"{each:>6}" for each in [*languages, "but en"])
        for key, name in names.items():
            values = [figures[key][each] for each in languages]
            others = fmean(figures[key][each] for each in languages if each != "en")
            yield f"  {name:<42}" + "".join(f"{each:6.2f}" for each in [*values, others])


def _lines(name: str) -> Sequence[list[str]]:
    text = (FOLDER / name).read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines()]


def _record(note: Note, namespace: str) -> dict[str, Any]:
    metadata = {"subject": note.subject, "language": note.language}
    return {"text": note.text, "namespace": namespace, "metadata": metadata}


def _is(hit: Any, note: Note) -> float:
    wanted = {"subject": note.subject, "language": note.language}
    return float(hit is not None and hit.record.metadata == wanted)


def _means(found: dict[str, list[float]]) -> dict[str, float]:
    return {key: round(fmean(each), 3) for key, each in found.items()}
