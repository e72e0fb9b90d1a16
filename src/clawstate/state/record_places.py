"""Which records of a state there may be, and where each lies as a file and as rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from clawstate.config.settings import PAIRING_PATH
from clawstate.errors import InvalidError, StateError
from clawstate.files.paths import normalise_agent_id
from clawstate.files.safe_names import decode_name
from clawstate.memory.capture.inbox import INBOX
from clawstate.memory.file_conflicts import FILE_CONFLICTS
from clawstate.openclaw.owner import Era
from clawstate.records.contract import Backend, CollectionSpec, FileForm
from clawstate.records.layouts import MapLayout
from clawstate.state.agents import agents_of, auth_profiles, default_agent
from clawstate.state.catalogue import ARCHIVE_KIND, NAMES_OF_MARKS, SESSIONS_KIND
from clawstate.state.context import split_root
from clawstate.stores.auth.legacy import LEDGER
from clawstate.stores.auth.profile_store import LAYOUT
from clawstate.stores.device_auth import HELD
from clawstate.stores.devices import DEVICES
from clawstate.stores.matrix.documents import (
    BOT_STORAGE,
    DEFAULT_CREDENTIALS,
    META,
    credentials_spec,
    spec_of,
)
from clawstate.stores.matrix.documents import CREDENTIALS as MATRIX_CREDENTIALS
from clawstate.stores.pairing import ATTEMPTS, INVITATIONS, REQUESTS
from clawstate.stores.pairing.channels import CHANNEL_KIND, channel_spec
from clawstate.stores.sessions import past

if TYPE_CHECKING:
    from clawstate.state.context import Context

CREDENTIALS, SESSIONS, ARCHIVE = "credentials", "sessions", "archived sessions"
PAST = "history of sessions"
MARKS, NAMES = "dedupe marks", "dedupe namespaces"
REQUESTED, DEVICE_TOKENS = "pairing requests", "device tokens"
CHANNELS, MATRIX = "channel pairing", "Matrix storage"
_AUTH, _SPACE = "auth:", "dedupe:"
_ROOT_INDEX = PurePosixPath("sessions/sessions.json")


@dataclass(frozen=True, slots=True)
class RecordPlace:
    """
    Where the records of *store* lie: in the file of *spec* below *root*, or in rows of its kind.

    Those of a *shared* place are OpenClaw's as well.
    """

    store: str
    spec: CollectionSpec
    root: Path
    shared: bool = False

    @property
    def kind(self) -> str:
        """The name of its rows."""
        return self.spec.kind

    @property
    def file(self) -> Path:
        """Its file."""
        return self.root / self.spec.path


def record_places(context: Context) -> tuple[RecordPlace, ...]:
    """
    Return where records may lie whose engine is chosen for the whole state.

    Files that OpenClaw of the SQLite era takes over are none of them, but for the index of sessions
    in the state directory itself, which this program alone makes today.
    """
    root, era = context.paths.root, context.owner.era
    found = [RecordPlace("imports", LEDGER, root), RecordPlace(REQUESTED, _requests(context), root)]
    found += [
        RecordPlace("pairing attempts", ATTEMPTS, root),
        RecordPlace("pairing invitations", INVITATIONS, root),
        RecordPlace("memory inbox", INBOX, root),
        RecordPlace("memory conflicts", FILE_CONFLICTS, root),
        RecordPlace("devices", DEVICES, root),
    ]
    if era is Era.SQLITE:
        found.append(RecordPlace(DEVICE_TOKENS, HELD, root))
    else:
        is_shared = era is Era.FILES
        found += [*credential_places(context), *_channels(context, shared=is_shared)]
        found += _matrix(context, shared=is_shared)
    found += [*_sessions(context), *_dedupe(context)]
    return tuple(found)


def _requests(context: Context) -> CollectionSpec:
    chosen = ""
    with suppress(StateError):
        chosen = PAIRING_PATH.of(context.config) or ""
    # An absolute path elsewhere is a choice of its own, which no other engine has.
    path = PurePosixPath(chosen)
    is_inside = bool(chosen) and not path.is_absolute() and ".." not in path.parts
    return replace(REQUESTS, path=path) if is_inside and "~" not in chosen else REQUESTS


def credential_places(context: Context) -> Iterator[RecordPlace]:
    """Yield where the credentials of each agent lie; beside an OpenClaw its files are shared."""
    shared = context.owner.era is Era.FILES
    names = {*agents_of(context), *(each.removeprefix(_AUTH) for each in kinds(context, _AUTH))}
    for name in sorted(names):
        root, path = split_root(auth_profiles(context, name), context.paths.root)
        yield RecordPlace(CREDENTIALS, CollectionSpec(f"{_AUTH}{name}", path, LAYOUT), root, shared)


def _channels(context: Context, *, shared: bool) -> Iterator[RecordPlace]:
    root = context.paths.root
    names = {each.removeprefix(CHANNEL_KIND) for each in kinds(context, CHANNEL_KIND)}
    with suppress(OSError):
        names |= {each.name for each in (root / "credentials").iterdir()}
    for spec in filter(None, map(channel_spec, sorted(names))):
        yield RecordPlace(CHANNELS, spec, root, shared)


def _matrix(context: Context, *, shared: bool) -> Iterator[RecordPlace]:
    root = context.paths.root
    for account in matrix_accounts(context):
        yield RecordPlace(MATRIX, credentials_spec(account), root, shared)
    for pattern in (BOT_STORAGE, META):
        prefix = pattern.kind.partition("*")[0]
        found = {tuple(each.removeprefix(prefix).split("/")) for each in kinds(context, prefix)}
        files = root.glob(str(pattern.path))
        found |= {each.relative_to(root / "matrix" / "accounts").parts[:3] for each in files}
        for names in sorted(found):
            yield RecordPlace(MATRIX, spec_of(pattern, *names), root, shared)


def matrix_accounts(context: Context) -> tuple[str, ...]:
    """Return the Matrix accounts that may have a credential, in whichever engine."""
    prefix = MATRIX_CREDENTIALS.kind[:-1]
    names = {each.removeprefix(prefix) for each in kinds(context, prefix)}
    files = context.paths.root.glob(str(MATRIX_CREDENTIALS.path))
    names |= {each.stem.partition("-")[2] for each in files}
    return tuple(sorted(names | {DEFAULT_CREDENTIALS.kind.removeprefix(prefix)}))


def _sessions(context: Context) -> Iterator[RecordPlace]:
    from clawstate.state.sessions import chosen_place  # noqa: PLC0415 - which asks for engines

    root, era = context.paths.root, context.owner.era
    choice = ""
    with suppress(StateError):
        choice = chosen_place(context)
    if era is Era.FILES:
        agents = sorted({default_agent(context), *_agents(root)})
        first = context.paths.agent_sessions_index(agents[0])
        yield RecordPlace(SESSIONS, index_spec(_below(first, root)), root, True)
        home = context.paths.agent_sessions_index(default_agent(context))
        yield RecordPlace(ARCHIVE, archive_spec(_below(home, root)), root)
        yield from (RecordPlace(PAST, each, root) for each in _past_specs(_below(home, root)))
    elif choice == context.backends.choice:
        yield RecordPlace(SESSIONS, index_spec(_ROOT_INDEX), root)
        yield RecordPlace(ARCHIVE, archive_spec(_ROOT_INDEX), root)
        yield from (RecordPlace(PAST, each, root) for each in _past_specs(_ROOT_INDEX))
    if era is Era.SQLITE:
        for agent in _agents(root):
            index = context.paths.agent_sessions_index(agent)
            yield RecordPlace(ARCHIVE, archive_spec(_below(index, root)), root)


def index_spec(index: PurePosixPath) -> CollectionSpec:
    """Return the spec of the sessions in the file *index*."""
    return CollectionSpec(SESSIONS_KIND, index, MapLayout(), file=FileForm(newline=False))


def archive_spec(index: PurePosixPath) -> CollectionSpec:
    """Return the spec of the archive that belongs to the index file *index*."""
    return CollectionSpec(ARCHIVE_KIND, index.parent / "archive" / index.name, MapLayout())


def _past_specs(index: PurePosixPath) -> Iterator[CollectionSpec]:
    return (past.spec_of(index, slot) for slot in range(past.SLOTS))


def _below(path: Path, root: Path) -> PurePosixPath:
    return PurePosixPath(path.relative_to(root))


def _dedupe(context: Context) -> Iterator[RecordPlace]:
    root = context.paths.root
    names = {each.removeprefix(_SPACE) for each in kinds(context, _SPACE)}
    with suppress(OSError):
        files = [each for each in (root / "dedupe").iterdir() if each.suffix == ".json"]
        names |= {each.stem for each in files if _is_name(each.stem)}
    for name in sorted(names):
        spec = CollectionSpec(f"{_SPACE}{name}", PurePosixPath(f"dedupe/{name}.json"), MapLayout())
        yield RecordPlace(MARKS, spec, root)
    yield RecordPlace(NAMES, NAMES_OF_MARKS, root)


def note_namespace(target: Backend, stem: str) -> None:
    """Record the namespace of the marks in the file *stem*: rows know it by no name of a file."""
    name = decode_name(stem)
    if name is not None:
        target.collection(NAMES_OF_MARKS).put(stem, {"namespace": name})


def _is_name(stem: str) -> bool:
    try:
        decode_name(stem)
    except InvalidError:
        return False
    return True


def _agents(root: Path) -> list[str]:
    with suppress(OSError):
        found = (each.name for each in (root / "agents").iterdir())
        return sorted(each for each in found if normalise_agent_id(each) == each)
    return []


def kinds(context: Context, prefix: str) -> tuple[str, ...]:
    """Return the kinds of rows that start with *prefix*, whichever engine is chosen."""
    backends = context.backends
    found = set(backends.rows().kinds(prefix)) if backends.has_rows else set()
    if backends.has_server:
        found |= set(backends.server(backends.choice).kinds(prefix))
    return tuple(sorted(found))
