from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clawstate.cli.completion import SCRIPTS
from clawstate.cli.main import NOUNS

HEAVY = {"pydantic", "rich", "numpy", "asyncio", "apsw"}


def answers(cli, *words: str) -> list[str]:
    """Return the words that can take the place of the last of *words*."""
    told = cli("completion", "--answer", "--", *words)
    assert (told.code, told.err) == (0, "")
    return [line.split("\t")[1] for line in told.out.splitlines()]


@pytest.fixture
def filled(cli) -> None:
    """Keep one of everything that has a name."""
    cli("config", "set", "gateway.port", "18790")
    cli("auth", "add", "openai:default", stdin=b"sk-0123456789abcdef")
    cli("sessions", "create", "telegram:42")
    cli("sessions", "create", "telegram:$(touch x)")
    cli("pairing", "request", "--user", "ada", "--device", "phone")
    cli("dedupe", "check", "x", "--namespace", "telegram")


def test_nouns_verbs_and_options_complete(cli) -> None:
    """Each word is completed by what may stand there, as the commands themselves say."""
    assert answers(cli, "") == list(NOUNS)
    assert answers(cli, "mem") == ["memory"]
    assert {"add", "search"} <= set(answers(cli, "memory", ""))
    assert answers(cli, "memory", "search", "--mo") == ["--mode"]
    assert answers(cli, "memory", "search", "--mode", "") == ["hybrid", "words", "vector"]
    assert "--json" in answers(cli, "--json", "status", "--")


def test_names_that_are_kept_complete(cli, filled) -> None:
    """Keys, ids, codes and namespaces are completed by those that there are."""
    code = cli("pairing", "list", "--json").json["requests"][0]["code"]

    assert answers(cli, "sessions", "show", "tele") == ["telegram:42"]
    assert answers(cli, "transcripts", "search", "--key", "") == ["telegram:42"]
    assert answers(cli, "auth", "show", "") == ["openai:default"]
    assert answers(cli, "auth", "order", "") == ["openai"]
    assert answers(cli, "pairing", "approve", "") == [code]
    assert answers(cli, "dedupe", "prune", "-n", "") == ["telegram"]
    assert answers(cli, "--agent", "") == ["main"]
    assert "gateway.port" in answers(cli, "config", "get", "gateway.")


def test_what_means_something_to_a_shell_is_not_offered(cli, filled) -> None:
    """A name that a stranger chose is never put on a command line if a shell would run it."""
    assert len(cli("sessions", "list", "--json").json["sessions"]) == 2

    assert answers(cli, "sessions", "show", "") == ["telegram:42"]


@pytest.mark.parametrize(
    "noun", [[], ["sessions", "show"], ["config", "get"], ["pairing", "approve"]]
)
def test_completing_creates_nothing(cli, tmp_path: Path, noun: list[str]) -> None:
    """To ask for names makes no state, and a damaged one gives none instead of an error."""
    answers(cli, *noun, "")
    assert not (tmp_path / "state").exists()

    (tmp_path / "state").mkdir()
    for name in ("openclaw.json", "sessions/sessions.json", "pairing.json"):
        file = tmp_path / "state" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text("{ broken")
    answers(cli, *noun, "")


def test_asking_for_words_loads_nothing_heavy(environment) -> None:
    """The Tab key does not wait for what only running a command needs."""
    code = (
        "import sys; from clawstate.cli.main import run; "
        "run(['completion', '--answer', '--', 'memory', 'search', '--m']); "
        "print(' '.join(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )

    assert "--mode" in done.stdout
    assert not HEAVY & set(done.stderr.split())


@pytest.mark.parametrize("shell", SCRIPTS)
def test_the_script_comes_without_a_state(cli, shell: str, tmp_path: Path) -> None:
    """The script is printed as it is, or in one document, and needs nothing."""
    assert cli("completion", shell).out == SCRIPTS[shell]
    assert json.loads(cli("completion", shell, "--json").out) == {"script": SCRIPTS[shell]}
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("words", [[], ["tcsh"], ["bash", "zsh"]])
def test_a_shell_has_to_be_named(cli, words: list[str]) -> None:
    """Without one of the three shells it is a usage error that names them."""
    failed = cli("completion", *words)

    assert failed.code == 2
    assert "bash, zsh or fish" in failed.err


class Shell:
    """A real shell on a terminal, into which is typed."""

    def __init__(self, command: list[str], environment: dict[str, str], cwd: Path) -> None:
        self._pid, self._file = pty.fork()
        if not self._pid:
            os.chdir(cwd)
            os.execvpe(command[0], command, environment)
        self.seen = ""

    def type(self, text: str, *, until: str) -> str:
        """Type *text* and return what appears, which has to match *until*."""
        self.seen = ""
        os.write(self._file, text.encode())
        deadline = time.monotonic() + 60
        while not re.search(until, self.seen):
            left = deadline - time.monotonic()
            assert left > 0, f"{until!r} did not appear in {self.seen!r}"
            if select.select([self._file], [], [], left)[0]:
                self.seen += os.read(self._file, 65_536).decode(errors="replace")
        return self.seen

    def end(self) -> None:
        os.close(self._file)
        os.waitpid(self._pid, 0)


STARTS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], 'eval "$(clawstate completion bash)"'),
    "zsh": (["zsh", "-f", "-i"], 'eval "$(clawstate completion zsh)"'),
    "fish": (["fish", "--no-config", "-i"], "clawstate completion fish | source"),
}


@pytest.mark.parametrize("shell", STARTS)
def test_a_real_shell_completes(program, environment, tmp_path: Path, shell: str) -> None:
    """In each shell the Tab key finishes a noun, a verb, an option and a key with a colon."""
    command, setup = STARTS[shell]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed (make system)")
    program("sessions", "create", "telegram:42")
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "clawstate").write_text(f'#!/bin/sh\nexec {sys.executable} -m clawstate "$@"\n')
    (bin_ / "clawstate").chmod(0o755)
    environment.update(PATH=f"{bin_}:{environment['PATH']}", TERM="dumb", LC_ALL="C.UTF-8")
    environment["COLUMNS"] = "200"
    opened = Shell(command, environment, tmp_path)
    try:
        opened.type(f"{setup}; printf 'rea''dy\\n'\n", until="ready\r?\n")

        opened.type("clawstate sess\tli\t--js\t\n", until=r'"sessions": \[')
        opened.type("clawstate sessions show telegram:\t--json\n", until=r'"sessionId"')
        opened.type("clawstate memory search tea --mo\two\t --json\n", until=r'"mode": "words"')
    finally:
        opened.end()
