"""What a gateway counts, in the text format of Prometheus."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from fastapi import Request
from starlette.responses import Response

from clawstate.gateway.access import require_caller
from clawstate.gateway.hub import Hub
from clawstate.gateway.journal import BOUNDS, Journal
from clawstate.gateway.routing import SCOPES
from clawstate.version import __version__

MEDIA = "text/plain; version=0.0.4; charset=utf-8"
"""The type of the text, as Prometheus asks for it."""


async def metrics(request: Request) -> Response:
    """Return the counts; it takes the scope to read."""
    await require_caller(request, SCOPES["read"])
    lines = _lines(request.app.state.journal, request.app.state.hub)
    return Response("\n".join(lines) + "\n", media_type=MEDIA)


def _lines(journal: Journal, hub: Hub) -> Iterator[str]:
    name = "clawstate_http_requests_total"
    yield from _head(name, "counter", "Requests by operation and status.")
    for (method, operation, status), count in sorted(journal.requests.items()):
        yield f'{name}{{method="{method}",operation="{operation}",status="{status}"}} {count}'
    name = "clawstate_http_request_duration_seconds"
    yield from _head(name, "histogram", "How long requests took.")
    total = 0
    for bound in (*BOUNDS, float("inf")):
        total += journal.durations[bound]
        told = "+Inf" if bound == float("inf") else bound
        yield f'{name}_bucket{{le="{told}"}} {total}'
    yield f"{name}_sum {journal.seconds:.6f}"
    yield f"{name}_count {total}"
    more: tuple[tuple[str, str, str, Any], ...] = (
        ("clawstate_defects_total", "counter", "Exceptions that are defects.", journal.defects),
        ("clawstate_event_listeners", "gauge", "Who listens to events.", len(hub)),
        ("clawstate_events_told_total", "counter", "Events sent to listeners.", hub.told),
        ("process_cpu_seconds_total", "counter", "CPU time used.", time.process_time()),
        ("process_resident_memory_bytes", "gauge", "Memory in use.", _resident()),
    )
    for name, kind, about, value in more:
        yield from _head(name, kind, about)
        yield f"{name} {value}"
    yield from _head("clawstate_info", "gauge", "The version that runs.")
    yield f'clawstate_info{{version="{__version__}"}} 1'


def _head(name: str, kind: str, about: str) -> tuple[str, str]:
    return f"# HELP {name} {about}", f"# TYPE {name} {kind}"


def _resident() -> int:
    with suppress(OSError, ValueError, IndexError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0
