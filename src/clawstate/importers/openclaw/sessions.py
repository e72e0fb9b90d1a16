"""The sessions of all agents, whose keys and ids stay what they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from clawstate.errors import CorruptError, InvalidError
from clawstate.files.atomic import write_atomic
from clawstate.files.json_text import dump_pretty, parse_json_file
from clawstate.files.lock import FileLock
from clawstate.files.lock_options import PATIENT
from clawstate.files.paths import expand_path
from clawstate.files.regular import read_regular
from clawstate.importers.openclaw.job import Job
from clawstate.importers.openclaw.source import MOST_BYTES, Found, Role
from clawstate.json5.parse import parse_json5
from clawstate.openclaw.owner import Era
from clawstate.quantities import number_of
from clawstate.records.merging import MergeResult
from clawstate.stores.sessions.entry import updated_ms
from clawstate.stores.sessions.index_format import OpenClawFormat

KIND = "sessions"
_BATCH = 2_000  # sessions in one change: each change writes the whole index
_KEPT = "not taken, since this state has them newer or deleted them (--replace takes theirs)"
_TWICE = "left, under other spellings of a key; the one updated last is taken"


def take_sessions(job: Job) -> None:
    """
    Take the entries of `agents/*/sessions/sessions.json`, and of the index of older releases.

    They are taken in batches. Where both sides have a session, the one that was
    updated last stays.
    """
    for found in job.of(Role.SESSIONS, Role.SESSIONS_LEGACY):
        with job.count_failures(KIND, found.path):
            _take(job, found)


def read_index(job: Job, found: Found) -> dict[str, Any]:
    """Return the entries of the index *found*, each under the key that it has here."""
    is_old = found.role is Role.SESSIONS_LEGACY
    document = job.source.object(found.path, json5=is_old)
    form = OpenClawFormat(job.source.file(found.path).parent, found.owner)
    entries: dict[str, Any] = {}
    for key, entry in document.items():
        name = _key(key, found, is_alone=found.owner == job.default_agent, is_old=is_old)
        known = entries.get(name)
        # Of spellings that OpenClaw takes for one key, the one that it would use.
        if known is None or updated_ms(entry) > updated_ms(known):
            entries[name] = form.migrate(entry) if isinstance(entry, dict) else entry
    if twice := len(document) - len(entries):
        job.report.skip(KIND, found.path, f"{number_of(twice, 'entry')} {_TWICE}", things=twice)
    return entries


def _take(job: Job, found: Found) -> None:
    target = _index_file(job, found.owner)
    # The import of a directory into itself: the file is in use already.
    if target is not None and job.source.is_same_file(found.path, target):
        job.report.count(KIND).add(unchanged=len(job.source.object(found.path, json5=True)))
        if not job.dry_run:
            _as_json(target)
        return
    if target is not None and job.source.holds(target) and not job.is_home():
        problem = f"the configuration keeps the sessions of this state in {target}, in the source"
        raise InvalidError(found.path, problem, "change session.store, then import again")
    entries = {key: _without_file(entry) for key, entry in read_index(job, found).items()}
    known = _keys_in_database(job, found)
    job.report.skip_superseded(KIND, found.path, "session", len(entries.keys() & known))
    entries = {key: entry for key, entry in entries.items() if key not in known}
    answers = []
    for keys in _batches(list(entries)):
        batch = {key: entries[key] for key in keys}
        answers.append(
            job.state.sessions.merge(batch, replace=job.settings.replace, dry_run=job.dry_run)
        )
        job.advance(found.entry.size * len(keys) // len(entries), found.path)
    answer = MergeResult.of(answers)
    job.report.add_merge(KIND, found.path, answer, what="session", why_kept=_KEPT)


def _keys_in_database(job: Job, found: Found) -> frozenset[str]:
    """Return the keys that no file counts for, as OpenClaw's database has them."""
    if found.in_database:
        return frozenset()
    rows = (each for each in job.files if each.in_database and each.role is Role.SESSIONS)
    return frozenset(key.strip().lower() for each in rows for key in job.source.object(each.path))


def _as_json(path: Path) -> None:
    """Write the index *path*, which older releases took as JSON5, as the JSON that it means."""
    with FileLock(path, options=PATIENT) as lock:
        raw = read_regular(path, limit=MOST_BYTES)
        try:
            parse_json_file(raw, path=path)
        # Only if it is no JSON: a file that programs of today read is left as it is.
        except CorruptError:
            text = dump_pretty(parse_json5(raw, path=path))
            write_atomic(path, text.encode(), fence=lock.confirm)


def _batches(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    yield from (keys[start : start + _BATCH] for start in range(0, len(keys), _BATCH))


def _key(key: str, found: Found, *, is_alone: bool, is_old: bool) -> str:
    """Return *key* as OpenClaw looks it up, and so that two agents never share one."""
    name = key.strip().lower()
    # The default agent's keys need no prefix: they go where keys without one belong.
    if name.startswith("agent:") or (is_alone and not is_old) or not name:
        return name
    if is_old and name.startswith("group:") and name.endswith("@g.us"):
        name = f"whatsapp:{name}"
    return f"agent:{found.owner}:{name}"


def _without_file(entry: Any) -> Any:
    # It names a file of the source; the transcript is found by the session's id.
    if not isinstance(entry, dict):
        return entry
    return {name: value for name, value in entry.items() if name != "sessionFile"}


def _index_file(job: Job, agent: str) -> Path | None:
    """Return the file of this state's index; `None` where a database keeps it."""
    store = _chosen_store(job) or job.state.engine
    in_files = job.state.records.keeps_files(store)
    if in_files is False or job.state.owner.era is Era.SQLITE:
        return None
    if in_files:
        paths, is_shared = job.state.paths, job.state.owner.era is Era.FILES
        return paths.agent_sessions_index(agent) if is_shared else paths.sessions_index
    text = store.replace("{agentId}", agent)
    return expand_path(text if text.startswith("~") else str(job.state.paths.root / text))


def _chosen_store(job: Job) -> str | None:
    store = job.state.config.get("session.store")
    if job.dry_run and not job.state.config.path.exists():
        # As it will be once the configuration was copied.
        store = _object(job.values.get("session")).get("store")
    usual = str(job.state.paths.sessions_index)
    return store if isinstance(store, str) and store != usual else None


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
