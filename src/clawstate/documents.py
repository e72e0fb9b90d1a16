"""What every section of the configuration is made of: strict objects, and types with a wording."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic.annotated_handlers import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import PydanticCustomError, core_schema

from clawstate.errors import InvalidError
from clawstate.quantities import DURATION, SIZE, duration_seconds, size_bytes

T = TypeVar("T")

REFUSED = "refused"
"""The type of the errors that carry what was expected, in words, as *expected*."""


class Document(BaseModel):
    """
    An object of the configuration; keys are camelCase in the text and snake_case here.

    Unknown keys are kept. A document is only read: whoever changes the configuration patches its
    text. It never shows its values, which may be secrets.
    """

    # Unknown keys may be those of a newer OpenClaw, whose file it is as well (decision 11). Errors
    # of pydantic quote what they refuse, which may be an API key.
    model_config = ConfigDict(
        alias_generator=to_camel,
        allow_inf_nan=False,
        extra="allow",
        frozen=True,
        hide_input_in_errors=True,
        strict=True,
    )

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Show nothing."""
        return ()


class OpenDocument(Document):
    """A section of which only some keys are described here; the others are OpenClaw's own."""

    __pydantic_extra__: dict[str, Any] = Field(init=False)


class _NotNull:
    """Lets a key be absent, which reads as `None`, but not null."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        schema = handler(source)
        # The annotation says `| None` for the default; pydantic would accept null in the text for
        # that.
        return schema["schema"] if schema["type"] == "nullable" else schema


Maybe = Annotated[T | None, _NotNull()]
"""A key without a default."""


@dataclass(frozen=True)
class Like:
    """Text that matches *pattern*, which people know as *expected*."""

    pattern: str
    expected: str

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self._match, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(schema) | {"pattern": self.pattern}

    def _match(self, text: str) -> str:
        # Not by pydantic, whose error would show the pattern and not what people know it as.
        if not re.search(self.pattern, text, re.ASCII):
            raise refusal(self.expected)
        return text


def refusal(expected: str) -> PydanticCustomError:
    """Return the error of a value where *expected* should stand."""
    return PydanticCustomError(REFUSED, "expected {expected}", {"expected": expected})


def _as_whole(value: Any) -> Any:
    """Accept `1e3`, which JSON5 reads as a float."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _as_duration(value: Any) -> Any:
    return _read(value, "a duration such as 30d, 12h or 500ms", duration_seconds, unit="s")


def _as_duration_or_false(value: Any) -> Any:
    expected = "a duration such as 30d, or false"
    return value if value is False else _read(value, expected, duration_seconds, unit="s")


def _as_size(value: Any) -> Any:
    return _read(value, "a size such as 500kb, 10mb or 1gb", size_bytes)


def _read(value: Any, expected: str, reader: Any, **settings: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise refusal(expected)
    try:
        reader(value, **settings)
    except InvalidError:
        raise refusal(expected) from None
    return value


def _number_or(pattern: str, *others: dict[str, Any]) -> WithJsonSchema:
    text = {"type": "string", "pattern": pattern}
    return WithJsonSchema({"anyOf": [text, {"type": "number", "minimum": 0}, *others]})


WHOLE = BeforeValidator(_as_whole)
Count = Annotated[int, Field(ge=0), WHOLE]
Positive = Annotated[int, Field(ge=1), WHOLE]
Port = Annotated[int, Field(ge=1, le=65_535), WHOLE]
Share = Annotated[float, Field(ge=0, le=1)]
AboveZero = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Text = Annotated[str, Field(min_length=1)]
Object = dict[str, Any]
Duration = Annotated[Any, BeforeValidator(_as_duration), _number_or(DURATION)]
DurationOrFalse = Annotated[
    Any, BeforeValidator(_as_duration_or_false), _number_or(DURATION, {"const": False})
]
Size = Annotated[Any, BeforeValidator(_as_size), _number_or(SIZE)]

# In brackets, as pydantic puts them into the place of an error: no key looks like that.
OBJECT, LIST, VALUE = "<object>", "<list>", "<value>"


def shape_name(value: Any) -> str:
    """Return which of the three shapes of JSON *value* has; the tags of `BY_SHAPE` unions."""
    if isinstance(value, dict | BaseModel):
        return OBJECT
    return LIST if isinstance(value, list) else VALUE


BY_SHAPE = Discriminator(shape_name)
"""Tells the arms of a union apart, so that a mistake inside of one is reported for that one."""
