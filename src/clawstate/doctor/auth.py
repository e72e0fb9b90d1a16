"""What is wrong with the credentials: who may read them, their keys, and whether they are good."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path

from clawstate.doctor.audit.modes import is_secret_place
from clawstate.doctor.audit.tree import Entry, walk, walk_agent
from clawstate.doctor.modes import OTHERS, is_shut, wide_mode
from clawstate.encryption.passphrase import PRESENT
from clawstate.errors import StateError
from clawstate.files.regular import read_regular
from clawstate.health import Finding
from clawstate.state import State
from clawstate.stores.auth.refresh_journal import ASIDE_SUFFIX, RESPONSE_SUFFIX


def check(state: State) -> Iterator[Finding]:
    """Look at modes, keys, sealed and clear text, and at the profiles of all agents."""
    yield from _modes(state)
    yield from _keys(state)
    yield from _clear_text(state)
    for agent_id in state.agents():
        yield from _profiles(state, agent_id)
        yield from _legacy(state, agent_id)
        yield from _answers(state, agent_id)


def _modes(state: State) -> Iterator[Finding]:
    if os.name != "posix":
        return
    shut = is_shut(state)
    for entry in _entries(state):
        is_ours = not entry.is_link and (not entry.place or is_secret_place(entry))
        if is_ours and entry.mode & OTHERS:
            is_inside = entry.path.is_relative_to(state.paths.root) and bool(entry.place)
            is_reached = not (shut and entry.is_folder and is_inside)
            yield wide_mode(
                entry.path, entry.mode, follow_link=not entry.place, is_reached=is_reached
            )


def _entries(state: State) -> Iterator[Entry]:
    yield from walk(state.paths.root, refused=_nobody_told)
    for agent_id, folder in state.places.agent_dirs().items():
        # Below the state all but the directory itself is known by its name.
        found = walk_agent(folder, agent_id, refused=_nobody_told)
        yield from islice(found, 1 if folder.is_relative_to(state.paths.root) else None)


def _nobody_told(_error: OSError, _path: Path) -> None:
    """Pass over what the system refuses to show."""


def _keys(state: State) -> Iterator[Finding]:
    encryption = state.encryption
    path = str(encryption.path)
    try:
        source, census = encryption.source(), encryption.census()
        if source is None:
            if census.sealed:
                message = f"is missing, and {_secrets(census.sealed)} encrypted with it"
                yield Finding("key", "error", path, message, "restore it from a backup")
            elif encryption.is_on:
                message = "is missing: encryption is on, and there is no key yet"
                yield Finding("key", "error", path, message, "run 'clawstate auth encrypt'")
            return
        for name in sorted(census.keys - encryption.keys()):
            message = f"has no key {name}, with which secrets are encrypted"
            yield Finding("key", "error", path, message, "restore the file that had it")
        if source.kind != "passphrase" or os.environ.get(PRESENT):
            encryption.unlock()
    except StateError as error:
        yield Finding("key", "error", path, str(error), "see the message")


def _clear_text(state: State) -> Iterator[Finding]:
    encryption = state.encryption
    try:
        census = encryption.census()
        path = str(state.paths.root / "agents")
        if encryption.is_on and census.clear:
            message = f"{_secrets(census.clear)} in the clear, although encryption is on"
            remedy = "run 'clawstate auth encrypt'"
            yield Finding(
                *("clear-text", "warning", path, message, remedy),
                repair=lambda: f"encrypted {encryption.turn_on(encryption.choice).changed}",
            )
        if not encryption.is_on and census.sealed:
            message = f"{_secrets(census.sealed)} encrypted, although encryption is off"
            remedy = "run 'clawstate auth decrypt', or 'clawstate auth encrypt'"
            yield Finding("sealed-text", "warning", path, message, remedy)
    except StateError as error:
        yield Finding.of(error, str(state.paths.root), "see the message")


def _secrets(count: int) -> str:
    return "a secret is" if count == 1 else f"{count} secrets are"


def _profiles(state: State, agent_id: str) -> Iterator[Finding]:
    path = str(state.places.auth_profiles(agent_id))
    try:
        found = state.auth(agent_id).check()
    except StateError as error:
        yield Finding.of(error, path, "run 'clawstate doctor --fix'")
        return
    yield from (replace(each, path=path) for each in found)


def _answers(state: State, agent_id: str) -> Iterator[Finding]:
    """Yield answers of providers that no profile holds: they may be all there is of a login."""
    folder = state.places.refresh_dir(agent_id)
    for path in sorted(folder.glob(f"*/*{ASIDE_SUFFIX}")):
        message = "an answer of a provider in which no token was found, or only a part of them"
        remedy = "look for the tokens of your login in it; remove it after the next login"
        yield Finding("answer-aside", "info", str(path), message, remedy)
    for path in sorted(folder.glob(f"*/*{RESPONSE_SUFFIX}")):
        with suppress(StateError):
            if read_regular(path, limit=1 << 20).strip():
                message = "tokens of a provider that are in no profile yet"
                remedy = "they are stored with the next refresh; or remove the profile"
                yield Finding("answer-waiting", "info", str(path), message, remedy)


def _legacy(state: State, agent_id: str) -> Iterator[Finding]:
    files: list[Path] = [state.places.auth_cache(agent_id)]
    if agent_id == "main":
        files.append(state.paths.legacy_oauth)
    for each in files:
        if each.is_file():
            message = "credentials of an older release; they are imported with the next change"
            remedy = "run 'clawstate auth import', then remove it"
            yield Finding("legacy", "info", str(each), message, remedy)
