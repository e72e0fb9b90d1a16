"""Secrets in settings: the configuration, what it was before, `.env`, and files of its kind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clawstate.config.environment import parse_dotenv
from clawstate.config.loading import Loaded
from clawstate.doctor.audit.survey import LIMIT, Spot, Survey
from clawstate.errors import NotFoundError, StateError
from clawstate.files.regular import read_regular
from clawstate.json5.key_path import get_at
from clawstate.json5.path_grammar import KeyPath, format_key_path
from clawstate.secret_rules import is_secret, is_sensitive
from clawstate.secrets.redaction import literal_secrets
from clawstate.secrets.references import parse_reference

_PRIVATE_KEY = re.compile(r"private_?key", re.IGNORECASE)
_DIRECTLY = 2  # steps to a token that stands by its name alone (specification section 5)
_SHORTEST = 8  # characters of a variable's value that may be a secret


def survey_configuration(survey: Survey) -> None:
    """Look at the configuration in force, all that it includes, and its references."""
    try:
        loaded = survey.state.config.view().loaded
        files = {file.path for file in loaded.files if file.stamp is not None}
        templates = loaded.templates
    except StateError as error:
        survey.note(str(error))
        survey_document(survey, survey.state.config.path)
        return
    for path in sorted(files):
        if path.name == ".env":
            survey_dotenv(survey, path)
        else:
            survey_document(survey, path)
    asked: set[KeyPath] = set()
    for where, value in _values(templates):
        names = tuple(step for step in where if isinstance(step, str))
        at = Spot(_file_of(loaded, where), format_key_path(where), format_key_path(where))
        is_told = isinstance(value, dict) or is_sensitive(names)
        if is_told and where[:1] != ("secrets",) and parse_reference(value) is not None:
            survey.reference(value, at)
            asked.add(where)
    for missing in loaded.missing:
        if missing.path not in asked:
            survey.add("REF_UNRESOLVED", "error", Spot(loaded.path), str(missing))
    _note_shadowed(survey, templates, loaded.path)


def _file_of(loaded: Loaded, path: KeyPath) -> Path:
    """Return the file that holds the value at *path*, such as an included one."""
    trace = loaded.provenance.at(path)
    return loaded.path if trace is None else trace.origins[0].source.path


def survey_document(survey: Survey, path: Path) -> None:
    """Look at a document of settings, or any other whose members are named for what they are."""
    document = survey.document(path)
    if not isinstance(document, dict | list):
        return
    for where in literal_secrets(document):
        value = get_at(document, where)
        if isinstance(value, str):
            spot = Spot(path, format_key_path(where), format_key_path(where))
            survey.clear_text(value, spot, what="a secret")


def survey_keys(survey: Survey, path: Path) -> None:
    """Look at a file with private keys or tokens of devices."""
    document = survey.document(path)
    for where, value in _values(document):
        last = next((step for step in reversed(where) if isinstance(step, str)), "")
        if not isinstance(value, str) or not value.strip():
            continue
        spot = Spot(path, format_key_path(where), path.name)
        if _PRIVATE_KEY.search(last):
            survey.clear_text(value, spot, what="a private key")
        elif is_sensitive((last,)) or (where[:1] == ("tokens",) and len(where) == _DIRECTLY):
            survey.clear_text(value, spot, what="a token")


def survey_dotenv(survey: Survey, path: Path) -> None:
    """Look at a file of variables."""
    try:
        values = parse_dotenv(read_regular(path, limit=LIMIT)).values
    except NotFoundError:
        return
    except StateError as error:
        survey.note(str(error))
        return
    survey.scanned.add(path)
    for name, value in values.items():
        if is_secret(("env", name), value) and len(value.strip()) >= _SHORTEST:
            survey.clear_text(value, Spot(path, name, name), what=f"the variable {name}")


def _note_shadowed(survey: Survey, templates: Any, path: Path) -> None:
    """Note references that are never asked, because a credential of the provider counts."""
    models = templates.get("models")
    providers = models.get("providers") if isinstance(models, dict) else None
    held = {each.provider for each in survey.exposures if each.profile_id is not None}
    for name, provider in (providers if isinstance(providers, dict) else {}).items():
        key = provider.get("apiKey") if isinstance(provider, dict) else None
        if key is not None and parse_reference(key) is not None and name in held:
            spot = Spot(path, f"models.providers.{name}.apiKey", name, provider=name)
            message = f"never used: the credentials of {name} in auth-profiles.json count"
            survey.add("REF_SHADOWED", "warning", spot, message)


def _values(value: Any) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Yield everything in *value* with its key path; a reference is not looked into."""
    waiting: list[tuple[tuple[str | int, ...], Any]] = [((), value)]
    while waiting:
        at, found = waiting.pop()
        yield at, found
        if isinstance(found, dict) and parse_reference(found) is None:
            waiting.extend(((*at, key), each) for key, each in found.items())
        elif isinstance(found, list):
            waiting.extend(((*at, index), each) for index, each in enumerate(found))
