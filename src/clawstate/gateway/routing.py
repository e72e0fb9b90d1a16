"""`Routes`: the operations of one noun, each with the scope that it takes and what it answers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Iterator
from functools import wraps
from typing import Annotated, Any, Final, Literal, ParamSpec, TypeVar

from fastapi import APIRouter, Depends, Header, Request
from fastapi.routing import APIRoute
from starlette.responses import Response, StreamingResponse

from clawstate.errors import ConflictError, InvalidError
from clawstate.gateway.access import Caller, require_caller
from clawstate.gateway.answers import (
    ChangedError,
    ErrorDocument,
    document,
    etag_of,
    is_named,
)
from clawstate.gateway.journal import OPERATION
from clawstate.state import State

P = ParamSpec("P")
R = TypeVar("R")
Scope = Literal["open", "read", "write", "pairing", "admin"]

BASE: Final = "/api/v1"
SCOPES: Final = {
    "read": "operator.read",
    "write": "operator.write",
    "pairing": "operator.pairing",
    "admin": "operator.admin",
}
"""The scope of a token that an operation takes, by what it is called here."""

_SCOPE = "x-scope"
_ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    "default": {"model": ErrorDocument, "description": "Why nothing was done"}
}

_BYTES: Final[dict[str, Any]] = {
    "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
}


async def _state_of(request: Request) -> State:
    state: State = request.app.state.opened
    return state


async def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


Opened = Annotated[State, Depends(_state_of)]
"""The state that the gateway serves."""

Asking = Annotated[Caller, Depends(_caller)]
"""Who asks."""

IfMatch = Annotated[
    str | None,
    Header(description="Do it only to this version, the `ETag` of an answer.", max_length=4096),
]


class Route(APIRoute):
    """An operation that looks at the token before it reads anything else."""

    @property
    def scope_name(self) -> Scope:
        """The scope that it takes."""
        found: Scope = (self.openapi_extra or {})[_SCOPE]
        return found

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        handle, scope = super().get_route_handler(), self.scope_name
        known = [each.alias for each in self.dependant.query_params]

        async def answer(request: Request) -> Response:
            request.scope[OPERATION] = self.operation_id
            if scope != "open":
                caller = await require_caller(request, SCOPES[scope])
                request.state.caller, request.state.device = caller, caller.device_id
            # One that is passed over may be the one that was to say which records are meant.
            for name in request.query_params:
                if name not in known:
                    raise _unknown_parameter(name, known)
            try:
                response = await handle(request)
            except ConflictError as error:
                if "if-match" not in request.headers or isinstance(error, ChangedError):
                    raise
                # Changed between the look and the write. The next look tells the version of now.
                response = await _handle_again(handle, request)
            if request.method == "GET" and response.status_code == 200:
                return _with_version(request, response)
            return response

        return answer


class Routes(APIRouter):
    """
    The operations of *noun*, below `/api/v1/<noun>`.

    Each calls the state in a worker thread, and what it returns is sent in its JSON form.
    """

    def __init__(self, noun: str) -> None:
        super().__init__(prefix=f"{BASE}/{noun}", tags=[noun], route_class=Route)
        self._told: list[tuple[str, Callable[..., Any], dict[str, Any]]] = []

    def for_description(self) -> APIRouter:
        """
        Return the operations with what they answer, from which a description is made.

        The types of answers check nothing, and take a third of the time of a start to be read.
        """
        made = APIRouter(prefix=self.prefix, tags=self.tags, route_class=Route)
        for path, call, settings in self._told:
            made.add_api_route(path, call, **settings)
        return made

    def read(
        self, path: str, form: Any, *, scope: Scope = "read"
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Register an operation that changes nothing and answers a *form*, or bytes."""
        return self._register(path, form, method="GET", scope=scope, status=200)

    def write(
        self,
        path: str,
        form: Any,
        *,
        method: str = "POST",
        scope: Scope = "write",
        status: int = 200,
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Register an operation that may change something and answers a *form*."""
        return self._register(path, form, method=method, scope=scope, status=status)

    def _register(
        self, path: str, form: Any, *, method: str, scope: Scope, status: int
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        def register(call: Callable[P, R]) -> Callable[P, R]:
            @wraps(call)
            def endpoint(*args: P.args, **kwargs: P.kwargs) -> Response:
                found = call(*args, **kwargs)
                return found if isinstance(found, Response) else document(found, status=status)

            # Bytes are no form of JSON, which FastAPI would take them for.
            told = {"response_model": form, "responses": _ERRORS}
            if form is bytes:
                told = {"response_class": Response, "responses": {200: _BYTES, **_ERRORS}}
            settings = {"methods": [method], "status_code": status}
            self._add(path, endpoint, {**settings, **self._description(call, scope)}, told)
            return call

        return register

    def stream(
        self, path: str, media: str, *, method: str = "GET", scope: Scope = "read"
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Register an operation that answers in pieces of the type *media*, as they come."""

        def register(call: Callable[P, R]) -> Callable[P, R]:
            content = {"content": {media: {"schema": {"type": "string"}}}}
            settings = {"methods": [method], "response_class": Response}
            told = {"responses": {200: content, **_ERRORS}}
            self._add(path, call, {**settings, **self._description(call, scope)}, told)
            return call

        return register

    def _add(
        self, path: str, call: Callable[..., Any], settings: dict[str, Any], told: dict[str, Any]
    ) -> None:
        self.add_api_route(path, call, **settings, response_model=None)
        self._told.append((path, call, {**settings, **told}))

    def _description(self, call: Callable[..., object], scope: Scope) -> dict[str, Any]:
        told = inspect.getdoc(call) or ""
        summary, _, _ = told.partition("\n")
        return {
            "summary": summary.removesuffix("."),
            "description": told,
            "operation_id": f"{self.tags[0]}.{call.__name__}",
            "openapi_extra": {
                _SCOPE: scope,
                "security": [] if scope == "open" else [{"bearer": []}],
            },
        }


async def _handle_again(
    handle: Callable[[Request], Coroutine[Any, Any, Response]], request: Request
) -> Response:
    try:
        return await handle(request)
    except ConflictError as error:
        if isinstance(error, ChangedError):
            raise
        raise ChangedError(error.kind, error.key) from error


def _unknown_parameter(name: str, known: list[str]) -> InvalidError:
    hint = f"use {', '.join(known)}" if known else "this takes none"
    return InvalidError("query parameter", f"{name[:40]!r} is unknown", hint)


def operations(routes: list[Any]) -> Iterator[Route]:
    """Give the operations among *routes*."""
    for each in routes:
        if isinstance(each, Route):
            yield each


def _with_version(request: Request, response: Response) -> Response:
    """Return *response* with its version, or that the client has it already."""
    if isinstance(response, StreamingResponse):
        return response
    etag = etag_of(bytes(response.body))
    known = request.headers.get("if-none-match")
    if known is not None and (known.strip() == "*" or is_named(known, etag)):
        return Response(status_code=304, headers={"ETag": etag, "Cache-Control": "no-cache"})
    response.headers["ETag"] = etag
    # Kept by a client, but never used without asking: it may be gone by then.
    response.headers["Cache-Control"] = "no-cache"
    return response
