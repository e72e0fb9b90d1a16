"""The JSON Schemas that the tools of the memory share, and other names for their arguments."""

from __future__ import annotations

from typing import Any

CATEGORIES = ("preference", "fact", "decision", "entity", "other")
TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
TEXTS = {"type": "array", "items": TEXT}
SHARE = {"type": "number", "minimum": 0, "maximum": 1}
CATEGORY = {"type": "string", "minLength": 1, "description": f"Such as {', '.join(CATEGORIES)}."}
NAMESPACE = {**TEXT, "description": "Which memory is meant, where there are several."}
MEMORY: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": TEXT,
        "text": {"type": "string"},
        "source": {"type": ["string", "null"]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "createdAt": {"type": "string", "description": "ISO 8601, in UTC."},
    },
    "required": ["id", "text", "tags", "createdAt"],
}
RESULTS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "results": {
            "type": "array",
            "items": {
                **MEMORY,
                "properties": {**MEMORY["properties"], "score": {"type": "number"}},
            },
        },
        "mode": {"type": "string"},
    },
    "required": ["results", "mode"],
}
CONFLICT: dict[str, Any] = {
    "type": "object",
    "properties": {"kind": TEXT, "records": TEXTS, "about": TEXT, "advice": TEXT},
    "required": ["kind", "records", "about", "advice"],
}
COUNT_NAMES = dict.fromkeys(("k", "limit", "max_results", "topK"), "maxResults")
ID_NAMES = dict.fromkeys(("memoryId", "memory_id"), "id")


def object_schema(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    """Return the schema of an object of these *properties*, and of no others."""
    schema: dict[str, Any] = {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }
    return {**schema, "required": list(required)} if required else schema
