"""What a store says became of records, as counts and remarks."""

from __future__ import annotations

from collections.abc import Sequence

from clawstate.importers.openclaw.report import Report
from clawstate.records.adoption import Adopted

_SHOWN = 5


def tell(report: Report, kind: str, path: str, answer: Adopted, *, what: str, kept: str) -> None:
    """Count *answer* as things of *kind* in the file *path*: *what* they are, and why ours stay."""
    report.count(kind).add(
        new=len(answer.new), changed=len(answer.changed), unchanged=len(answer.same)
    )
    if answer.kept:
        number = len(answer.kept)
        message = f"{counted(number, what)} {kept}: {named(answer.kept)}"
        report.skipped(kind, path, message, things=number)
    for key, reason in answer.refused.items():
        report.failed(kind, path, f"{key}: {reason}")


def superseded(report: Report, kind: str, path: str, what: str, number: int) -> None:
    """Count *number* things in the file *path* that OpenClaw has in its database by now."""
    if number:
        message = f"{counted(number, what)} left, since OpenClaw's database has it"
        report.skipped(kind, path, message if number == 1 else f"{message[:-2]}them", things=number)


def joined(answers: Sequence[Adopted]) -> Adopted:
    """Return what became of the records of several batches."""
    refused = {key: why for each in answers for key, why in each.refused.items()}
    parts = ("new", "changed", "same", "kept")
    keys = {name: tuple(key for each in answers for key in getattr(each, name)) for name in parts}
    return Adopted(**keys, refused=refused)


def counted(number: int, what: str) -> str:
    """Return *number* of *what*, as people write it."""
    plural = what if number == 1 else f"{what[:-1]}ies" if what.endswith("y") else f"{what}s"
    return f"{number:,} {plural}"


def named(keys: Sequence[str]) -> str:
    """Return the first few of *keys*, and how many more there are."""
    more = f" and {len(keys) - _SHOWN:,} more" if len(keys) > _SHOWN else ""
    return ", ".join(keys[:_SHOWN]) + more
