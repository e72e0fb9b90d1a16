"""The configuration and what it includes: copied as text where there is none yet."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from clawstate.config.agents import agent_entries
from clawstate.config.includes import Layer, include_all
from clawstate.config.service import Config
from clawstate.config.sources import look_at, parse_source
from clawstate.errors import ConfigError, NotFoundError, StateError
from clawstate.files.json_text import is_same_json
from clawstate.importers.openclaw.job import Job
from clawstate.importers.openclaw.secrets import FILE as SECRETS_FILE
from clawstate.importers.openclaw.source import Found, Role
from clawstate.json5.key_path import KeyPath, format_key_path, get_at
from clawstate.json5.parse import parse_json5
from clawstate.json5.patch import set_text, unset_text
from clawstate.openclaw.owner import Era

KIND = "config"
_SHOWN = 12

_SEARCH, _OLD_SEARCH = ("memory", "search"), ("agents", "defaults", "memorySearch")
_ENTRIES, _LIST = ("agents", "entries"), ("agents", "list")
# By these OpenClaw signs what it wrote: they make a directory OpenClaw's.
_SIGNATURES: tuple[KeyPath, ...] = (
    ("meta", "lastTouchedVersion"),
    ("meta", "lastTouchedAt"),
    ("wizard", "lastRunVersion"),
)
_PROVIDERS = ("secrets", "providers")
_STORE = "store"
PROVIDER = "openclaw"
"""The provider of secrets that references to OpenClaw's store become references to."""


def take_configuration(job: Job) -> None:
    """
    Copy `openclaw.json` and the files that it includes, if there is none here.

    It comes as it is, but for keys that OpenClaw moved in 2026.7, and its signatures (`adapt`).
    Otherwise nothing is overwritten: the keys that differ are named. `.env` is never copied.
    """
    for found in job.of(Role.ENVIRONMENT):
        if not job.is_home():
            message = "holds variables, maybe secrets, and is not copied; do so by hand if needed"
            job.report.skip(KIND, found.path, message)
    files = [*job.of(Role.CONFIG), *job.of(Role.OLD_CONFIG)]
    # OpenClaw reads the first name that there is, in this order; others are left from renames.
    for found in files[:1]:
        with job.count_failures(KIND, found.path):
            _take(job, found)
    for found in files[1:]:
        job.report.skip(KIND, found.path, f"{files[0].path} is the one in use")


def read_values(job: Job) -> dict[str, Any]:
    """Return what the source's configuration says, variables left as written; else nothing."""
    roles = (Role.CONFIG, Role.OLD_CONFIG)
    found = next((each for role in roles for each in job.files if each.role is role), None)
    # Only to find agents and workspaces: what is wrong with the file is told where it is taken.
    if found is None or found.entry.is_link:
        return {}
    try:
        return _layer(job, found).value
    except StateError:
        return {}


def find_includes(job: Job) -> frozenset[str]:
    """Return the files that the source's configuration includes, relative to the source."""
    configs = [each for each in job.files if each.role in {Role.CONFIG, Role.OLD_CONFIG}]
    found: set[str] = set()
    for each in configs:
        with suppress(StateError):
            found.update(_includes(job, each))
    return frozenset(found)


def _take(job: Job, found: Found) -> None:
    target = job.state.config.path
    if job.source.is_same_file(found.path, target):
        job.report.count(KIND).add(unchanged=1 + len(_includes(job, found)))
        return
    text = _text(job, found)
    if os.path.lexists(target):
        _compare(job, found, text)
        for include in _includes(job, found):
            _take_include(job, include, target.parent, is_wanted=False)
        return
    # A link, or a variable, may lead there; the source is only ever read.
    if job.source.holds(target):
        problem = f"the configuration of this state would be {target}, in the source itself"
        raise ConfigError(found.path, problem, "choose another OPENCLAW_CONFIG_PATH")
    # Before the includes: half of a configuration would be in the way of the next import.
    _require_valid(job, found)
    # Includes before the file that names them: a kill in between leaves files that nothing reads.
    for include in _includes(job, found):
        _take_include(job, include, target.parent, is_wanted=True)
    if not job.dry_run:
        job.state.config.replace(text)
    job.report.count(KIND).add(new=1)


def _text(job: Job, found: Found) -> str:
    # The text and no model of it: comments, variables and includes come over as they are (decision
    # 11).
    raw = job.source.read(found.path)
    text = parse_source(raw, look_at(job.source.file(found.path))).text
    # Each OpenClaw refuses a file with a key that only the other one knows.
    file = job.source.file(found.path)
    if job.state.owner.era is Era.SQLITE:
        return with_new_keys(text, file=file)
    if job.state.owner.era is Era.FILES:
        return with_old_keys(text, file=file)
    root = job.state.paths.root
    return adapt(text, file=job.source.file(found.path), secrets=root.joinpath(*SECRETS_FILE))


def _compare(job: Job, found: Found, text: str) -> None:
    ours = job.state.config.text()
    if ours == text:
        job.report.count(KIND).add(unchanged=1)
        return
    there = parse_json5(text, path=Path(found.path))
    here = parse_json5(ours, path=job.state.config.path) if ours.strip() else {}
    keys = _differences(here, there)
    if not keys:
        job.report.count(KIND).add(unchanged=1)
        return
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    message = (
        f"this state has a configuration, which is kept; it differs at {', '.join(keys[:_SHOWN])}"
    )
    job.report.skip(KIND, found.path, message + more)


def _differences(here: Any, there: Any, path: tuple[str | int, ...] = ()) -> list[str]:
    """Return where two documents differ, as deep as both are objects."""
    if isinstance(here, dict) and isinstance(there, dict):
        # No JSON value, so that a key with null differs from one that is not there.
        absent = object()
        return [
            key_path
            for key in dict.fromkeys([*here, *there])
            for key_path in _differences(
                here.get(key, absent), there.get(key, absent), (*path, key)
            )
        ]
    return [] if is_same_json(here, there) else [format_key_path(path) or "the whole file"]


def _require_valid(job: Job, found: Found) -> None:
    """
    Raise `ConfigError` for a configuration that could not be used here.

    It would stand in the way of all else: so one whose variables are not set waits until they are.
    """
    # Judged where it lies, with the variables of this state, as it would be read after the copy.
    env = {**os.environ, "OPENCLAW_CONFIG_PATH": str(job.source.file(found.path))}
    issues = Config(job.state.paths, env=env).issues()
    mended = frozenset() if job.state.owner.is_openclaw else references_to_store(job.values)
    errors = dict.fromkeys(
        f"{format_key_path(each.path)} {each.message}"
        for each in issues
        if each.severity == "error" and each.path[:-1] not in mended
    )
    if errors:
        more = f" and {len(errors) - _SHOWN} more" if len(errors) > _SHOWN else ""
        problem = f"is not taken yet: {'; '.join([*errors][:_SHOWN])}{more}"
        hint = f"mend that, or set the variables in {job.state.paths.root / '.env'}; then repeat"
        raise ConfigError(found.path, problem, hint)


def _layer(job: Job, found: Found) -> Layer:
    file = job.source.file(found.path)
    return include_all(parse_source(job.source.read(found.path), look_at(file)))


def _includes(job: Job, found: Found) -> list[str]:
    layer = _layer(job, found)
    # What lies outside of the source is not the import's to copy.
    inside = (each.real for each in layer.files if each.real.is_relative_to(job.source.root))
    paths = [each.relative_to(job.source.root).as_posix() for each in inside]
    return sorted(set(paths) - {found.path})


def _take_include(job: Job, path: str, folder: Path, *, is_wanted: bool) -> None:
    with job.count_failures(KIND, path):
        target = folder.joinpath(*PurePosixPath(path).parts)
        if not is_wanted and not os.path.lexists(target):
            job.report.skip(KIND, path, "belongs to a configuration that is not taken")
        else:
            job.copy_file(KIND, path, target)


def adapt(text: str, *, file: Path, secrets: Path) -> str:
    """
    Return *text*, read from *file*, for a directory of which no OpenClaw is the owner.

    Keys that OpenClaw moved in 2026.7 stand where the specification has them, what OpenClaw signs
    with is gone, and references to its store of secrets lead to the file *secrets* instead.
    Comments and all else stay. What an included file says is not changed.
    """
    found = text
    for path in _SIGNATURES:
        with suppress(StateError):  # not there
            found = unset_text(found, path, file=file).text
    return _refer(with_old_keys(found, file=file), file, secrets)


def with_new_keys(text: str, *, file: Path) -> str:
    """Return *text*, read from *file*, for a directory of an OpenClaw of 2026.7 or later."""
    found = text
    for change in (_move_search, _list_to_entries):
        with suppress(StateError):  # an included file says it
            found = change(found, file)
    return found


def with_old_keys(text: str, *, file: Path) -> str:
    """Return *text*, read from *file*, for a directory of an OpenClaw before 2026.7."""
    found = text
    for change in (_move_search_back, _entries_to_list):
        with suppress(StateError):  # an included file says it
            found = change(found, file)
    return found


def references_to_store(document: Mapping[str, Any]) -> frozenset[KeyPath]:
    """Return where *document* declares OpenClaw's store of secrets, and refers to it."""
    return _declared_stores(document).union(_references(document))


def _declared_stores(document: Mapping[str, Any]) -> frozenset[KeyPath]:
    declared = _at(document, _PROVIDERS)
    return frozenset(
        (*_PROVIDERS, alias)
        for alias, each in (declared.items() if isinstance(declared, dict) else ())
        if isinstance(each, dict) and each.get("source") == _STORE
    )


def _move_search_back(text: str, file: Path) -> str:
    document = parse_json5(text, path=file)
    value = _at(document, _SEARCH)
    if not isinstance(value, dict) or _at(document, _OLD_SEARCH) is not None:
        return text
    return set_text(unset_text(text, _SEARCH, file=file).text, _OLD_SEARCH, value, file=file)


def _entries_to_list(text: str, file: Path) -> str:
    document = parse_json5(text, path=file)
    if not isinstance(_at(document, _ENTRIES), dict):
        return text
    found = [each.members for each in agent_entries(document)]
    entries = [{"id": each["id"], **each} for each in found]
    return set_text(unset_text(text, _ENTRIES, file=file).text, _LIST, entries, file=file)


def _move_search(text: str, file: Path) -> str:
    document = parse_json5(text, path=file)
    value = _at(document, _OLD_SEARCH)
    if not isinstance(value, dict):
        return text
    found = unset_text(text, _OLD_SEARCH, file=file).text
    if _at(document, _SEARCH) is not None:
        return found  # OpenClaw would refuse the old one, and takes the new one
    return set_text(found, _SEARCH, value, file=file)


def _list_to_entries(text: str, file: Path) -> str:
    document = parse_json5(text, path=file)
    if not isinstance(_at(document, _LIST), list):
        return text
    entries: dict[str, Any] = {}
    for each in reversed(agent_entries(document)):  # the first of an id counts
        if each.name is not None:
            members = dict(each.members)
            entries[members.pop("id")] = members
    found = unset_text(text, _LIST, file=file).text
    # Back in the order of the list, whose first entry may be the default agent.
    return set_text(found, _ENTRIES, dict(reversed(entries.items())), file=file)


def _refer(text: str, file: Path, secrets: Path) -> str:
    document = parse_json5(text, path=file)
    aliases = {str(path[-1]) for path in _declared_stores(document)}
    found = text
    for path in list(_references(document)):
        alias = _at(document, (*path, "provider"))
        used = alias if isinstance(alias, str) and alias in aliases else PROVIDER
        aliases.add(used)
        name = _at(document, (*path, "id"))
        reference = {"source": "file", "provider": used, "id": f"/{name}"}
        found = set_text(found, path, reference, file=file)
    for alias in sorted(aliases):
        provider = {"source": "file", "path": str(secrets), "mode": "json"}
        found = set_text(found, (*_PROVIDERS, alias), provider, file=file)
    return found


def _references(value: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    if isinstance(value, dict):
        if value.get("source") == _STORE and isinstance(value.get("id"), str):
            yield path
        for key, each in value.items():
            yield from _references(each, (*path, key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _references(each, (*path, index))


def _at(document: Any, path: KeyPath) -> Any:
    with suppress(NotFoundError):
        return get_at(document, path)
    return None
