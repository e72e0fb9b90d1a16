"""
A server for embeddings on the loopback that speaks the protocol, and misbehaves when told to.

Real HTTP over real sockets; what it answers next is a list of *answers*, each a function that gets
the handler and the request, or a name of `MISBEHAVIOURS`. An empty list means a right answer.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import socket
import struct
import threading
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from loopback import Handler, listening

PATIENCE = 30.0
KEY = "sk-canary-5d1f0b7a92d84e63c0ffee"


@dataclass
class Request:
    path: str
    headers: dict
    body: dict

    @property
    def texts(self):
        return self.body["input"]


@dataclass
class EmbeddingServer:
    dimensions: int = 8
    key: str | None = KEY
    port: int = 0
    requests: list = field(default_factory=list)
    answers: deque = field(default_factory=deque)
    always: object = None
    released: threading.Event = field(default_factory=threading.Event)
    connections: int = 0
    certificate: object = None

    @property
    def url(self):
        return f"http{'s' if self.certificate else ''}://127.0.0.1:{self.port}/v1"

    @property
    def texts(self):
        return [text for each in self.requests for text in each.texts]

    def vector(self, text, dimensions=None):
        """Return a vector made of the words of *text*: texts that share words are near."""
        row = np.zeros(dimensions or self.dimensions)
        for word in text.lower().split():
            seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big")
            row += np.random.default_rng(seed).standard_normal(len(row))
        return row if row.any() else np.ones(len(row))

    def unit(self, text):
        row = self.vector(text)
        return (row / np.linalg.norm(row)).astype(np.float32)

    def items(self, request):
        rows = [self.vector(text) for text in request.texts]
        if request.body.get("encoding_format") == "base64":
            made = [base64.b64encode(row.astype("<f4").tobytes()).decode() for row in rows]
        else:
            made = [row.tolist() for row in rows]
        return [
            {"object": "embedding", "index": number, "embedding": each}
            for number, each in enumerate(made)
        ]

    def right(self, handler, request):
        send(handler, 200, {"object": "list", "data": self.items(request), "model": "m"})


def send(handler, status, body, headers=()):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    handler.send_response(status)
    for name, value in headers:
        handler.send_header(name, value)
    if not any(name == "Content-Length" for name, _ in headers):
        handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data)


def status(code, *headers, message="no", error_code=None):
    error = {"error": {"message": message, "code": error_code}}
    return lambda handler, _: send(handler, code, error, headers)


def changed(change):
    """Answer rightly, but for what *change* does to the list of vectors."""

    def answer(handler, request):
        items = handler.server.told.items(request)
        send(handler, 200, {"object": "list", "data": change(items) or items, "extra": {"a": [1]}})

    return answer


def of_vector(make):
    def change(items):
        items[-1]["embedding"] = make(items[-1]["embedding"])

    return changed(change)


def body(data, *headers):
    return lambda handler, _: send(handler, 200, data, headers)


def html(handler, request):
    send(handler, 200, b"<!doctype html><h1>Sign in</h1>", [("Content-Type", "text/html")])


def cut_in_mid_body(handler, request):
    data = json.dumps({"data": handler.server.told.items(request)}).encode()
    send(handler, 200, data[: len(data) // 2], [("Content-Length", str(len(data)))])
    handler.close_connection = True


def truncated(handler, request):
    """Half of the JSON, under a length that says it is whole."""
    data = json.dumps({"data": handler.server.told.items(request)}).encode()
    send(handler, 200, data[: len(data) // 2])


def reset(handler, request):
    # A reset and no end: what `SO_LINGER` with no time does.
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def silent(handler, request):
    """Nothing, until the test is over."""
    handler.server.told.released.wait(PATIENCE)
    handler.close_connection = True


def dripping(handler, request):
    """Send blanks, one at a time, for ever."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    while not handler.server.told.released.wait(0.02):
        handler.wfile.write(b" ")
        handler.wfile.flush()


def gzipped(handler, request):
    data = gzip.compress(json.dumps({"data": handler.server.told.items(request)}).encode())
    send(handler, 200, data, [("Content-Encoding", "gzip")])


def cut_gzip(handler, request):
    data = gzip.compress(json.dumps({"data": handler.server.told.items(request)}).encode())
    send(handler, 200, data[:-12], [("Content-Encoding", "gzip")])


def chunked(handler, request, *, end=b"0\r\n\r\n"):
    data = json.dumps({"data": handler.server.told.items(request)}).encode()
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    for begin in range(0, len(data), 100):
        piece = data[begin : begin + 100]
        handler.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
    handler.wfile.write(end)
    handler.close_connection = not end


def cut_chunks(handler, request):
    chunked(handler, request, end=b"")


@contextmanager
def serving(**settings):
    """Give an `EmbeddingServer` that answers at its `url`."""
    told = EmbeddingServer(**settings)

    class EmbeddingHandler(Handler):
        protocol_version = "HTTP/1.1"

        def setup(self):
            super().setup()
            told.connections += 1

        def post(self):
            data = self.rfile.read(int(self.headers["Content-Length"]))
            request = Request(self.path, dict(self.headers), json.loads(data))
            told.requests.append(request)
            wanted = None if told.key is None else f"Bearer {told.key}"
            try:
                if self.headers["Authorization"] != wanted:
                    said = f"Incorrect API key provided: {self.headers['Authorization']}"
                    send(self, 401, {"error": {"message": said}})
                    return
                answer = told.answers.popleft() if told.answers else told.always or told.right
                answer(self, request)
            except OSError:
                self.close_connection = True  # who asked is gone

    with listening(EmbeddingHandler, certificate=told.certificate) as listener:
        listener.told = told
        told.port = listener.server_port
        try:
            yield told
        finally:
            told.released.set()
