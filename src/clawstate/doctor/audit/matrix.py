"""Secrets of Matrix clients: access tokens, and the keys of their databases of keys."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clawstate.doctor.audit.survey import Spot, Survey
from clawstate.errors import StateError
from clawstate.records.contract import CollectionSpec
from clawstate.stores.matrix import CREDENTIALS, PICKLE, credentials_spec, spec_of
from clawstate.stores.matrix.documents import ACCESS_TOKEN, PICKLE_SECRET, secret_place

if TYPE_CHECKING:
    from clawstate.encryption.sealer import FieldSealer

_END = r"\.json[^/]*(?<!\.lock)"
_PUT = r"([.](lastgood|quarantine)/)?"
_CREDENTIALS = re.compile(
    rf"(state/set-aside/[^/]+/)?credentials/matrix/{_PUT}credentials(-(?P<account>[^/.]+))?{_END}"
)
_KEY = re.compile(
    rf"matrix/accounts/(?P<account>[^/]+)/(?P<pair>[^/]+)/(?P<token>[^/]+)/crypto/{_PUT}nio-key{_END}"
)


def spec_at(place: str) -> CollectionSpec | None:
    """Return which document of a Matrix client, or copy of one, lies at *place*."""
    if (match := _CREDENTIALS.fullmatch(place)) is not None:
        return credentials_spec(match["account"] or "default")
    if (match := _KEY.fullmatch(place)) is not None:
        return spec_of(PICKLE, match["account"], match["pair"], match["token"])
    return None


def survey_matrix(
    survey: Survey, spot: Spot, record: Any, *, spec: CollectionSpec, sealer: FieldSealer | None
) -> None:
    """Look at the *record* of the document of *spec*."""
    if not isinstance(record, dict):
        return
    is_credential = spec.kind.startswith(CREDENTIALS.kind[:-1])
    member = ACCESS_TOKEN if is_credential else PICKLE_SECRET
    found = member.found(record)
    spot = spot.at(member.name)
    if isinstance(found, str):
        if found:
            what = "an access token" if is_credential else "the key of a database of keys"
            survey.clear_text(found, spot, what=what)
        return
    try:
        text = member.read(record, place=secret_place(spec, member), sealer=sealer)
        survey.known.learn(text, spot.label, home=spot.file)
    except StateError as error:
        survey.note(f"{spot.label} was not opened, so copies of it are not searched for: {error}")


def survey_matrix_file(
    survey: Survey, path: Path, spec: CollectionSpec, sealer: FieldSealer | None
) -> None:
    """Look at the file *path*, the document of *spec* or a copy of it."""
    survey_matrix(
        survey, Spot(path, label=spec.kind), survey.document(path), spec=spec, sealer=sealer
    )


def spec_of_kind(kind: str) -> CollectionSpec | None:
    """Return the spec of the rows *kind*, which may be those of a document that was moved."""
    name = kind.removeprefix("moved:")
    prefix, _, rest = name.partition(":")
    if prefix == CREDENTIALS.kind.partition(":")[0] and rest:
        return credentials_spec(rest)
    parts = rest.split("/")
    if prefix == PICKLE.kind.partition(":")[0] and len(parts) == PICKLE.kind.count("*"):
        return spec_of(PICKLE, *parts)
    return None
