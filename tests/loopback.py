"""HTTP on the loopback for the servers of tests: quiet, in threads, and gone with its block."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    """Answers what is posted with `post`, and writes no log."""

    def do_POST(self) -> None:
        """Answer."""
        self.post()

    def post(self) -> None:
        """Answer what is posted."""
        raise NotImplementedError

    def log_message(self, *_: object) -> None:
        """Write nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_: object) -> None:
        """Write nothing: who asked is gone."""


@contextmanager
def listening(
    handler: type[Handler], *, certificate: Path | None = None
) -> Iterator[ThreadingHTTPServer]:
    """Give a server on a port of its own that answers with *handler*, over TLS if it has one."""
    with _Server(("127.0.0.1", 0), handler) as listener:
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            listener.socket = context.wrap_socket(listener.socket, server_side=True)
        thread = threading.Thread(target=lambda: listener.serve_forever(0.02), daemon=True)
        thread.start()
        try:
            yield listener
        finally:
            listener.shutdown()
            thread.join()
