"""A model on loopback that speaks as much of OpenAI's API as an agent needs to take a turn."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


class FakeModel:
    """Answers every question, and keeps what it was asked; to be used with `with`."""

    def __init__(self, port: int = 0) -> None:
        self._asked: list[list[dict[str, Any]]] = []
        model = self

        class Handler(_Handler):
            fake = model

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def said_to(self, text: str) -> list[dict[str, Any]]:
        """Return the messages of the last question that has *text* near its end, or none."""
        for messages in reversed(self._asked):
            if any(text in _text(each) for each in messages[-3:]):
                return messages
        return []

    def forget(self) -> None:
        """Forget all that was asked."""
        self._asked.clear()

    def take(self, messages: list[dict[str, Any]]) -> str:
        """Note the question, and return the answer to it."""
        self._asked.append(messages)
        user = [_text(each) for each in messages if each.get("role") == "user"]
        last = user[-1].strip().splitlines()[-1][:120] if user and user[-1].strip() else ""
        return f"You said: {last}"


def _text(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fake: FakeModel

    def do_GET(self) -> None:
        self._send({"object": "list", "data": [{"id": "fake", "object": "model"}]})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.endswith("/embeddings"):
            texts = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
            found = [{"index": n, "embedding": _vector(text)} for n, text in enumerate(texts)]
            self._send({"object": "list", "data": found, "model": asked.get("model")})
        elif self.path.endswith("/chat/completions"):
            self._answer(asked)
        else:
            self._send({"error": {"message": f"no such path {self.path}"}}, status=404)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, asked: dict[str, Any]) -> None:
        text = self.fake.take(asked.get("messages", []))
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        head = {"id": "answer", "created": int(time.time()), "model": asked.get("model")}
        message = {"role": "assistant", "content": text}
        if not asked.get("stream"):
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            kind = "chat.completion"
            self._send({**head, "object": kind, "choices": [choice], "usage": usage})
            return
        parts = [
            {"choices": [{"index": 0, "delta": message, "finish_reason": None}]},
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
            {"choices": [], "usage": usage},
        ]
        kind = "chat.completion.chunk"
        lines = [json.dumps({**head, "object": kind, **part}) for part in parts]
        body = "".join(f"data: {line}\n\n" for line in [*lines, "[DONE]"])
        self._send_bytes(body.encode(), "text/event-stream", 200)

    def _send(self, document: object, status: int = 200) -> None:
        self._send_bytes(json.dumps(document).encode(), "application/json", status)

    def _send_bytes(self, body: bytes, kind: str, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _vector(text: str) -> list[float]:
    """Return a vector of eight numbers, the same for the same text."""
    numbers = [float(sum(text.encode()[at::8]) % 97 + 1) for at in range(8)]
    length = sum(each * each for each in numbers) ** 0.5
    return [each / length for each in numbers]
