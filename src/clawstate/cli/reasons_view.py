"""What gave a score, and why a record did not come, as people read it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from clawstate.cli.printing import inline, style
from clawstate.cli.records_view import short_source
from clawstate.memory.explanation import Explanation, ScorePart
from clawstate.memory.verdict import Verdict
from clawstate.quantities import number_of

_INDENT = "      "
_BAR = 20  # signs for a score of 1
_LABELS = {
    ("words", "word"): "words",
    ("words", "phrase"): "side by side",
    ("words", "quote"): "quote",
    ("words", "name"): "name",
    ("words", "neighbours"): "neighbours' words",
    ("words", "feedback"): "shared words",
    ("vector", "meaning"): "meaning",
    ("vector", "neighbours"): "neighbours' meaning",
    ("vector", "feedback"): "shared meaning",
    ("vector", "median"): "median",
    ("", "speaker"): "speaker",
    ("", "time"): "time",
}
_WIDTH = max(map(len, _LABELS.values()))


def explanation_lines(told: Explanation) -> Iterator[str]:
    """Yield a line with a bar for each kind of reason, and one for words that are missing."""
    for place, label in _LABELS.items():
        parts = [each for each in told.parts if (each.leg, each.kind) == place]
        if parts:
            points = sum(each.points for each in parts)
            bar = "=" * round(max(points, 0.0) * _BAR)
            yield _line(label, f"{points:5.2f} {bar:<{_BAR}} {_of(parts, told)}")
    if told.missing:
        yield _line("not there", ", ".join(map(inline, told.missing)))
    if told.equals:
        others = number_of(told.equals, "other record")
        yield _line("equals", f"{others} with the same score; the older comes first")


def strength_line(told: Explanation) -> str:
    """Return what all scores of a search are measured by."""
    best = f"All scores are shares of that of the best hit, {told.strength:.2f}"
    return style(f"{best}: how much of the query that one has, or how near it is.", dim=True)


def verdict_lines(verdict: Verdict) -> Iterator[str]:
    """Yield the lines that tell what became of a record."""
    place = verdict.id
    if verdict.source is not None and verdict.source != verdict.id:
        place = f"{inline(short_source(verdict.source))}  {style(inline(verdict.id), dim=True)}"
    else:
        place = inline(place)
    yield f"{style(verdict.reason, bold=True)}  {place}"
    yield f"{_INDENT}{inline(verdict.sentence)}"
    if verdict.explanation is not None:
        yield from explanation_lines(verdict.explanation)


def _line(label: str, text: str) -> str:
    return f"{_INDENT}{style(label.ljust(_WIDTH), dim=True)} {text.rstrip()}"


def _of(parts: list[ScorePart], told: Explanation) -> str:
    """Return what of the query gave *parts*, and where it stands."""
    leg, kind = parts[0].leg, parts[0].kind
    if kind == "meaning":
        found = told.legs[leg]
        return f"cosine {parts[0].value:.2f}; number {found.rank} of {found.compared}"
    if kind == "median":
        return (
            f"{-parts[0].value:.2f} is what records have that are like the query in nothing special"
        )
    if kind == "neighbours":
        lenders = list(dict.fromkeys(each for part in parts for each in part.lenders))
        terms = ", ".join(inline(part.written) for part in parts if part.written)
        return f"{terms} from {', '.join(lenders)}" if terms else f"from {', '.join(lenders)}"
    if kind == "speaker":
        others = sum(each.points for each in told.parts if each.kind not in {"speaker", "time"})
        factor = 1 + parts[0].points / others if others > 0 else 1.0
        return f"{inline(parts[0].term)}: all else times {factor:.1f}"
    if kind == "feedback":
        return "with the best hits"
    if kind == "time":
        return "the query asks for one, and it tells one"
    return "; ".join(_written(parts))


def _written(parts: Iterable[ScorePart]) -> Iterator[str]:
    """Yield each term once, as it is written, with its points and the fields that hold it."""
    terms: dict[str, list[ScorePart]] = {}
    for each in parts:
        terms.setdefault(each.term, []).append(each)
    for found in terms.values():
        written = ", ".join(dict.fromkeys(inline(each.written) for each in found))
        fields = ", ".join(dict.fromkeys(each.field for each in found))
        given = f"{written} {sum(each.points for each in found):.2f}"
        if found[0].language:
            given += f" (stem {inline(found[0].term)}, {found[0].language})"
        yield f"{given} ({fields})" if fields != "text" else given
