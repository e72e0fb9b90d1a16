"""One audit: which file of a state is looked at in which way."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clawstate.doctor.audit.copies import Progress, survey_copies
from clawstate.doctor.audit.credentials import (
    survey_copy,
    survey_legacy,
    survey_profiles,
    survey_responses,
)
from clawstate.doctor.audit.databases import survey_records
from clawstate.doctor.audit.matrix import spec_at, survey_matrix_file
from clawstate.doctor.audit.modes import survey_modes
from clawstate.doctor.audit.openclaw_rows import is_openclaw_database, survey_openclaw
from clawstate.doctor.audit.report import Report, order
from clawstate.doctor.audit.settings import (
    survey_configuration,
    survey_document,
    survey_dotenv,
    survey_keys,
)
from clawstate.doctor.audit.survey import Survey
from clawstate.doctor.audit.tree import Entry, is_of_agent, walk, walk_agent
from clawstate.errors import StateError

if TYPE_CHECKING:
    from clawstate.encryption.sealer import FieldSealer
    from clawstate.state import State

_AGENT = r"agents/(?P<agent>[^/]+)/agent/"
_PUT = "(lastgood|quarantine)"
_MOVED = r"(?P<moved>state/set-aside/[^/]+/)?"
_PROFILES = re.compile(
    rf"{_MOVED}{_AGENT}(?P<aside>[.]{_PUT}/)?auth-profiles\.json[^/]*(?<!\.lock)"
)
_LEGACY = re.compile(
    rf"(agents/[^/]+/agent/([.]{_PUT}/)?auth|credentials/([.]{_PUT}/)?oauth)\.json[^/]*(?<!\.lock)"
)
_KEYS = re.compile(rf"((state/)?identity|devices|state)/([.]{_PUT}/)?[^/]*\.json[^/]*(?<!\.lock)")
_RESPONSES = re.compile(r"locks/auth/(?P<agent>[^/]+)/(?P<profile>[^/]+)/[^/]+\.(answer|kept)")
_DOTENV = re.compile(r"(.*/)?\.env|(workspace[^/]*/)?\.env\.[^/]*")
_DOCUMENT = re.compile(
    rf"agents/[^/]+/agent/([.]{_PUT}/)?(models|config)\.json[^/]*(?<!\.lock)|credentials/.*\.json"
    r"|(openclaw|clawdbot|moldbot|moltbot|clawstate)\.json\.[^/]+(?<!\.lock)"
    r"|(agents/[^/]+/agent/)?\.config-history/.+/[^/.]+"
)


def audit(state: State, *, progress: Progress = lambda _done, _total, _what: None) -> Report:
    """
    Find the secrets of *state* that lie in the clear, copies of them, and who may read them.

    Every regular file is searched for the secrets that were found, databases through SQLite;
    nothing is changed. References are resolved, which may start programs. *progress* is told
    (bytes done, bytes in all, file). The report holds no secret.
    """
    survey = Survey(state, state.encryption.resolve)
    entries = _entries(survey)
    sealer = state.encryption.sealer()
    for entry in entries:
        if entry.is_file:
            _understand(survey, entry, sealer)
    survey_configuration(survey)
    survey_modes(survey, entries)
    searched = survey_copies(survey, entries, progress)
    return Report(
        order(survey.exposures), tuple(sorted(survey.scanned)), searched, tuple(survey.notes)
    )


def _entries(survey: Survey) -> list[Entry]:
    def note_refusal(error: OSError, path: Path) -> None:
        survey.note(f"{path} was not looked at: {error.strerror}")

    found = list(walk(survey.root, on_error=note_refusal)) if survey.root.exists() else []
    folders = {folder: agent for agent, folder in survey.state.places.agent_dirs().items()}
    for folder, agent in folders.items():
        if not folder.is_relative_to(survey.root):
            found += walk_agent(folder, agent, on_error=note_refusal)
    return [_default_place(each, folders) for each in found]


def _default_place(entry: Entry, folders: Mapping[Path, str]) -> Entry:
    """Return *entry* with the place that it would have if settings named no other directory."""
    for folder, agent in folders.items():
        if entry.place and entry.path == folder:
            return replace(entry, place=f"agents/{agent}/agent")
        if is_of_agent(entry.path, folder):
            inner = entry.path.relative_to(folder).as_posix()
            return replace(entry, place=f"agents/{agent}/agent/{inner}")
    return entry


def _understand(survey: Survey, entry: Entry, sealer: FieldSealer | None) -> None:
    path, place = entry.path, entry.place
    if entry.is_database:
        _note_error(survey, partial(survey_records, survey, path, sealer))
        if is_openclaw_database(place):
            _note_error(survey, partial(survey_openclaw, survey, path))
    elif (match := _PROFILES.fullmatch(place)) is not None:
        document = survey.document(path)
        look = survey_copy if match["aside"] or match["moved"] else survey_profiles
        look(survey, path, document, agent_id=match["agent"], sealer=sealer)
    elif (spec := spec_at(place)) is not None:
        survey_matrix_file(survey, path, spec, sealer)
    elif _LEGACY.fullmatch(place):
        survey_legacy(survey, path, survey.document(path))
    elif _KEYS.fullmatch(place):
        survey_keys(survey, path)
    elif (match := _RESPONSES.fullmatch(place)) is not None:
        folder = match["profile"]
        survey_responses(survey, path, agent_id=match["agent"], folder=folder, sealer=sealer)
    elif _DOTENV.fullmatch(place):
        survey_dotenv(survey, path)
    elif _DOCUMENT.fullmatch(place) and not entry.is_beside_database:
        survey_document(survey, path)


def _note_error(survey: Survey, look: Callable[[], Any]) -> None:
    try:
        look()
    except StateError as error:
        survey.note(str(error))
