"""What is to become of a text that was said: kept, put before a person, or passed over."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from clawstate.memory.capture.rules import Marks, marks_of
from clawstate.memory.capture.values import Origin, Said
from clawstate.secret_rules import without_secrets

SHORTEST = 10
"""Characters that a text needs to say something; half of them where a character is a syllable."""

_SYLLABIC = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_SENTENCE_ENDS = re.compile("(?<=[.!?\uff1f\u061f\u3002\uff01])\\s*")
_QUESTION = re.compile("[?\uff1f\u061f]\\W*$")
_MARKUP = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s", re.MULTILINE)
_MOST_ITEMS = 3
_MOST_EMOJI = 3
_AGENT_IMPORTANCE = 0.5


@dataclass(frozen=True, slots=True)
class Judgement:
    """
    *fate* is `keep`, `inbox` or `skip`; *reason* says why it is not kept.

    *category* and *importance* are those of the record that it becomes.
    """

    fate: str
    reason: str = ""
    category: str = "other"
    importance: float = 0.7


def judge(said: Said, *, longest: int) -> Judgement:
    """Return what is to become of *said*, a text of at most *longest* characters to be kept."""
    reason = _size_problem(said.text, longest)
    if reason:
        return Judgement("skip", reason)
    marks = marks_of(said.text)
    if marks.is_secret or without_secrets(said.text, "") != said.text:
        # Not even the inbox keeps one: what is there is shown.
        return Judgement("skip", "secret")
    origin = said.provenance.origin
    if marks.suspicion and (origin != "agent" or marks.is_explicit):
        category = marks.category or "other"
        return Judgement("inbox", marks.suspicion, category, marks.importance or 0.7)
    reason = _content_problem(said.text, marks, origin)
    if reason or marks.category is None:
        return Judgement("skip", reason)
    if origin == "untrusted":
        return Judgement("inbox", "untrusted", marks.category, marks.importance)
    most = _AGENT_IMPORTANCE if origin == "agent" else 1.0
    return Judgement("keep", "", marks.category, min(marks.importance, most))


def _size_problem(text: str, longest: int) -> str:
    if not text:
        return "empty"
    if len(text) > longest:
        return "too-long"
    return "too-short" if len(text) + len(_SYLLABIC.findall(text)) < SHORTEST else ""


def _content_problem(text: str, marks: Marks, origin: Origin) -> str:
    if marks.category is None:
        return "question" if marks.is_question else "no-rule"
    if marks.is_question and not marks.is_explicit and not _tells_beside_questions(text):
        return "question"
    if len(_MARKUP.findall(text)) > _MOST_ITEMS or _count_emoji(text) > _MOST_EMOJI:
        return "markup"
    # An agent says what it was told, and what it made up: only what it was to note counts.
    if origin == "agent" and not marks.is_explicit and marks.category != "decision":
        return "agent"
    return ""


def _tells_beside_questions(text: str) -> bool:
    sentences = [each for each in _SENTENCE_ENDS.split(text) if each.strip()]
    told = [each for each in sentences if not _QUESTION.search(each)]
    return any(marks_of(each).category for each in told)


def _count_emoji(text: str) -> int:
    return sum(unicodedata.category(each) == "So" for each in text)
