"""Taking over devices that another program let in, so that their tokens stay good."""

from __future__ import annotations

from collections.abc import Mapping

from clawstate.access.names import require_id
from clawstate.errors import InvalidError
from clawstate.records.adoption import Adopted, adopted
from clawstate.records.contract import Json
from clawstate.stores.devices.device import device_of


def adopted_devices(
    ours: Mapping[str, Json], theirs: Mapping[str, Json], *, replace: bool
) -> tuple[dict[str, Json], Adopted]:
    """
    Return the documents *ours* with those of *theirs*, and what became of each.

    What is here stays, also the trace of a device that was removed, unless *replace*. A device is
    the same if its key and its tokens are: when they were used last does not count.
    """
    return adopted(
        ours,
        theirs,
        refuse=_refuse,
        is_same=lambda _, old, new: _authority(old) == _authority(new),
        gives_way=lambda *_: replace,
    )


def _refuse(device_id: str, document: Json) -> None:
    require_id("device id", device_id)
    device = device_of(document)
    if device is None or device.device_id != device_id:
        raise InvalidError("device", "is malformed")


def _authority(document: Json) -> object:
    device = device_of(document)
    if device is None:
        return document
    tokens = {each.role: (each.hash, each.scopes) for each in device.tokens.values()}
    return device.public_key, tokens, device.approved_scopes
