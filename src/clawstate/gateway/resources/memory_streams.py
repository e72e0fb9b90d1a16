"""Operations of the noun `memory` that answer as they go: all records, and another embedder."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, Final

from anyio import to_thread
from fastapi import Query
from pydantic import Field
from starlette.responses import Response, StreamingResponse

from clawstate.errors import StateError
from clawstate.gateway.answers import encode
from clawstate.gateway.bodies import Body
from clawstate.gateway.routing import Opened, Routes
from clawstate.memory.records import MemoryRecord
from clawstate.state import State
from clawstate.wire import to_wire
from clawstate.wire.memory import export_form

routes = Routes("memory")

LINES: Final = "application/jsonl"
_PAGE = 1000
_NO_STORE = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

OneNamespace = Annotated[
    str | None, Query(max_length=256, description="One namespace; all if it is left out.")
]


class NewVectors(Body):
    """The embedder that makes the vectors from now on."""

    embedder: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    dry_run: bool = Field(default=True, description="Tell what it would take, and do nothing.")


@routes.stream("/export", LINES)
def export(state: Opened, *, namespace: OneNamespace = None) -> Response:
    """
    Send all records as JSON Lines, which `/memory/import` and `clawstate memory import` take.

    A record that is made meanwhile may be among them, or not.
    """
    headers = {**_NO_STORE, "Content-Disposition": 'attachment; filename="memory.jsonl"'}
    return StreamingResponse(_records(state, namespace), headers=headers, media_type=LINES)


@routes.stream("/reembed", LINES, method="POST", scope="admin")
async def reembed(state: Opened, body: NewVectors) -> Response:
    """
    Give all records vectors of another embedder, and tell how far it is, a line of JSON each.

    The first line is the plan, `{"type": "plan", ...}`; `progress` has `done` of `total`; the last
    one is `done`, or `error` as errors are. Searches go on meanwhile. Who goes away stops it; the
    next call goes on.
    """
    plan = await to_thread.run_sync(lambda: state.memory.reembed(body.embedder, dry_run=True))
    first = _line("plan", to_wire(plan))
    if body.dry_run:
        return Response(first, headers=_NO_STORE, media_type=LINES)
    told = _reembed(state, body.embedder, first)
    return StreamingResponse(told, headers=_NO_STORE, media_type=LINES)


def _records(state: State, namespace: str | None) -> Iterator[bytes]:
    after: str | None = None
    while True:
        page: list[MemoryRecord] = state.memory.records(
            namespace=namespace, after=after, limit=_PAGE
        )
        if not page:
            return
        yield b"".join(encode(export_form(each)) + b"\n" for each in page)
        after = page[-1].id


async def _reembed(state: State, embedder: str | None, first: bytes) -> AsyncIterator[bytes]:
    loop, lines = asyncio.get_running_loop(), asyncio.Queue[bytes | None]()
    is_gone = threading.Event()

    def tell(done: int, total: int) -> None:
        told = _line("progress", {"done": done, "total": total})
        loop.call_soon_threadsafe(lines.put_nowait, told)

    def work() -> None:
        try:
            found = state.memory.reembed(embedder, progress=tell, cancelled=is_gone.is_set)
            last = _line("done", to_wire(found))
        except StateError as error:
            # The status went out with the first line, so it is told as the last one.
            last = _line("error", {"error": {"type": error.code, "message": str(error)}})
        loop.call_soon_threadsafe(lines.put_nowait, last)
        loop.call_soon_threadsafe(lines.put_nowait, None)

    yield first
    working = asyncio.ensure_future(to_thread.run_sync(work))
    try:
        while (line := await lines.get()) is not None:
            yield line
    finally:
        is_gone.set()
        await asyncio.shield(working)


def _line(kind: str, form: Any) -> bytes:
    return encode({"type": kind, **form}) + b"\n"
