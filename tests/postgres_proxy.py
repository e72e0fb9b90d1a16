"""A server in between that loses what it is told to lose: requests, or their answers."""

from __future__ import annotations

import contextlib
import socket
import tempfile
import threading
from pathlib import Path


class Proxy:
    """
    Forwards connections to the Unix socket in the directory *target*.

    Of the next request that holds `token` it loses the answer, with both connections, after the
    server has given it; the request itself if `loses_request`.
    """

    def __init__(self, target: Path) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="cs-px-"))
        self.token: bytes | None = None
        self.loses_request = False
        self.lost = 0
        self.is_silent = False
        self._target = str(target / ".s.PGSQL.5432")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.directory / ".s.PGSQL.5432"))
        self._listener.listen(16)
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()
        for pair in self._pairs:
            _cut(pair)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._target)
                pair = (client, server)
                self._pairs.append(pair)
                threading.Thread(target=self._requests, args=(pair,), daemon=True).start()
                threading.Thread(target=self._answers, args=(pair,), daemon=True).start()

    def _requests(self, pair: tuple[socket.socket, socket.socket]) -> None:
        client, server = pair
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                token = self.token
                if token is not None and token in data:
                    self.token = None
                    self.lost += 1
                    if not self.loses_request:
                        self._marked = pair
                        server.sendall(data)
                        continue
                    _cut(pair)
                    return
                server.sendall(data)
        _cut(pair)

    _marked: tuple[socket.socket, socket.socket] | None = None

    def _answers(self, pair: tuple[socket.socket, socket.socket]) -> None:
        client, server = pair
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                if self._marked is pair:
                    self._marked = None
                    break
                if self.is_silent:
                    continue
                client.sendall(data)
        _cut(pair)


def _cut(pair: tuple[socket.socket, socket.socket]) -> None:
    for each in pair:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()
