"""What requests may hold: strict objects, which never show the values that they refuse."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from clawstate.paging import PAGE

Limit = Annotated[int, Query(ge=1, le=1000, description="How many at most.")]
After = Annotated[
    str | None, Query(max_length=16384, description="The cursor that the page before gave.")
]
Agent = Annotated[
    str | None, Query(max_length=256, description="Of one agent; by default of all of them.")
]
AgentName = Annotated[str, Query(max_length=256, description="The agent whose they are.")]
PAGE_SIZE = PAGE


class Body(BaseModel):
    """An object in a request: nothing that is not described, names in camelCase."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        allow_inf_nan=False,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    def given(self, **always: Any) -> dict[str, Any]:
        """Return what was given, by the names of the library, and what *always* counts."""
        return {**{name: getattr(self, name) for name in self.model_fields_set}, **always}

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        """Show nothing."""
        return []
