"""The workspaces of the agents: `MEMORY.md` and the notes below `memory/`."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from clawstate.config.agents import MAIN_AGENT, agent_entries
from clawstate.errors import StateError
from clawstate.files.paths import effective_home, expand_path, normalise_agent_id
from clawstate.importers.dry_run import Unwritten
from clawstate.importers.openclaw.job import Job
from clawstate.importers.openclaw.source import reason_of
from clawstate.importers.report import Report as Imported
from clawstate.importers.sync import import_paths
from clawstate.memory.file_conflicts import FileConflict
from clawstate.memory.service import Memory
from clawstate.quantities import number_of

KIND = "workspace"
_NOTES = ("MEMORY.md", "memory.md", "memory")
_NAMES = (*_NOTES, "USER.md")
_NOTES_SINCE = "USER.md"  # is memory to OpenClaw since 2026.7


@dataclass(frozen=True, slots=True)
class Workspace:
    """The *folder* in which an *agent* works."""

    agent: str
    folder: Path


def find_workspaces(job: Job) -> tuple[Workspace, ...]:
    """
    Return the workspaces that exist, of the wanted agents, by what its configuration says.

    A folder outside of the source counts only if the source lies in the user's own home: in a
    copy of somebody's state its path means another machine. It is named in the report instead.
    """
    # The first that exists counts: what the configuration names comes before the usual places.
    found: dict[str, Workspace] = {}
    for agent, folder in _wanted_folders(job):
        if not _is_folder(folder):
            continue
        # Links are followed for this: a workspace that leads out of the source is outside of it.
        if job.source.holds(folder) or job.source.root.parent == _home():
            found.setdefault(agent, Workspace(agent, folder))
        else:
            hint = "run 'clawstate memory import' on it if it is yours"
            job.report.note(KIND, str(folder), f"is outside of the source, and is left; {hint}")
    return tuple(found.values())


def take_workspaces(job: Job, workspaces: Sequence[Workspace]) -> None:
    """Take the Markdown of *workspaces* into the memory; counted by files."""
    for each in workspaces:
        paths = [path for name in notes_of(job) if _is_real(path := each.folder / name)]
        namespace = namespace_of(each.agent, job.default_agent)
        if paths:
            _take(job, paths, namespace=namespace)
    folders = {(each.agent, each.folder) for each in workspaces}
    folders |= {each for each in _wanted_folders(job) if not os.path.lexists(each[1])}
    for agent, folder in sorted(folders):
        _note_gone(job, folder, namespace=namespace_of(agent, job.default_agent))


def notes_of(job: Job) -> tuple[str, ...]:
    """Return what in a workspace is memory: Markdown files, and a directory of them."""
    return (*_NOTES, _NOTES_SINCE) if job.databases.agents else _NOTES


def namespace_of(agent: str, default_agent: str) -> str:
    """Return where the memory of *agent* goes: that of the default agent is everybody's default."""
    return "default" if agent == default_agent else agent


def _take(job: Job, paths: Sequence[Path], *, namespace: str) -> None:
    memory = job.state.memory
    before = memory.imports.fingerprints(namespace)
    # The same code over a memory that takes nothing: so a dry run cannot count otherwise.
    target = cast("Memory", Unwritten(memory)) if job.dry_run else memory
    try:
        imported = import_paths(target, paths, namespace=namespace)
    except StateError as error:
        job.report.fail(KIND, str(paths[0].parent), reason_of(error))
        return
    _count(job, imported, _count_known(before, paths))


def _note_gone(job: Job, folder: Path, *, namespace: str) -> None:
    """Propose to forget what notes of a workspace gave that are gone; until then it stays."""
    imports = job.state.memory.imports
    notes = [folder / name for name in _NAMES]
    gone = [
        path
        for path in map(Path, sorted(imports.sources(namespace)))
        if any(_is_gone_with(path, each) for each in notes)
    ]
    for each, before in imports.look(list(map(str, gone)), namespace=namespace).items():
        if kept := len(job.state.memory.get_many(sorted(before.known))):
            stay = f"{number_of(kept, 'record')} of it stay"
            message = f"is gone; {stay} until you decide: 'clawstate memory conflicts'"
            job.report.note(KIND, _name_of(job, Path(each)), message)
    if not job.dry_run:
        # Not forgotten at once: who moved a workspace, or lost it, would lose its memory along.
        imports.conflicts.put(FileConflict("gone", "", str(each), namespace) for each in gone)


def _is_gone_with(path: Path, note: Path) -> bool:
    """Tell whether *path* is gone, and is *note*, or lay below it where that is gone as well."""
    if not path.is_relative_to(note) or os.path.lexists(path):
        return False
    # What vanished from a folder that is there is forgotten by its import (decision 007).
    return path == note or not os.path.lexists(note)


def _count(job: Job, imported: Imported, known: int) -> None:
    broken = {each.path for each in imported.problems if each.line is None and not each.is_by_rule}
    empty = imported.failed - broken  # they gave nothing but problems, and are read again
    moved = imported.files - imported.skipped - len(empty)
    # Files that were known and are not as they were; an import tells of each only that it was read.
    changed = min(known - imported.skipped, moved)
    count = job.report.count(KIND)
    count.add(new=moved - changed, changed=changed, unchanged=imported.skipped)
    for problem in imported.problems:
        path = _name_of(job, problem.path)
        if problem.path in broken or problem.path in empty:
            empty.discard(problem.path)  # counted once, however many of its lines are broken
            job.report.fail(KIND, path, problem.message)
        else:
            where = "" if problem.line is None else f"line {problem.line}: "
            job.report.note(KIND, path, f"{where}{problem.message}")


def _count_known(marks: Mapping[str, str], paths: Sequence[Path]) -> int:
    """Return how many files of *paths* that are there were imported before."""
    sources = (Path(source) for source in marks)
    return sum(
        any(source == path or source.is_relative_to(path) for path in paths)
        and os.path.lexists(source)
        for source in sources
    )


def _wanted_folders(job: Job) -> Iterator[tuple[str, Path]]:
    for agent, folder in _configured_folders(job):
        if not job.settings.agents or agent in job.settings.agents:
            yield agent, folder


def _configured_folders(job: Job) -> Iterator[tuple[str, Path]]:
    agents = _object(job.values.get("agents"))
    default = _object(agents.get("defaults")).get("workspace")
    for each in agent_entries(job.values):
        if each.workspace is not None:
            yield each.name or MAIN_AGENT, _expand(job, each.workspace)
    if isinstance(default, str) and default.strip():
        yield job.default_agent, _expand(job, default)
    yield job.default_agent, job.source.root / "workspace"
    for name in sorted(job.source.entries):
        if name.startswith("workspace-") and "/" not in name:
            agent = normalise_agent_id(name.removeprefix("workspace-"))
            yield agent, job.source.root / name


def _expand(job: Job, text: str) -> Path:
    if text.strip().startswith(("~", "/")):
        return expand_path(text)
    return job.source.root / text.strip()


def _home() -> Path:
    return Path(os.path.realpath(effective_home()))


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except (OSError, ValueError):
        return False


def _is_real(path: Path) -> bool:
    try:
        return not stat.S_ISLNK(path.lstat().st_mode)
    except OSError:
        return False


def _name_of(job: Job, path: Path) -> str:
    try:
        return path.relative_to(job.source.root).as_posix()
    except ValueError:
        return str(path)
