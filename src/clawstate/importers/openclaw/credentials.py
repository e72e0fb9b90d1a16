"""The credentials of the agents, also those in the files of older releases."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from clawstate.config.agents import MAIN_AGENT, agent_entries
from clawstate.errors import CorruptError, InvalidError
from clawstate.files.paths import expand_path
from clawstate.importers.openclaw.job import Job
from clawstate.importers.openclaw.source import Found, Role
from clawstate.stores.auth.legacy import from_agent_file, from_oauth_file

KIND = "auth"
_KEPT = "not taken, since this state has another under that id (--replace takes theirs)"


def take_credentials(job: Job) -> None:
    """
    Take `auth-profiles.json` of each agent, with orders, what worked last, and usage.

    `auth.json` and `credentials/oauth.json` fill gaps after that, as in OpenClaw.
    """
    # The older files last: what they say fills gaps and never counts over today's file.
    for found in (*job.of(Role.AUTH), *_elsewhere(job)):
        _take(job, found, found.owner, _usual)
    for found in job.of(Role.AUTH_LEGACY):
        _take(job, found, found.owner, from_agent_file)
    for found in job.of(Role.OAUTH):
        if not job.settings.agents or MAIN_AGENT in job.settings.agents:
            _take(job, found, MAIN_AGENT, from_oauth_file)


def _elsewhere(job: Job) -> Iterator[Found]:
    """Yield the files of agents whose directory the configuration names."""
    usual = {each.path for each in job.files if each.role is Role.AUTH}
    for agent, folder in _named_folders(job):
        if job.settings.agents and agent not in job.settings.agents:
            continue
        # By its text alone: links on the way could lead out of what may be read.
        file = Path(os.path.normpath(folder)) / "auth-profiles.json"
        if not file.is_relative_to(job.source.root):
            message = f"the agent {agent!r} keeps its credentials there, outside of the source"
            job.report.note(KIND, str(folder), message)
            continue
        path = file.relative_to(job.source.root).as_posix()
        if path in job.source.entries and path not in usual:
            yield Found(job.source.entries[path], Role.AUTH, agent)


def _named_folders(job: Job) -> Iterator[tuple[str, Path]]:
    for each in agent_entries(job.values):
        if each.agent_dir is not None:
            path = each.agent_dir.strip()
            place = expand_path(path) if path[0] in "~/" else job.source.root / path
            yield each.name or MAIN_AGENT, place


def _take(
    job: Job, found: Found, agent: str, convert: Callable[[Mapping[str, Any]], Mapping[str, Any]]
) -> None:
    with job.count_failures(KIND, found.path):
        source = job.source.object(found.path)
        document = source if convert is _usual else {"profiles": convert(source)}
        profiles = document.get("profiles")
        if not isinstance(profiles, dict):
            raise CorruptError(found.path, "holds no profiles", "mend it, then import again")
        if _is_here(job, found, agent):
            job.report.count(KIND).add(unchanged=len(profiles))
            return
        _require_own_place(job, found, agent)
        # A file that was left beside the database is older than its rows, whatever its date
        # (decision 28).
        known = {name for each in job.in_database(found) for name in each["profiles"]}
        usual = {
            name: _under_usual_names(each)
            for name, each in profiles.items()
            if name not in known or convert is not _usual
        }
        job.report.skip_superseded(KIND, found.path, "profile", len(profiles) - len(usual))
        answer = job.state.auth(agent).merge(
            {**document, "profiles": usual},
            # Files of older releases never replace anything: they are what was before.
            replace=job.settings.replace and convert is _usual,
            dry_run=job.dry_run,
        )
        job.report.add_merge(KIND, found.path, answer, what="profile", why_kept=_KEPT)


def _usual(document: Mapping[str, Any]) -> Mapping[str, Any]:
    return document


def _under_usual_names(profile: Any) -> Any:
    """Return *profile* with `type` and `key` where it says `mode` and `apiKey`, and those kept."""
    if not isinstance(profile, dict):
        return profile
    found = dict(profile)
    if "type" not in found and "mode" in found:
        found = {"type": found["mode"], **found}
    return found


def _is_here(job: Job, found: Found, agent: str) -> bool:
    state = job.state
    places = {
        Role.AUTH: state.places.auth_profiles(agent),
        Role.AUTH_LEGACY: state.places.auth_cache(agent),
        Role.OAUTH: state.paths.legacy_oauth,
    }
    return job.is_here(found, places[found.role])


def _require_own_place(job: Job, found: Found, agent: str) -> None:
    folder = job.state.places.agent_dir(agent)
    if job.keeps_files() and job.source.holds(folder) and not job.is_home():
        problem = f"this state keeps the credentials of {agent!r} in {folder}, in the source"
        raise InvalidError(found.path, problem, "change the agent's agentDir, then import again")
