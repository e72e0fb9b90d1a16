"""
Who may write to the agent on a channel, and who asked to: allow lists and pairing requests.

A channel is paired by other rules than a device (reference, section 10), so these records stay what
they are: they go to their old places, `credentials/<channel>-allowFrom.json` and `-pairing.json`,
where an OpenClaw that shares the directory finds them; or into the database, if that keeps records.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clawstate.clock import from_iso
from clawstate.errors import InvalidError
from clawstate.importers.openclaw.job import Job
from clawstate.importers.openclaw.source import Found, Role
from clawstate.quantities import number_of
from clawstate.records.contract import CollectionSpec, Json
from clawstate.records.rules import is_key
from clawstate.stores.pairing.channels import allow_spec, pairing_spec

KIND = "channels"
_TTL = 3600.0  # seconds that a request is good for
_EVERYBODY = "*"


def take_channels(job: Job) -> None:
    """Add the allow lists and pending requests of *job* to those that are here."""
    for found in job.of(Role.ALLOW_FROM):
        with job.count_failures(KIND, found.path):
            _add(job, found, _allow_list(job, found), allow_spec(_file(found)))
    for found in job.of(Role.CHANNEL_PAIRING):
        with job.count_failures(KIND, found.path):
            _add(job, found, _requests(job, found), pairing_spec(_file(found)))


def _file(found: Found) -> str:
    return found.path.rpartition("/")[2]


def _add(job: Job, found: Found, incoming: Mapping[str, Json], spec: CollectionSpec) -> None:
    count = job.report.count(KIND)
    if job.is_here(found, job.state.paths.root.joinpath(*spec.path.parts)):
        count.add(unchanged=len(incoming))
        return
    collection = job.state.collection(spec)

    def change(records: dict[str, Json]) -> tuple[dict[str, Json], int]:
        # Only added to: what is here stays as it is, so nobody loses access by an import.
        fresh = {key: value for key, value in incoming.items() if key not in records}
        return {**records, **fresh}, len(fresh)

    if job.dry_run:
        _, new = change({each.key: each.value for each in collection.scan()})
    else:
        new = collection.change_all(change) if incoming else 0
    count.add(new=new, unchanged=len(incoming) - new)


def _allow_list(job: Job, found: Found) -> dict[str, Json]:
    items = _list(job.source.object(found.path), "allowFrom", found)
    names = [str(each).strip() for each in items if isinstance(each, str | int)]
    # OpenClaw passes over `*` in these files as well: it names nobody.
    usable = [name for name in names if name != _EVERYBODY and is_key(name)]
    _skip_unusable(job, found, len(items) - len(usable))
    return {name: {} for name in usable}


def _requests(job: Job, found: Found) -> dict[str, Json]:
    items = _list(job.source.object(found.path), "requests", found)
    usable = [each for each in items if _is_request(each)]
    _skip_unusable(job, found, len(items) - len(usable))
    now = job.state.clock()
    live = [each for each in usable if _is_live(each, now)]
    if expired := len(usable) - len(live):
        message = f"{number_of(expired, 'pairing request')} expired"
        job.report.skip(KIND, found.path, message, things=expired)
    return {each["code"]: each for each in live}


def _skip_unusable(job: Job, found: Found, number: int) -> None:
    if number:
        message = f"{number_of(number, 'entry')} left that OpenClaw passes over as well"
        job.report.skip(KIND, found.path, message, things=number)


def _list(document: Mapping[str, Any], name: str, found: Found) -> list[Any]:
    items = document.get(name)
    if not isinstance(items, list):
        raise InvalidError(found.path, f"holds no list {name!r}")
    return items


def _is_request(item: Any) -> bool:
    if not isinstance(item, dict) or not isinstance(item.get("id"), str):
        return False
    return is_key(item.get("code")) and isinstance(item.get("createdAt"), str)


def _is_live(item: Mapping[str, Any], now: float) -> bool:
    try:
        return now - from_iso(item["createdAt"]) <= _TTL
    except InvalidError:
        return False
