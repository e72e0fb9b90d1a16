"""
Which texts are worth keeping, and which look like instructions: rules that are data.

`rules.tsv` has a line for each rule: its language, what it marks, the importance of that, and a
regular expression. A category is what a text is kept as; `instruction`, `injection`, `question`,
`secret` and `explicit` say something else about it.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from clawstate.memory.function_words import count_by_language
from clawstate.memory.letters import fold

_KEPT = ("preference", "fact", "decision", "entity")
_EVERYWHERE = frozenset({"any", "en"})
_MOST_ENGLISH = 2  # function words of English more than of any other language
_WORD = re.compile(r"[^\W\d_]+")
_HIDDEN = re.compile(
    r"[\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\U000e0000-\U000e007f]"
)
# Which join letters in some scripts, and are no trick there.
_JOINERS = re.compile(r"(?<=[\u0600-\u0dff\U0001f000-\U0001ffff\ufe0f\u2640-\u27bf])[\u200c\u200d]")
_DIRECTIONS = re.compile(r"[\u200e\u200f]")


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the data: *pattern* marks a text as *kind*."""

    language: str
    kind: str
    importance: float
    pattern: re.Pattern[str]

    @property
    def is_kept(self) -> bool:
        """Whether it gives a reason to keep a text."""
        return self.kind in (*_KEPT, "explicit")


@dataclass(frozen=True, slots=True)
class Marks:
    """
    What the rules say of a text.

    *category* is what to keep it as, None for nothing worth keeping; *is_explicit* that somebody
    asked for it to be kept; *is_secret* that a password stands in it; *suspicion* why a person
    should look at it first, empty for nothing.
    """

    category: str | None
    importance: float
    is_explicit: bool
    is_question: bool
    is_secret: bool
    suspicion: str


def marks_of(text: str) -> Marks:
    """Return what the rules of all languages say of *text*."""
    plain = normalise(text)
    found = [rule for rule in rules() if rule.pattern.search(plain)]
    is_foreign = any(rule.is_kept and rule.language not in _EVERYWHERE for rule in found)
    if is_foreign and _is_english(plain):
        found = [rule for rule in found if not rule.is_kept or rule.language in _EVERYWHERE]
    kinds = {rule.kind for rule in found}
    kept = max(
        (rule for rule in found if rule.kind in _KEPT),
        key=lambda rule: (rule.importance, -_KEPT.index(rule.kind)),
        default=None,
    )
    explicit = [rule for rule in found if rule.kind == "explicit"]
    importance = max(
        (rule.importance for rule in (*explicit, *([kept] if kept else []))), default=0
    )
    category = kept.kind if kept is not None else ("fact" if explicit else None)
    suspicion = ""
    if has_hidden(text):
        suspicion = "hidden-text"
    for kind in ("injection", "instruction"):
        if not suspicion and kind in kinds:
            suspicion = kind
    return Marks(
        category, importance, bool(explicit), "question" in kinds, "secret" in kinds, suspicion
    )


def _is_english(plain: str) -> bool:
    """Tell whether *plain*, in lower case, is plainly English."""
    # "Studio" is a place to an English speaker, and says "I study" in Italian. What suspicion goes
    # by is not asked: nobody shall get around it by writing in two languages.
    counts = count_by_language([fold(each) for each in _WORD.findall(plain)])
    return counts.pop("en") >= max(counts.values()) + _MOST_ENGLISH


def normalise(text: str) -> str:
    """Return *text* as the patterns expect it: NFKC, lower case, single blanks, nothing hidden."""
    shown = _HIDDEN.sub("", unicodedata.normalize("NFKC", text))
    return " ".join(shown.lower().replace("\u2019", "'").split())


def has_hidden(text: str) -> bool:
    """Tell whether *text* holds characters that nobody sees, beyond what scripts and emoji need."""
    return _HIDDEN.search(_DIRECTIONS.sub("", _JOINERS.sub("", text))) is not None


@cache
def rules() -> tuple[Rule, ...]:
    """Return all rules."""
    text = files("clawstate.memory.capture").joinpath("rules.tsv").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in text.splitlines() if line and not line.startswith("#"))
    return tuple(
        Rule(language, kind, float(importance), re.compile(pattern))
        for language, kind, importance, pattern in rows
    )
