"""Checks values against a JSON Schema or a pydantic model, in sentences that show no value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from clawstate.arguments import describe
from clawstate.errors import ConfigError, InvalidError

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,39}")
_PROBLEMS = {
    "additionalProperties": "has a member that is not known",
    "const": "is not the one value that is allowed",
    "enum": "is none of the values that are allowed",
    "exclusiveMaximum": "is too large",
    "exclusiveMinimum": "is too small",
    "maxItems": "has too many items",
    "maxLength": "is too long",
    "maximum": "is too large",
    "minItems": "has too few items",
    "minLength": "is too short",
    "minimum": "is too small",
    "pattern": "is not of the form that is asked for",
    "required": "lacks a member that is needed",
    "type": "is of another kind",
}


def validator_of(name: str, schema: Any) -> Validator:
    """Return what checks values against the JSON Schema *schema*; raises `InvalidError`."""
    # Not before it is needed: it takes a tenth of a second.
    from jsonschema import Draft202012Validator, SchemaError  # noqa: PLC0415

    if not isinstance(schema, Mapping):
        raise InvalidError(name, f"{describe(schema)} is no JSON Schema")
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        # Which rule, and where; the message would repeat all of a long value.
        where = ".".join(map(str, error.absolute_path))
        problem = f"is no JSON Schema: {where or 'it'} {_problem_of(error.validator)}"
        raise InvalidError(name, problem) from None
    except RecursionError:
        raise InvalidError(name, "is nested too deeply") from None
    return Draft202012Validator(schema)


def check_value(validator: Validator, name: str, value: Any) -> None:
    """Raise `InvalidError` that names what of *value* does not fit; no value is shown."""
    problems = sorted(validator.iter_errors(value), key=lambda error: list(map(str, error.path)))
    if not problems:
        return
    first = problems[0]
    path = ".".join((name, *map(str, first.absolute_path)))
    if first.validator == "additionalProperties":
        schema: Any = first.schema
        instance: Any = first.instance
        known = schema.get("properties", {})
        # A name comes from outside as well: what is none is told as something unknown.
        unknown = [each for each in instance if each not in known and _NAME.fullmatch(each)]
        if unknown:
            raise InvalidError(f"{path}.{unknown[0]}", "is unknown", f"use {', '.join(known)}")
    problem = _problem_of(first.validator)
    raise InvalidError(path, problem, _hint(first.validator, first.validator_value, first.instance))


def check_settings(path: str, schema: Any, value: Any) -> Any:
    """
    Return the settings *value* of a plugin, which stand at *path*, as its *schema* has them.

    Raises `ConfigError` that names the setting.
    """
    given = {} if value is None else value
    if schema is None:
        if given:
            raise ConfigError(path, "is not empty, but the plugin takes no settings", "remove it")
        return {}
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        try:
            return schema.model_validate(given)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False, include_context=False)[0]
            where = ".".join((path, *map(str, first["loc"])))
            raise ConfigError(where, first["msg"]) from None
    try:
        check_value(validator_of("configSchema", schema), path, given)
    except InvalidError as error:
        raise ConfigError(error.name, error.problem, error.hint) from None
    return given


def _problem_of(rule: Any) -> str:
    return _PROBLEMS.get(str(rule), f"breaks the rule {rule!r}")


def _hint(rule: Any, wanted: Any, instance: Any) -> str:
    if rule == "required" and isinstance(instance, Mapping):
        missing = ", ".join(repr(each) for each in wanted if each not in instance)
        return f"add {missing}"
    if rule == "enum":
        return f"use one of {', '.join(map(repr, wanted))}"
    if rule == "additionalProperties":
        return ""
    return f"{rule}: {wanted}" if isinstance(wanted, str | int | float) else ""
