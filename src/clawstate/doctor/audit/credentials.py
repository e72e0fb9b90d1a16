"""Secrets in stores of credentials: those of the agents, of older releases, and copies of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from clawstate.doctor.audit.survey import Spot, Survey
from clawstate.errors import InvalidError, StateError
from clawstate.files.safe_names import decode_name
from clawstate.quantities import number_of
from clawstate.stores.auth.codec import CredentialCodec, Sealer, is_sealed
from clawstate.stores.auth.credentials import TYPES, type_of
from clawstate.stores.auth.refresh_answer import objects_in

_VARIABLE = re.compile(r"\$\{[A-Z][A-Z0-9_]{0,127}\}")
# Members beyond the known ones that providers give out together with a token.
_MORE = re.compile(r"(id|session|bearer|refresh|access)_?token$|secret$|password$", re.IGNORECASE)


_SAID = re.compile("access|refresh", re.IGNORECASE)


def survey_profiles(
    survey: Survey, path: Path, document: Any, *, agent_id: str, sealer: Sealer | None
) -> None:
    """Look at the *document* of a store of credentials, which has the form of `auth-profiles`."""
    profiles = document.get("profiles") if isinstance(document, dict) else None
    for profile_id, record in (profiles if isinstance(profiles, dict) else {}).items():
        spot = Spot(path, f"profiles.{profile_id}", profile_id, profile_id=profile_id)
        survey_profile(survey, spot, record, agent_id=agent_id, sealer=sealer)


def survey_profile(
    survey: Survey, spot: Spot, record: Any, *, agent_id: str, sealer: Sealer | None
) -> None:
    """Look at one profile."""
    if not isinstance(record, dict):
        return
    provider, kind = record.get("provider"), type_of(record)
    if isinstance(provider, str):
        spot = Spot(spot.file, spot.where, spot.label, provider, spot.profile_id)
    _references(survey, spot, record, kind)
    for member, value in record.items():
        if is_sealed(value):
            continue
        label = _label_of(member)
        if isinstance(value, str) and value.strip() and (label or _MORE.search(member)):
            _text(survey, spot.at(member), value, label or "a secret")
    _decrypt(survey, spot, record, agent_id, sealer)


def survey_copy(
    survey: Survey, path: Path, document: Any, *, agent_id: str, sealer: Sealer | None
) -> None:
    """Look at a copy that was put aside: what it refers to is not asked for, and it counts once."""
    aside = Survey(survey.state, lambda _reference: "")
    survey_profiles(aside, path, document, agent_id=agent_id, sealer=sealer)
    count = sum(each.code == "PLAINTEXT_FOUND" for each in aside.exposures)
    if count:
        secrets = number_of(count, "secret")
        message = f"a copy, put aside by clawstate, with {secrets} in the clear"
        survey.add("PLAINTEXT_FOUND", "warning", Spot(path), message)
    survey.known.add_all(aside.known)


def survey_responses(
    survey: Survey, path: Path, *, agent_id: str, folder: str, sealer: Sealer | None
) -> None:
    """Look at the answer to a refresh that was cut short, in the *folder* of its profile."""
    document = survey.document(path)
    found = document if isinstance(document, dict) else {}
    profile_id = folder
    with suppress(InvalidError):
        profile_id = decode_name(folder) or folder
    spot = Spot(path, "record", profile_id, profile_id=profile_id)
    survey_profile(survey, spot, found.get("record"), agent_id=agent_id, sealer=sealer)
    spot = Spot(path, "answer", profile_id, profile_id=profile_id)
    for each in objects_in(found.get("answer")):
        for member, value in each.items():
            is_token = _SAID.search(member) or _MORE.search(member)
            if is_token and isinstance(value, str) and value.strip():
                _text(survey, spot.at(member), value, _label_of(member) or "a token")


def survey_legacy(survey: Survey, path: Path, document: Any) -> None:
    """Look at `auth.json` or `oauth.json` of an older release: credentials by provider."""
    if not isinstance(document, dict):
        return
    found = document.get("profiles")
    entries = found if isinstance(found, dict) else document
    named = {key: each for key, each in entries.items() if isinstance(each, dict)}
    if not named:
        return
    count = number_of(len(named), "credential")
    message = f"holds {count} of an older release; what is there is imported, and not needed"
    survey.add("LEGACY_RESIDUE", "info", Spot(path), message)
    for name, record in named.items():
        spot = Spot(path, name, name, provider=name.partition(":")[0])
        for member, value in record.items():
            label = _label_of(member)
            if isinstance(value, str) and value.strip() and (label or _MORE.search(member)):
                _text(survey, spot.at(member), value, label or "a secret")


def _references(survey: Survey, spot: Spot, record: Mapping[str, Any], kind: str) -> None:
    known = TYPES.get(kind)
    if known is None or known.reference is None:
        return
    member = known.reference.name
    reference = record.get(member)
    if reference is None:
        return
    survey.reference(reference, spot.at(member))
    beside = [each for each in known.secrets[0].names if record.get(each)]
    if beside:
        message = f"never used: the reference in {member} counts"
        survey.add("REF_SHADOWED", "warning", spot.at(beside[0]), message)


def _text(survey: Survey, spot: Spot, value: str, what: str) -> None:
    if _VARIABLE.fullmatch(value):
        survey.reference(value, spot)
    else:
        survey.clear_text(value, spot, what=what)


def _decrypt(survey: Survey, spot: Spot, record: Any, agent_id: str, sealer: Sealer | None) -> None:
    """Learn what is sealed, so that copies of it are found."""
    codec = CredentialCodec(agent_id, lambda: sealer)
    try:
        credential = codec.read(spot.label, record)
        for each in TYPES[credential.type].secrets:
            value = getattr(credential, each.attribute)
            if isinstance(value, str) and not _VARIABLE.fullmatch(value):
                survey.known.learn(value, spot.label, home=spot.file)
    except StateError as error:
        survey.note(f"{spot.label} was not opened, so copies of it are not searched for: {error}")


def _label_of(member: str) -> str | None:
    secrets = (each for kind in TYPES.values() for each in kind.secrets)
    return next((each.label for each in secrets if member in each.names), None)
