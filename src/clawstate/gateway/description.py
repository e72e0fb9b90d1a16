"""The OpenAPI document: what each operation takes and answers, and which scope it needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.utils import get_openapi

from clawstate.gateway.routing import Routes

routes = Routes("openapi.json")

_ABOUT = """\
Errors are `{"error": {"type", "message"}}`. Every operation but `sign-in` takes a bearer token:
that of a paired device, or the owner's in `state/gateway-token`; `x-scope` names the scope that the
token needs. Answers of `GET` have an `ETag`: send it back as `If-None-Match` to hear of changes
alone, and as `If-Match` to change only what was read.
"""


@routes.read("", dict[str, Any])
def openapi(request: Request) -> dict[str, Any]:
    """Return this description of all operations."""
    app: FastAPI = request.app
    return app.openapi()


def describe(app: FastAPI, operations: Sequence[Routes]) -> dict[str, Any]:
    """Return the OpenAPI document of *app* with all *operations*, which is made once."""
    if app.openapi_schema is None:
        described = APIRouter()
        for each in operations:
            described.include_router(each.for_description())
        made = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            description=_ABOUT,
            routes=described.routes,
        )
        schemes = made.setdefault("components", {}).setdefault("securitySchemes", {})
        schemes["bearer"] = {"type": "http", "scheme": "bearer"}
        # Ours says why in another form than FastAPI's, which is never sent.
        for path in made["paths"].values():
            for operation in path.values():
                operation["responses"].pop("422", None)
        for name in ("HTTPValidationError", "ValidationError"):
            made["components"]["schemas"].pop(name, None)
        app.openapi_schema = made
    return app.openapi_schema
