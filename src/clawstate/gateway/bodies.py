"""What requests may hold: strict objects, which never show the values that they refuse."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from clawstate.paging import PAGE

Limit = Annotated[int, Query(ge=1, le=1000, description="How many at most.")]
After = Annotated[
    str | None, Query(max_length=16384, description="The cursor that the page before gave.")
]
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

    def given(self) -> dict[str, Any]:
        """Return what was given, by the names of the library."""
        return {name: getattr(self, name) for name in self.model_fields_set}

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        """Show nothing."""
        return []


Text = Annotated[str, Field(min_length=1)]
