"""What is wrong with a request, in our words: no value that was refused is repeated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from clawstate.gateway.answers import refusal
from clawstate.quantities import number_of

_SENTENCES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "missing": lambda _: "is missing",
    "extra_forbidden": lambda _: "is unknown",
    "string_type": lambda _: "is no text",
    "string_too_short": lambda about: f"has fewer than {_characters(about['min_length'])}",
    "string_too_long": lambda about: f"has more than {_characters(about['max_length'])}",
    "int_type": lambda _: "is no whole number",
    "int_parsing": lambda _: "is no whole number",
    "int_from_float": lambda _: "is no whole number",
    "float_type": lambda _: "is no number",
    "float_parsing": lambda _: "is no number",
    "finite_number": lambda _: "is no finite number",
    "bool_type": lambda _: "is neither true nor false",
    "bool_parsing": lambda _: "is neither true nor false",
    "list_type": lambda _: "is no list",
    "tuple_type": lambda _: "is no list",
    "dict_type": lambda _: "is no object",
    "model_type": lambda _: "is no object",
    "model_attributes_type": lambda _: "is no object",
    "literal_error": lambda about: f"is none of {about['expected']}",
    "greater_than_equal": lambda about: f"is less than {about['ge']}",
    "greater_than": lambda about: f"is not more than {about['gt']}",
    "less_than_equal": lambda about: f"is more than {about['le']}",
    "less_than": lambda about: f"is not less than {about['lt']}",
    "too_long": lambda about: f"has more than {_items(about['max_length'])}",
    "too_short": lambda about: f"has fewer than {_items(about['min_length'])}",
}
_SHOWN = 5
_LONGEST = 60  # characters of a name, which may come from outside


def invalid_request(request: Request, errors: Sequence[Any]) -> Response:
    """Return the refusal of a *request* that is wrong in these ways, of which some are named."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_json = kind == "application/json" or kind.endswith("+json")
    of_body = [each for each in errors if each["loc"][0] == "body"]
    if of_body and any(each["type"] == "missing" and len(each["loc"]) == 1 for each in of_body):
        return refusal("invalid", "the body is missing; send a JSON object")
    if of_body and not is_json:
        problem = "the body was not sent as JSON; add the header Content-Type: application/json"
        return refusal("invalid", problem)
    if any(each["type"] == "json_invalid" for each in errors):
        return refusal("malformed", "the body is no JSON")
    told = [f"{_place(each['loc'])} {_sentence(each)}" for each in errors[:_SHOWN]]
    return refusal("invalid", "; ".join(told))


def _characters(count: int) -> str:
    return number_of(count, "character", "characters")


def _items(count: int) -> str:
    return number_of(count, "item", "items")


def _place(steps: Sequence[Any]) -> str:
    found = ".".join(str(each)[:_LONGEST] for each in steps[1:])
    return found or f"the {steps[0]}"


def _sentence(error: Mapping[str, Any]) -> str:
    made = _SENTENCES.get(error["type"])
    return str(error["msg"]) if made is None else made(error.get("ctx") or {})
