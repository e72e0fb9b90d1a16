"""The configuration and what it includes: copied as text where there is none yet."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from clawstate.config.includes import Layer, include_all
from clawstate.config.service import Config
from clawstate.config.sources import look_at, parse_source
from clawstate.errors import ConfigError, StateError
from clawstate.files.atomic import make_private_dir, write_atomic
from clawstate.importers.openclaw.discovery import Found, Role
from clawstate.importers.openclaw.job import Job
from clawstate.importers.openclaw.moved_keys import adapted, modern, of_store, old_fashioned
from clawstate.importers.openclaw.secrets import FILE as SECRETS_FILE
from clawstate.importers.regular_file import open_regular
from clawstate.json5.key_path import format_key_path
from clawstate.json5.parse import parse_json5
from clawstate.openclaw.owner import Era

KIND = "config"
_SHOWN = 12


def take_configuration(job: Job) -> None:
    """
    Copy `openclaw.json` and the files that it includes, if there is none here.

    It comes as it is, but for keys that OpenClaw moved in 2026.7, and its signatures (`adapted`).
    Otherwise nothing is overwritten: the keys that differ are named. `.env` is never copied.
    """
    for found in job.of(Role.ENVIRONMENT):
        if not job.is_home():
            message = "holds variables, maybe secrets, and is not copied; do so by hand if needed"
            job.report.skipped(KIND, found.path, message)
    files = [*job.of(Role.CONFIG), *job.of(Role.OLD_CONFIG)]
    for found in files[:1]:
        with job.counted_failure(KIND, found.path):
            _take(job, found)
    for found in files[1:]:
        job.report.skipped(KIND, found.path, f"{files[0].path} is the one in use")


def read_values(job: Job) -> dict[str, Any]:
    """Return what the source's configuration says, variables left as written; else nothing."""
    roles = (Role.CONFIG, Role.OLD_CONFIG)
    found = next((each for role in roles for each in job.files if each.role is role), None)
    if found is None or found.entry.is_link:
        return {}
    try:
        return _layer(job, found).value
    except StateError:
        return {}


def included(job: Job) -> frozenset[str]:
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
    if job.source.holds(target):
        problem = f"the configuration of this state would be {target}, in the source itself"
        raise ConfigError(found.path, problem, "choose another OPENCLAW_CONFIG_PATH")
    _require_valid(job, found)
    for include in _includes(job, found):
        _take_include(job, include, target.parent, is_wanted=True)
    if not job.dry_run:
        job.state.config.replace(text)
    job.report.count(KIND).add(new=1)


def _text(job: Job, found: Found) -> str:
    raw = job.source.read(found.path)
    text = parse_source(raw, look_at(job.source.file(found.path))).text
    # Each OpenClaw refuses a file with a key that only the other one knows.
    file = job.source.file(found.path)
    if job.state.owner.era is Era.SQLITE:
        return modern(text, file=file)
    if job.state.owner.era is Era.FILES:
        return old_fashioned(text, file=file)
    root = job.state.paths.root
    return adapted(text, file=job.source.file(found.path), secrets=root.joinpath(*SECRETS_FILE))


def _compare(job: Job, found: Found, text: str) -> None:
    ours = job.state.config.text()
    if ours == text:
        job.report.count(KIND).add(unchanged=1)
        return
    there = parse_json5(text, path=Path(found.path))
    here = parse_json5(ours, path=job.state.config.path) if ours.strip() else {}
    keys = _differing(here, there)
    if not keys:
        job.report.count(KIND).add(unchanged=1)
        return
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    message = (
        f"this state has a configuration, which is kept; it differs at {', '.join(keys[:_SHOWN])}"
    )
    job.report.skipped(KIND, found.path, message + more)


def _differing(here: Any, there: Any, path: tuple[str | int, ...] = ()) -> list[str]:
    """Return where two documents differ, as deep as both are objects."""
    if isinstance(here, dict) and isinstance(there, dict):
        absent = object()
        return [
            key_path
            for key in dict.fromkeys([*here, *there])
            for key_path in _differing(here.get(key, absent), there.get(key, absent), (*path, key))
        ]
    return [] if here == there else [format_key_path(path) or "the whole file"]


def _require_valid(job: Job, found: Found) -> None:
    """
    Raise `ConfigError` for a configuration that could not be used here.

    It would stand in the way of all else: so one whose variables are not set waits until they are.
    """
    env = {**os.environ, "OPENCLAW_CONFIG_PATH": str(job.source.file(found.path))}
    issues = Config(job.state.paths, env=env).issues()
    mended = frozenset() if job.state.owner.is_openclaw else of_store(job.values)
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
    inside = (each.real for each in layer.files if each.real.is_relative_to(job.source.root))
    paths = [each.relative_to(job.source.root).as_posix() for each in inside]
    return sorted(set(paths) - {found.path})


def _take_include(job: Job, path: str, folder: Path, *, is_wanted: bool) -> None:
    with job.counted_failure(KIND, path):
        raw = job.source.read(path)
        target = folder.joinpath(*PurePosixPath(path).parts)
        if not os.path.lexists(target):
            if not is_wanted:
                job.report.skipped(KIND, path, "belongs to a configuration that is not taken")
                return
            if not job.dry_run:
                make_private_dir(target.parent)
                write_atomic(target, raw)
            job.report.count(KIND).add(new=1)
            return
        with open_regular(target) as stream:
            is_equal = stream.read(len(raw) + 1) == raw
        if is_equal:
            job.report.count(KIND).add(unchanged=1)
        else:
            job.report.skipped(KIND, path, "there is another file of this name here, which is kept")
