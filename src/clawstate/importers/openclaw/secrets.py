"""OpenClaw's store of secrets, taken only when that is asked for, into a private file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from clawstate.errors import CorruptError, NotFoundError
from clawstate.files.atomic import write_json_file_atomically
from clawstate.files.json_text import parse_json
from clawstate.files.lock import FileLock
from clawstate.files.regular import read_regular
from clawstate.importers.openclaw.job import Job
from clawstate.importers.openclaw.report import list_keys
from clawstate.openclaw.owner import STATE_DATABASE
from clawstate.openclaw.state_database import Secret
from clawstate.quantities import number_of

KIND = "secrets"
FILE = ("secrets", "openclaw.json")
"""The file, below the state directory."""

_PLACE = f"{STATE_DATABASE}#secret_store_entries"
_UNASKED = "left: --secrets takes them, in the clear, into the private file {}"
_KEPT = "not taken, since the file here has another (--replace takes theirs)"
_USE = "a provider of secrets reads it: see 'Secrets' in the how-to"
_TEAM = "team"
_MOST_BYTES = 64 << 20


def take_secrets(job: Job) -> None:
    """
    Keep the secrets by name in `secrets/openclaw.json`, mode 0600, which a file provider reads.

    What is of one person stands below `identity` and the person's name. Nothing is taken, but
    counted, unless the import was asked for secrets.
    """
    state = job.databases.state
    if state is None:
        return
    with job.count_failures(KIND, _PLACE):
        found = list(state.secrets())
        target = job.state.paths.root.joinpath(*FILE)
        if not found:
            return
        # In no other place: from the configuration or `.env` more programs would read them
        # (decision 028).
        if not job.settings.secrets:
            message = f"{number_of(len(found), 'secret')} {_UNASKED.format('/'.join(FILE))}"
            job.report.skip(KIND, _PLACE, message, things=len(found))
            return
        if job.dry_run:
            _Merging(_read(target), replace=job.settings.replace).take(found, job)
            return
        # Read again under the lock: two imports at once must not lose what the other took.
        with FileLock(target) as lock:
            merging = _Merging(_read(target), replace=job.settings.replace)
            if merging.take(found, job):
                write_json_file_atomically(target, merging.document, fence=lock.confirm)
        job.report.note(KIND, "/".join(FILE), _USE)


class _Merging:
    """The *document* of secrets, into which others come."""

    def __init__(self, document: dict[str, Any], *, replace: bool) -> None:
        self.document = document
        self._replace = replace

    def take(self, secrets: Iterable[Secret], job: Job) -> bool:
        """Take *secrets* in, count them, and tell whether the document changed."""
        count = job.report.count(KIND)
        kept: list[str] = []
        has_changed = False
        for each in secrets:
            place = self._place(each)
            ours = place.get(each.name)
            if ours == each.value:
                count.add(unchanged=1)
            elif ours is not None and not self._replace:
                kept.append(each.name)
            else:
                place[each.name] = each.value
                has_changed = True
                count.add(new=int(ours is None), changed=int(ours is not None))
        if kept:
            message = f"{number_of(len(kept), 'secret')} {_KEPT}: {list_keys(kept)}"
            job.report.skip(KIND, _PLACE, message, things=len(kept))
        return has_changed

    def _place(self, secret: Secret) -> dict[str, Any]:
        if secret.scope_kind == _TEAM:
            return self.document
        people = self.document.setdefault(secret.scope_kind, {})
        found: dict[str, Any] = people.setdefault(secret.scope_id, {})
        return found


def _read(path: Path) -> dict[str, Any]:
    try:
        found = parse_json(read_regular(path, limit=_MOST_BYTES), path=path)
    except NotFoundError:
        return {}
    # Not ours, then: it is not overwritten.
    if not isinstance(found, dict) or not all(map(_is_secret, found.values())):
        raise CorruptError(str(path), "holds no secrets by name", "move it away, then import again")
    return found


def _is_secret(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(each, Mapping) for each in value.values())
    return isinstance(value, str)
