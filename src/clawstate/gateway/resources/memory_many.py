"""Operations of the noun `memory` on many records: read, tag and forget what was selected."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field
from typing_extensions import TypedDict

from clawstate.errors import InvalidError
from clawstate.gateway.bodies import Body
from clawstate.gateway.resources.memory import ForgottenRecords
from clawstate.gateway.routing import Opened, Routes
from clawstate.wire.schemas import memory as forms

routes = Routes("memory")

_MOST: Final = 10_000

Many = Annotated[tuple[str, ...], Field(max_length=_MOST)]


class Selected(Body):
    """The records that are meant, 10,000 at most."""

    ids: Many


class SelectedTags(Selected):
    """Tags that the records get, and such as they lose."""

    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


class SelectedForgetting(Selected):
    """Records that are forgotten; with *receipt* their bytes are cleared at once."""

    receipt: bool = True


class FoundRecords(TypedDict):
    """Those of the records that are kept, in the order of the request."""

    records: list[forms.Record]


class Tagged(TypedDict):
    """The ids of records whose tags changed; others had them already, or are gone."""

    changed: list[str]


@routes.write("/many/get", FoundRecords, scope="read")
def get_many(state: Opened, body: Selected) -> Any:
    """Return many records by their ids."""
    found = state.memory.get_many(list(body.ids))
    return {"records": [found[each] for each in dict.fromkeys(body.ids) if each in found]}


@routes.write("/many/tag", Tagged)
def tag_many(state: Opened, body: SelectedTags) -> Any:
    """Give tags to many records, and take others from them; each keeps its place in time."""
    if not body.add and not body.remove:
        raise InvalidError("add", "and remove are empty", "name a tag")
    return {"changed": state.memory.tag(body.ids, add=body.add, remove=body.remove)}


@routes.write("/many/forget", ForgottenRecords)
def forget_many(state: Opened, body: SelectedForgetting) -> Any:
    """Forget many records."""
    if not body.receipt:
        return {"forgotten": state.memory.delete_many(list(body.ids))}
    told = state.memory.forget(list(body.ids))
    return {"forgotten": len(told.records), "receipt": told}
