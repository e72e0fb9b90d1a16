"""The routes of the web UI: its page at every path that is no other's, and its files."""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

from clawstate.gateway.answers import is_named
from clawstate.gateway.oauth.places import AUTHORIZE, REGISTER, REVOKE, TOKEN
from clawstate.gateway.ui.assets import HOME, Asset, Assets

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
    "trusted-types clawstate"
)
"""What a page may load and do: nothing that is not ours, and no text ever becomes a script."""

_FOREVER: Final = "public, max-age=31536000, immutable"
_OTHERS: Final = frozenset(
    (
        *("api", "mcp", "metrics", "ws", "ui", ".well-known"),
        *(each.strip("/") for each in (AUTHORIZE, TOKEN, REGISTER, REVOKE)),
    )
)
"""Beginnings of the paths of programs."""


def add_pages(app: FastAPI, assets: Assets | None = None) -> None:
    """Add the routes to *app*, behind all others: a path that nothing else answers is a screen."""
    pages = _Pages(assets or Assets())
    methods = ["GET", "HEAD"]
    app.router.routes.extend(
        (
            Route("/ui/{version}/{name:path}", pages.file, methods=methods),
            Route("/sw.js", pages.worker, methods=methods),
            Route("/manifest.webmanifest", pages.manifest, methods=methods),
            _Screens("/{path:path}", pages.page, methods=methods),
        )
    )


class _Screens(Route):
    """Every path but those of programs, which learn of a wrong path or method as ever."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Tell whether the path of a request is that of a screen."""
        first = scope["path"].lstrip("/").partition("/")[0] if scope["type"] == "http" else "ws"
        return (Match.NONE, {}) if first in _OTHERS else super().matches(scope)


class _Pages:
    """Answers with files; called in worker threads, since files are read."""

    def __init__(self, assets: Assets) -> None:
        self._assets = assets

    def page(self, request: Request) -> Response:
        """Answer with the page, to whoever can show one."""
        if request.path_params["path"] and "text/html" not in request.headers.get("accept", ""):
            raise HTTPException(404)
        path = request.path_params["path"]
        is_home = not path or path.startswith("memory/")
        return self._answer_current(request, HOME if is_home else "index.html")

    def worker(self, request: Request) -> Response:
        """Answer with what keeps the page for times without a network."""
        return self._answer_current(request, "sw.js")

    def manifest(self, request: Request) -> Response:
        """Answer with what makes the page installable."""
        return self._answer_current(request, "manifest.webmanifest")

    def file(self, request: Request) -> Response:
        """Answer with a file of one version, good for ever."""
        snapshot = self._assets.known()
        if request.path_params["version"] != snapshot.version:
            snapshot = self._assets.current()
        found = snapshot.files.get(request.path_params["name"])
        # A page of an older version gets nothing, instead of modules that do not fit it.
        if found is None or request.path_params["version"] != snapshot.version:
            raise HTTPException(404)
        return _answer(request, found, _FOREVER)

    def _answer_current(self, request: Request, name: str) -> Response:
        return _answer(request, self._assets.current().files[name], "no-cache")


def _answer(request: Request, asset: Asset, cache: str) -> Response:
    headers = {"Cache-Control": cache, "Vary": "Accept-Encoding"}
    if cache != _FOREVER:  # a page, or the worker: what a module may do, its page says
        headers |= {"ETag": asset.etag, "Content-Security-Policy": POLICY}
    known = request.headers.get("if-none-match")
    if known is not None and is_named(known, asset.etag):
        return Response(status_code=304, headers=headers)
    body = asset.body
    if asset.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        body = asset.packed
    return Response(body, headers=headers, media_type=asset.media)
