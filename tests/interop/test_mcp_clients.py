"""Clients of MCP that others make, each a real program, against our server."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from oauth_person import begin
from openclaw_package import CONFORMANCE, CONFORMANCE_OLD, INSPECTOR, SQLITE, OpenClaw, Release
from real_state import free_port
from running_gateway import Gateway

import clawstate
from clawstate.mcp.http import create_app
from mcp_client import command
from mcp_http import served

pytestmark = pytest.mark.interop

# The others ask for tools, resources and prompts of a server that is made for these tests.
APPLICABLE = {
    *("caching", "completion-complete", "dns-rebinding-protection", "http-header-validation"),
    *("input-required-result-unsupported-methods", "prompts-list", "resources-list"),
    *("sep-2164-resource-not-found", "server-sse-multiple-streams", "server-stateless"),
    "tools-list",
}
APPLICABLE_OLD = {
    *("completion-complete", "dns-rebinding-protection", "ping", "prompts-list", "resources-list"),
    *("resources-subscribe", "resources-unsubscribe", "server-initialize"),
    *("server-sse-multiple-streams", "tools-list"),
}
TOOLS = {"memory_search", "memory_get", "memory_update", "memory_store", "memory_forget"}


def run(found: OpenClaw, words: list[str], home: Path, *, codes: tuple[int, ...] = (0,)) -> str:
    """Run a program of the package with its Node, in a home of its own."""
    done = subprocess.run(
        [str(found.node), *words],
        check=False,
        capture_output=True,
        text=True,
        cwd=home,
        env={**os.environ, **found.environment(home)},
        timeout=300,
    )
    assert done.returncode in codes, done
    return done.stdout


def checks(found: OpenClaw, home: Path, url: str, *options: str) -> dict[str, list[Any]]:
    """Return what the conformance suite says of each scenario."""
    program = found.root / "node_modules" / found.release.package / "dist" / "index.js"
    words = [str(program), "server", "--url", url, "-o", str(home / "results"), *options]
    run(found, words, home, codes=(0, 1))
    results: dict[str, list[Any]] = {}
    for path in (home / "results").glob("server-*/checks.json"):
        # The folder is the scenario between a prefix, if it has none, and the moment of the run.
        named = re.fullmatch(r"(.+)-\d{4}-\d\d-\d\dT.+", path.parent.name)
        assert named is not None
        told = json.loads(path.read_text())
        for scenario in {named[1], named[1].removeprefix("server-")}:
            results.setdefault(scenario, []).extend(told)
    return results


@pytest.mark.parametrize(
    ("release", "options", "applicable"),
    [
        (CONFORMANCE, ("--requirements", "2026-07-28"), APPLICABLE),
        (CONFORMANCE_OLD, (), APPLICABLE_OLD),
    ],
    ids=["2026-07-28", "before"],
)
def test_it_conforms(
    tmp_path: Path, package: Any, release: Release, options: tuple[str, ...], applicable: set[str]
) -> None:
    """All that the suite of the protocol can check of our server holds."""
    found = package(release)
    with clawstate.open(tmp_path / "state") as state:
        state.memory.add("Ada drinks green tea")
        with served(create_app(state, hosts=["127.0.0.1:*", "localhost:*"])) as url:
            results = checks(found, tmp_path, url, *options)

    failed = [
        (scenario, each["id"], each.get("errorMessage"))
        for scenario in applicable
        for each in results[scenario]
        # What needs a tool of the suite's own is told as a failure that cannot be tested.
        if each["status"] == "FAILURE" and "Not testable" not in each.get("errorMessage", "")
    ]
    assert failed == []
    assert all(any(each["status"] == "SUCCESS" for each in results[one]) for one in applicable)


def test_the_inspector_uses_the_tools(tmp_path: Path, package: Any) -> None:
    """The inspector lists and calls the tools, over stdio and over HTTP."""
    found = package(INSPECTOR)
    program = found.root / "node_modules" / INSPECTOR.package / "cli" / "build" / "cli.js"

    def inspect(*words: str) -> Any:
        return json.loads(run(found, [str(program), "--cli", *words], tmp_path))

    stdio = command(tmp_path / "state")
    store = ("--method", "tools/call", "--tool-name", "memory_store", "--tool-arg")
    made = inspect(*stdio, *store, "text=Ada drinks green tea")
    listed = inspect(*stdio, "--method", "tools/list")
    with (
        clawstate.open(tmp_path / "state") as state,
        served(create_app(state, hosts=["127.0.0.1:*"])) as url,
    ):
        search = ("--method", "tools/call", "--tool-name", "memory_search", "--tool-arg")
        met = inspect(url, "--transport", "http", *search, "query=tea")

    assert {each["name"] for each in listed["tools"]} >= TOOLS
    key = made["structuredContent"]["id"]
    assert [each["id"] for each in met["structuredContent"]["results"]] == [key]


def test_openclaw_connects_to_what_integrate_wrote(tmp_path: Path, package: Any) -> None:
    """OpenClaw accepts the entry that we write, connects, and sees the tools; undo removes it."""
    found = package(SQLITE)
    settings = tmp_path / ".openclaw" / "openclaw.json"
    settings.parent.mkdir(mode=0o700)
    before = "{\n  // mine\n  gateway: { mode: 'local' },\n}\n"
    settings.write_text(before)
    environment = {**os.environ, **found.environment(tmp_path)}
    ours = [sys.executable, "-m", "clawstate", "integrate", "openclaw"]

    subprocess.run(ours, check=True, capture_output=True, env=environment)
    written = settings.read_text()
    told = run(found, [*found.cli[1:], "mcp", "probe", "clawstate", "--json"], tmp_path)
    subprocess.run([*ours, "--undo"], check=True, capture_output=True, env=environment)

    probe = json.loads(told[told.index("{") :])
    assert "// mine" in written
    assert probe["diagnostics"] == []
    assert {each.removeprefix("clawstate__") for each in probe["tools"]} >= TOOLS
    assert "clawstate" not in settings.read_text()


def test_the_authorization_server_conforms(tmp_path: Path, package: Any) -> None:
    """The suite finds the metadata of the gateway, and gets a token once its owner agrees."""
    found = package(CONFORMANCE)
    program = found.root / "node_modules" / found.release.package / "dist" / "index.js"
    port = free_port()
    with Gateway(tmp_path / "state") as gateway:
        wish = {"client_name": "suite", "redirect_uris": ["http://127.0.0.1/callback"]}
        made = gateway.post("/register", wish, token=None).json
        options = ["--url", gateway.url, "--resource", f"{gateway.url}/mcp", "-p", str(port)]
        asking = subprocess.Popen(
            [found.node, program, "authorization", "--client-id", made["client_id"], *options],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **found.environment(tmp_path), "BROWSER": "true"},
        )
        told = ""
        for line in asking.stdout:
            told += line
            if (url := re.search(r"http\S+/authorize\?\S+", line)) is not None:
                place, code = begin(gateway, url[0])
                with clawstate.open(gateway.root) as state:
                    state.pairing.approve(code)
                back = gateway.get(place, token=None).headers["Location"]
                with urllib.request.urlopen(back) as answer:
                    answer.read()
        asking.stdout.close()

    assert asking.wait(60) == 0
    assert "0 failed" in told
    assert re.search(r"authorization-code-grant: [1-9]\d* passed, 0 failed", told)
