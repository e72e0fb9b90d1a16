"""The gateway as a process: its port, its link, its end."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys

import pytest
from running_gateway import Gateway


def run(root, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "clawstate", "--state-dir", str(root), "--json", "gateway"]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_peace(tmp_path, number) -> None:
    """A signal ends the gateway with exit code 0, and leaves nobody who believes that it runs."""
    gateway = Gateway(tmp_path / "state")

    assert gateway.stop(number) == 0
    assert gateway.log == ""
    assert json.loads(run(gateway.root, "status").stdout)["running"] is False


def test_status_and_open_find_it(gateway: Gateway) -> None:
    """Another process learns where it is, and makes a link that is good."""
    status = json.loads(run(gateway.root, "status").stdout)
    opened = json.loads(run(gateway.root, "open", "--print").stdout)

    told = {"running": True, "unit": None, "url": gateway.url, "pid": gateway.process.pid}
    assert status == told
    url, _, ticket = opened["link"].partition("/#token=")
    assert url == gateway.url
    assert gateway.post("/api/v1/sign-in", {"ticket": ticket}, token=None).status == 201


def test_a_second_one_is_told_of_the_first(gateway: Gateway) -> None:
    """A second gateway of one state is refused, and told process and address of the first."""
    refused = run(gateway.root, "run", "--port", "0")

    message = json.loads(refused.stdout)["error"]["message"]
    assert refused.returncode == 1
    assert str(gateway.process.pid) in message
    assert gateway.url in message


def test_a_port_that_is_taken_is_named_with_who_has_it(gateway: Gateway, tmp_path) -> None:
    """Where another gateway has the port, its process is named, and another port offered."""
    port = gateway.url.rpartition(":")[2]

    refused = run(tmp_path / "other", "run", "--port", port)

    message = json.loads(refused.stdout)["error"]["message"]
    assert f"another clawstate gateway (process {gateway.process.pid})" in message
    assert f"gateway run --port {int(port) + 1}" in message or "gateway run --port" in message


def test_a_port_of_a_stranger_is_named_with_its_program(tmp_path) -> None:
    """Where another program has the port, it is named."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        refused = run(tmp_path / "other", "run", "--port", str(held.getsockname()[1]))

    assert "is held by" in json.loads(refused.stdout)["error"]["message"]


def test_it_does_not_show_itself_to_others_in_the_clear(tmp_path) -> None:
    """An address that others reach is refused without TLS, and the error says how to get it."""
    refused = run(tmp_path / "state", "run", "--host", "0.0.0.0")

    error = json.loads(refused.stdout)["error"]
    assert error["type"] == "config"
    assert "gateway.tls" in error["message"]
    assert "reverse proxy" in error["message"]
