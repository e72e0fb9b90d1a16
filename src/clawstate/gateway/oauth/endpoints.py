"""The endpoints of the authorization server, as routes beside the operations."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from clawstate.errors import LimitError, NotFoundError, StateError
from clawstate.gateway.access import source_of
from clawstate.gateway.answers import encode
from clawstate.gateway.attempts import Attempts
from clawstate.gateway.oauth import places
from clawstate.gateway.oauth.authorizations import (
    Authorizations,
    Question,
    Verdict,
    Wish,
    wish_of,
)
from clawstate.gateway.oauth.clients import Clients
from clawstate.gateway.oauth.errors import OAuthError
from clawstate.gateway.oauth.pages import STYLE_TEXT, consent_page, message_page, waiting_page
from clawstate.stores.devices.client_tokens import ClientToken

ASKED: Final = 60
"""How often in a minute programs of one address may register, or show who they are."""

_LONGEST_FORM = 64 * 1024
_MOST_FIELDS = 32
_NO_STORE = {"Cache-Control": "no-store"}
_KEPT = {"Cache-Control": "public, max-age=300"}

Endpoint = Callable[[Request], Awaitable[Response]]


def oauth_routes() -> list[Route]:
    """Return the routes; each is open, for whoever comes has no token yet."""
    resource, server = places.RESOURCE_METADATA, places.SERVER_METADATA
    return [
        Route(resource + places.MCP, _resource_metadata),
        Route(resource, _resource_metadata),
        Route(server, _server_metadata),
        Route(places.REGISTER, _as_documents(_register), methods=["POST"]),
        Route(places.AUTHORIZE, _as_pages(_consider), methods=["GET"]),
        Route(places.AUTHORIZE, _as_pages(_ask), methods=["POST"]),
        Route(places.STYLE, _style),
        Route(f"{places.AUTHORIZE}/{{key}}", _as_pages(_wait), methods=["GET"]),
        Route(places.TOKEN, _as_documents(_give_token), methods=["POST"]),
        Route(places.REVOKE, _as_documents(_revoke), methods=["POST"]),
    ]


async def _resource_metadata(request: Request) -> Response:
    return _document(places.resource_metadata(request), headers=_KEPT)


async def _server_metadata(request: Request) -> Response:
    return _document(places.server_metadata(request), headers=_KEPT)


async def _style(_request: Request) -> Response:
    return Response(STYLE_TEXT, headers=_KEPT, media_type="text/css")


async def _register(request: Request) -> Response:
    _require_few(request)
    body = await _body(request)
    try:
        wish = json.loads(body)
    except (ValueError, RecursionError):
        raise OAuthError("invalid_client_metadata", "the body is no JSON") from None
    clients: Clients = request.app.state.clients
    return _document(clients.register(wish), status=201)


async def _consider(request: Request) -> Response:
    """Show what is asked for: a page elsewhere may have led here, so nothing is asked yet."""
    _require_few(request)
    given = _once(request.query_params.multi_items())
    return await _with_wish(request, given, lambda wish: _consent(wish, given))


async def _ask(request: Request) -> Response:
    asked: Attempts = request.app.state.asked
    _require_pace(request, asked)
    authorizations: Authorizations = request.app.state.authorizations

    async def ask(wish: Wish) -> Response:
        key = await to_thread.run_sync(authorizations.ask, wish, source_of(request) or None)
        return RedirectResponse(f"{places.AUTHORIZE}/{key}", 303, _NO_STORE)

    return await _with_wish(request, await _form(request), ask)


async def _wait(request: Request) -> Response:
    key: str = request.path_params["key"]
    authorizations: Authorizations = request.app.state.authorizations
    question = authorizations.question(key)
    if question is None:
        text = "This page is over: go back to the program that led here. You can close this tab."
        return message_page("Nothing waits here", text)
    verdict = await to_thread.run_sync(authorizations.verdict, question)
    if verdict is Verdict.WAITING:
        return waiting_page(question)
    if verdict is Verdict.APPROVED:
        code = authorizations.issue_code(key)
        return _back(question.wish, code=code) if code else await _wait(request)
    authorizations.drop(key)
    return _refuse(question, verdict)


async def _give_token(request: Request) -> Response:
    given = await _form(request)
    authorizations: Authorizations = request.app.state.authorizations
    kind = given.get("grant_type")
    _require_resource(request, given)
    client_id = _require(given, "client_id")
    if kind == "authorization_code":
        code, uri = _require(given, "code"), _require(given, "redirect_uri")
        verifier = _require(given, "code_verifier")
        made = await to_thread.run_sync(
            lambda: authorizations.redeem(
                code, client_id=client_id, redirect_uri=uri, verifier=verifier
            )
        )
    elif kind == "refresh_token":
        token = _require(given, "refresh_token")
        made = await to_thread.run_sync(
            lambda: authorizations.tokens.refresh(token, client_id=client_id)
        )
    else:
        told = "grant_type is authorization_code or refresh_token"
        raise OAuthError("unsupported_grant_type" if kind else "invalid_request", told)
    return _document(_token_form(made))


async def _revoke(request: Request) -> Response:
    given = await _form(request)
    authorizations: Authorizations = request.app.state.authorizations
    token, client_id = _require(given, "token"), _require(given, "client_id")
    await to_thread.run_sync(lambda: authorizations.tokens.revoke(token, client_id=client_id))
    return _document({})  # also for a token that is none: RFC 7009, section 2.2


async def _with_wish(
    request: Request, given: Mapping[str, str], answer: Callable[[Wish], Awaitable[Response]]
) -> Response:
    """Return what *answer* makes of the wish; what is wrong with it goes back to the client."""
    clients: Clients = request.app.state.clients
    client = await to_thread.run_sync(clients.require, given.get("client_id"))
    redirect_uri = client.require_redirect(given.get("redirect_uri"))
    issuer = places.issuer_of(request)
    try:
        resource = _require_resource(request, given)
        wish = wish_of(client, redirect_uri, given, resource=resource, issuer=issuer)
    except OAuthError as error:
        # Only from here on is it known that the address is the client's own.
        told = {"error": error.kind, "error_description": str(error), "iss": issuer}
        return _redirect(redirect_uri, {**told, "state": given.get("state")})
    return await answer(wish)


async def _consent(wish: Wish, given: Mapping[str, str]) -> Response:
    return consent_page(wish, given)


def _refuse(question: Question, verdict: Verdict) -> Response:
    wish = question.wish
    is_late = verdict is Verdict.EXPIRED
    why = "nobody decided in time" if is_late else "the owner turned this client away"
    told = {"error": "access_denied", "error_description": why, "iss": wish.issuer}
    return _redirect(wish.redirect_uri, {**told, "state": wish.state})


def _back(wish: Wish, *, code: str) -> Response:
    return _redirect(wish.redirect_uri, {"code": code, "state": wish.state, "iss": wish.issuer})


def _redirect(uri: str, told: Mapping[str, str | None]) -> Response:
    given = urlencode({name: value for name, value in told.items() if value is not None})
    return RedirectResponse(f"{uri}{'&' if '?' in uri else '?'}{given}", 302, _NO_STORE)


def _token_form(made: ClientToken) -> dict[str, Any]:
    return {
        "access_token": made.access,
        "token_type": "Bearer",
        "expires_in": int(made.lifetime),
        "refresh_token": made.refresh,
        "scope": " ".join(made.scopes),
    }


def _as_documents(endpoint: Endpoint) -> Endpoint:
    """Return *endpoint*, whose refusals are those of RFC 6749."""

    @wraps(endpoint)
    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except OAuthError as error:
            kind, text = error.kind, str(error)
        except NotFoundError as error:
            kind, text = "invalid_grant", str(error)
        status = 401 if kind == "invalid_client" else 400
        return _document({"error": kind, "error_description": text}, status=status)

    return answer


def _as_pages(endpoint: Endpoint) -> Endpoint:
    """Return *endpoint*, whose refusals are pages: there is no address to send them to."""

    @wraps(endpoint)
    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except OAuthError as error:
            return message_page("This cannot be done", str(error), status=400)
        except LimitError as error:
            return message_page("Not now", str(error), status=429)
        except StateError as error:
            return message_page("This cannot be done now", str(error), status=503)

    return answer


def _document(
    form: Any, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(encode(form), status, headers or _NO_STORE, "application/json")


async def _body(request: Request) -> bytes:
    read = b""
    async for part in request.stream():
        read += part
        if len(read) > _LONGEST_FORM:
            raise OAuthError("invalid_request", f"a request has at most {_LONGEST_FORM:,} bytes")
    return read


async def _form(request: Request) -> dict[str, str]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        problem = "parameters are sent as application/x-www-form-urlencoded"
        raise OAuthError("invalid_request", problem)
    try:
        text = (await _body(request)).decode("ascii")
        found = parse_qsl(
            text, keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict"
        )
    except ValueError:
        raise OAuthError("invalid_request", "the body holds no parameters") from None
    return _once(found)


def _once(items: list[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in items:
        if name in found:
            raise OAuthError("invalid_request", f"{name[:40]!r} is given twice")
        if value:  # RFC 6749, section 3.1: without a value it counts as left out
            found[name] = value
    return found


def _require(given: Mapping[str, str], name: str) -> str:
    if name not in given:
        raise OAuthError("invalid_request", f"{name} is missing")
    return given[name]


def _require_resource(request: Request, given: Mapping[str, str]) -> str:
    resource = places.resource_of(request)
    if not places.is_resource(request, given.get("resource")):
        raise OAuthError("invalid_target", f"resource is {resource}")
    return resource


def _require_few(request: Request) -> None:
    _require_pace(request, request.app.state.oauth_asked)


def _require_pace(request: Request, asked: Attempts) -> None:
    source = source_of(request)
    if (wait := asked.wait(source)) > 0:
        raise LimitError("questions to be let in", asked.limit, "wait", wait)
    asked.note(source)
