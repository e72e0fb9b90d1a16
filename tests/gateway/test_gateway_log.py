"""The log of a gateway has what happened, and nothing that anybody sent."""

from __future__ import annotations

import json
import socket

from running_gateway import Gateway

SECRET = "sk-planted-0123456789abcdefghij"
API = "/api/v1"


def test_no_secret_gets_into_the_log(tmp_path) -> None:
    """Wherever a secret stands in a request, rightly or not, no line of the log has it."""
    log = tmp_path / "requests.jsonl"
    with Gateway(tmp_path / "state", "--log", str(log)) as gateway:
        body = {"type": "api_key", "provider": "openai", "key": SECRET}
        gateway.ask("PUT", f"{API}/auth/profiles/openai:default", body)
        gateway.get(f"{API}/memory/records/{SECRET}")
        gateway.get(f"/{SECRET}")
        gateway.get(f"{API}/memory/records?namespace={SECRET}&{SECRET}=1")
        gateway.get(f"{API}/status", token=SECRET)
        gateway.get(f"{API}/status", headers={"Cookie": SECRET, "User-Agent": SECRET})
        gateway.get("/health", headers={"Host": SECRET})
        gateway.post(f"{API}/memory/records", {"text": "x", SECRET: SECRET})
        gateway.post(f"{API}/memory/records", f'{{"{SECRET}'.encode())
        gateway.ask(SECRET[:20].upper().replace("-", ""), f"{API}/status")
        token = gateway.token

    lines = log.read_text()
    assert SECRET not in lines + gateway.log
    assert SECRET[:20].upper().replace("-", "") not in lines
    assert token not in lines + gateway.log
    assert log.stat().st_mode & 0o777 == 0o600
    first = json.loads(lines.splitlines()[0])
    assert (first["event"], first["operation"], first["status"]) == ("request", "auth.put", 200)


def test_what_is_no_http_is_refused_without_a_word(gateway: Gateway) -> None:
    """Bytes that are no request are refused, and are in no log."""
    host, _, port = gateway.place.partition(":")
    with socket.create_connection((host, int(port))) as sent:
        sent.sendall(f"{SECRET}\r\n\r\n".encode())
        answer = sent.recv(1 << 16)

    assert answer.startswith(b"HTTP/1.1 400")
    assert gateway.log == ""


def test_the_counts_tell_operations_and_not_paths(gateway: Gateway) -> None:
    """Counts are by operation, so whoever asks for many paths does not fill the memory."""
    for number in range(20):
        gateway.get(f"{API}/memory/records/{SECRET}-{number}")
        gateway.get(f"/nothing/{number}")

    told = gateway.get("/metrics").body.decode()

    line = 'clawstate_http_requests_total{method="GET",operation="memory.get",status="404"}'
    assert f"{line} 20\n" in told
    assert SECRET not in told
    assert "process_resident_memory_bytes" in told
    assert told.count("clawstate_http_requests_total{") < 8
