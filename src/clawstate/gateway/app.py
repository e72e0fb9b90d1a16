"""The ASGI application of a gateway: its operations over one opened state."""

from __future__ import annotations

from functools import partial

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Mount, Route

from clawstate.clock import to_ms
from clawstate.errors import StateError
from clawstate.gateway import description, device_flow, events, pairing, sign_in
from clawstate.gateway.access import Access
from clawstate.gateway.address import Address
from clawstate.gateway.answers import document, encode, error_answer, refusal
from clawstate.gateway.attempts import Attempts
from clawstate.gateway.backup_runs import BackupRuns
from clawstate.gateway.guard import Guard
from clawstate.gateway.hub import Hub
from clawstate.gateway.invalid import invalid_request
from clawstate.gateway.jobs import Job, Jobs
from clawstate.gateway.journal import Journal, Watch
from clawstate.gateway.mcp_mount import McpMount
from clawstate.gateway.metrics import metrics
from clawstate.gateway.moves import MoveWatch
from clawstate.gateway.oauth import endpoints
from clawstate.gateway.oauth.authorizations import Authorizations
from clawstate.gateway.oauth.clients import Clients
from clawstate.gateway.resources import (
    auth,
    backups,
    config,
    devices,
    memory,
    memory_inbox,
    memory_many,
    memory_map,
    memory_streams,
    memory_upkeep,
    sessions,
    timeline,
    transcripts,
    upkeep,
)
from clawstate.gateway.resources import jobs as job_resource
from clawstate.gateway.routing import BASE, Routes
from clawstate.gateway.tickets import Tickets
from clawstate.gateway.ui.routes import add_pages
from clawstate.state import State
from clawstate.version import __version__

ROUTES: tuple[Routes, ...] = (
    sign_in.routes,
    memory.routes,
    memory_inbox.routes,
    memory_many.routes,
    memory_map.routes,
    memory_upkeep.routes,
    memory_streams.routes,
    sessions.routes,
    transcripts.routes,
    timeline.routes,
    config.routes,
    auth.routes,
    pairing.routes,
    devices.routes,
    *(upkeep.status, upkeep.doctor, upkeep.store, upkeep.plugins, upkeep.dedupe),
    *(upkeep.agents, upkeep.changes),
    *(backups.routes, job_resource.routes),
    events.routes,
    description.routes,
)
"""All operations, by nouns."""

FAILED_TOKENS = 10
"""How many wrong tokens may come from one address in a minute."""

_WINDOW = 60.0
_KINDS = {400: "malformed", 404: "not_found", 405: "method", 413: "too_large"}


def create_app(
    state: State,
    address: Address,
    token: str,
    journal: Journal,
    *,
    jobs: Jobs | None = None,
    tickets: Tickets | None = None,
) -> FastAPI:
    """
    Return the application that serves *state*; *token* is its owner's.

    *jobs* and *tickets* are those of an application before, where it takes its place.
    """
    jobs = jobs or Jobs(state.clock, journal.note_defect)
    mcp = McpMount(state)
    app = FastAPI(
        title="clawstate",
        version=__version__,
        summary="The persistence layer of a personal AI agent.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.opened = state
    app.state.attempts = Attempts(FAILED_TOKENS, _WINDOW, state.clock)
    app.state.access = Access(state, token, app.state.attempts)
    app.state.tickets = tickets or Tickets(state.clock)
    app.state.asked = Attempts(device_flow.ASKED, _WINDOW, state.clock)
    app.state.pace = device_flow.Pace(state.clock)
    app.state.address = address
    app.state.clients = Clients(token, clock=state.clock)
    app.state.authorizations = Authorizations(state)
    app.state.oauth_asked = Attempts(endpoints.ASKED, _WINDOW, state.clock)
    for each in ROUTES:
        app.include_router(each)
    app.state.journal = journal
    app.state.hub = hub = Hub(state)

    def tell_of(job: Job) -> None:
        # What came of it is for those alone who may ask for it.
        form = {**job.form, "result": None, "error": None, "step": ""}
        hub.announce(encode({"type": "job", "job": form}))

    jobs.follow(tell_of)
    app.state.jobs = jobs
    app.state.backup_runs = BackupRuns(state, jobs, journal)
    app.state.move_watch = MoveWatch(state, jobs)
    app.state.mcp = mcp
    app.router.add_websocket_route("/ws", events.follow)
    app.router.routes.extend(endpoints.oauth_routes())
    app.router.routes.append(Route("/mcp", mcp))
    app.router.routes.append(Mount("/mcp", mcp))
    app.add_api_route("/metrics", metrics, methods=["GET"], include_in_schema=False)
    app.openapi = partial(description.describe, app, ROUTES)  # type: ignore[method-assign]
    app.add_api_route("/health", _health, methods=["GET"], include_in_schema=False)
    add_pages(app)
    app.add_exception_handler(StateError, _state_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _accident)
    app.add_middleware(Guard, address=address)
    app.add_middleware(Watch, journal=journal)
    return app


async def _health(request: Request) -> Response:
    now = to_ms(request.app.state.opened.clock())
    told = {"status": "ok", "service": "clawstate", "version": __version__, "timeMs": now}
    return document(told, headers={"Cache-Control": "no-store"})


async def _state_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, StateError)  # noqa: S101 - what the handler is registered for
    return error_answer(error)


async def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
    return invalid_request(request, error.errors())


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - as above
    kind = _KINDS.get(error.status_code, "invalid")
    told = {
        "not_found": f"there is nothing here; {BASE}/openapi.json tells what there is",
        "method": "this cannot be done here",
    }
    return refusal(kind, told.get(kind, str(error.detail)), headers=error.headers)


async def _accident(_request: Request, _error: Exception) -> Response:
    # The server is given the error as well, and has it noted.
    return refusal("internal", "this is a defect of clawstate; its log tells more")
