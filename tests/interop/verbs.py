"""Every verb of our command line: what it is run with beside an OpenClaw, or that it only reads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import click

import clawstate
from clawstate.cli.main import root

HERE = Path(__file__).parent
SOURCE = Path(clawstate.__file__).parents[1]
SECRET = "sk-made-up-0123456789abcdef"
MAIN = "agent:main:main"
EDITOR = (
    "import sys; p = sys.argv[1]; t = open(p).read(); open(p, 'w').write(t + '\\n// looked at\\n')"
)


class VerbError(Exception):
    """A verb ended as it must not; the message has what it printed."""


@dataclass(frozen=True)
class Done:
    """How one run of our command line ended."""

    code: int
    out: str
    err: str


@dataclass
class Ours:
    """
    Our command line in *home*, each run in a process of its own; to be closed, or used with `with`.

    *other* is the directory of another OpenClaw.
    """

    home: Path
    other: Path
    beside: bool
    """Whether the directory is an OpenClaw's."""
    called: list[tuple[str, ...]] = field(default_factory=list)
    _runner: subprocess.Popen[str] | None = field(default=None, repr=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __call__(self, *words: str, stdin: str = "", codes: tuple[int, ...] = (0,)) -> Any:
        """Run a verb, and return the document that it printed."""
        done = self.run(*words, stdin=stdin)
        if done.code not in codes or "Traceback" in done.err:
            raise VerbError(f"clawstate {' '.join(words)}: {done.code}\n{done.err}{done.out}")
        try:
            return json.loads(done.out)
        except ValueError:
            return done.out

    def run(self, *words: str, stdin: str = "") -> Done:
        self.called.append(words)
        return self._ask({"words": [*words, "--json"], "stdin": stdin})

    def call(self, name: str) -> None:
        """Make the call *name* of the library; raises `VerbError`."""
        done = self._ask({"call": name})
        if done.code != 0:
            raise VerbError(f"{name}: {done.err}")

    def close(self) -> None:
        """End the process that runs them."""
        if self._runner is not None:
            self._runner.communicate()

    def _ask(self, asked: dict[str, Any]) -> Done:
        if self._runner is None:
            self._runner = subprocess.Popen(
                [sys.executable, HERE / "verb_runner.py"],
                env={
                    "HOME": str(self.home),
                    "PATH": os.environ.get("PATH", os.defpath),
                    "PYTHONPATH": str(SOURCE),
                    "EDITOR": f"{sys.executable} {self.file('editor.py', EDITOR)}",
                },
                cwd=self.home,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self._runner.stdin is not None
        assert self._runner.stdout is not None
        self._runner.stdin.write(json.dumps(asked) + "\n")
        self._runner.stdin.flush()
        return Done(**json.loads(self._runner.stdout.readline()))

    def file(self, name: str, text: str) -> Path:
        """Return a file beside the home, with that text."""
        path = self.home.parent / name
        path.write_text(text)
        return path

    # What several verbs need before them.

    def credential(self, name: str = "openai:ours") -> str:
        words = ("--provider", "openai", "--type", "api_key")
        self("auth", "add", name, *words, stdin=f"{SECRET}\n")
        return name

    def session(self, key: str = "agent:main:ours") -> str:
        self("sessions", "create", key)
        return key

    def messages(self, key: str = "agent:main:ours") -> str:
        text = json.dumps({"role": "user", "content": "a word of ours"})
        self("transcripts", "append", self.session(key), stdin=f"{text}\n")
        return key

    def code(self, device: str) -> str:
        return str(self("pairing", "request", "--user", "ada", "--device", device)["code"])

    def device(self, name: str) -> tuple[str, str]:
        return name, str(self("pairing", "approve", self.code(name))["token"])

    def record(self) -> str:
        return str(self("memory", "add", "Ada prefers green tea")["id"])


Recipe = Callable[[Ours], object]

RECIPES: dict[str, Recipe] = {}
"""What each verb that writes is run with: it is the last of the verbs that its recipe runs."""

READING: dict[str, tuple[str, ...]] = {
    "memory archived": (),
    "memory conflicts": (),
    "memory duplicates": (),
    "memory explain": ("tea", "00000000-0000-4000-8000-000000000000"),
    "memory export": (),
    "memory inbox": (),
    "memory recall": ("tea",),
    "memory get": ("00000000-0000-4000-8000-000000000000",),
    "memory list": (),
    "memory search": ("tea",),
    "memory stats": (),
    "watch": ("--once",),
    "backup list": (),
    "backup status": (),
    "rollback": ("--list",),
    "audit head": (),
    "audit verify": (),
    "config diff": (),
    "config get": ("gateway.port",),
    "config history": (),
    "config path": (),
    "config schema": (),
    "config show": (),
    "config validate": (),
    "diff": ("--since", "yesterday"),
    "auth audit": (),
    "auth list": (),
    "auth show": ("openai:ours",),
    "auth status": (),
    "sessions export": (MAIN,),
    "sessions list": (),
    "sessions show": (MAIN,),
    "transcripts export": (MAIN, "-"),
    "transcripts list": (),
    "transcripts search": ("word",),
    "transcripts show": (MAIN,),
    "transcripts stats": (),
    "pairing list": (),
    "devices list": ("--all",),
    "devices verify": ("a-device",),
    "dedupe stats": (),
    "gateway install": ("--dry-run",),
    "gateway open": ("--print",),
    "gateway status": (),
    "gateway uninstall": (),
    "matrix paths": (),
    "plugins list": (),
    "completion": ("bash",),
    "version": (),
    "store status": (),
    "store serve": ("--status",),
    "status": (),
    "doctor": (),
}
"""The verbs that only read, and what they are run with."""


def writes(verb: str) -> Callable[[Recipe], Recipe]:
    """Note the function as the recipe of *verb*."""

    def noted(recipe: Recipe) -> Recipe:
        RECIPES[verb] = recipe
        return recipe

    return noted


def verbs() -> tuple[str, ...]:
    """Return every verb of the command line, from the table of its commands."""
    return tuple(_below(root, ()))


def unknown() -> tuple[str, ...]:
    """Return the verbs that nobody has said here how to run."""
    return tuple(each for each in verbs() if each not in RECIPES and each not in READING)


def _below(command: click.Command, path: tuple[str, ...]) -> list[str]:
    if not isinstance(command, click.Group):
        return [" ".join(path)]
    context = click.Context(command)
    found = [" ".join(path)] if command.invoke_without_command and path else []
    for name in command.list_commands(context):
        below = command.get_command(context, name)
        assert below is not None
        found += _below(below, (*path, name))
    return found


@writes("memory add")
def _(ours: Ours) -> None:
    ours("memory", "add", "Ada prefers green tea", "--tag", "fact")


@writes("memory compact")
def _(ours: Ours) -> None:
    ours("memory", "forget", ours.record())
    ours("memory", "compact")


@writes("memory fetch-model")
def _(ours: Ours) -> None:
    ours("memory", "fetch-model", "--from", str(SOURCE), codes=(1,))


@writes("memory forget")
def _(ours: Ours) -> None:
    ours("memory", "forget", ours.record(), "--receipt")
    ours("memory", "forget", ours.record())


@writes("memory reembed")
def _(ours: Ours) -> None:
    ours("memory", "reembed", "--embedder", "wordllama")
    ours("memory", "reembed", "--embedder", "static")


@writes("memory import")
def _(ours: Ours) -> None:
    # As `make run` does.
    ours("memory", "import", str(SOURCE.parent / "README.md"), str(SOURCE.parent / "docs"))
    # What OpenClaw itself remembers, too: it must stay as it is.
    ours("memory", "import", str(ours.home / ".openclaw" / "workspace"), codes=(0, 1, 2, 3))


@writes("memory optimize")
def _(ours: Ours) -> None:
    ours.record()
    ours("memory", "optimize")


@writes("memory archive")
def _(ours: Ours) -> None:
    ours("memory", "archive", ours.record())


@writes("memory restore")
def _(ours: Ours) -> None:
    record = ours.record()
    ours("memory", "archive", record)
    ours("memory", "restore", record)


@writes("memory retain")
def _(ours: Ours) -> None:
    ours("memory", "retain", "--tag", "nothing", "--older-than", "1d")


@writes("memory supersede")
def _(ours: Ours) -> None:
    ours("memory", "supersede", ours.record(), "Ada prefers black tea")


@writes("memory resolve")
def _(ours: Ours) -> None:
    ours("memory", "resolve", ours.record(), "--keep", "mine", codes=(3,))


@writes("memory history")
def _(ours: Ours) -> None:
    ours("memory", "history", ours.record())
    ours("memory", "history", "--clear", ours.record())


@writes("memory update")
def _(ours: Ours) -> None:
    ours("memory", "update", ours.record(), "--text", "Ada prefers black tea")


@writes("config set")
def _(ours: Ours) -> None:
    ours("config", "set", "messages.responsePrefix", "[ours]")
    ours("--agent", "main", "config", "set", "messages.responsePrefix", "[of main]")
    for path, value in OWN_SETTINGS.items() if ours.beside else ():
        # Refused where it would hide what lies in files.
        codes = (0, 1) if path == "state.store" else (0,)
        ours("config", "set", path, value, codes=codes)


@writes("config unset")
def _(ours: Ours) -> None:
    ours("config", "set", "messages.responsePrefix", "[ours]")
    ours("config", "unset", "messages.responsePrefix")
    if ours.beside:
        ours("config", "set", "pairing.ttl", "600")
        ours("config", "unset", "pairing.ttl")


@writes("config undo")
def _(ours: Ours) -> None:
    ours("config", "set", "messages.responsePrefix", "[ours]")
    ours("config", "undo")


@writes("config restore")
def _(ours: Ours) -> None:
    ours("config", "restore", "gateway.port", "--as-of", "now")


@writes("config edit")
def _(ours: Ours) -> None:
    ours("config", "edit")


@writes("auth add")
def _(ours: Ours) -> None:
    ours.credential()


@writes("auth order")
def _(ours: Ours) -> None:
    ours("auth", "order", "openai", ours.credential("openai:second"))


@writes("auth remove")
def _(ours: Ours) -> None:
    ours("auth", "remove", ours.credential("openai:third"))


@writes("auth import")
def _(ours: Ours) -> None:
    ours("auth", "import")


@writes("auth encrypt")
def _(ours: Ours) -> None:
    ours.credential("openai:sealed")
    ours("auth", "encrypt", "--key", "file")


@writes("auth rekey")
def _(ours: Ours) -> None:
    ours.credential("openai:sealed")
    ours("auth", "encrypt", "--key", "file")
    ours("auth", "rekey")


@writes("auth decrypt")
def _(ours: Ours) -> None:
    ours.credential("openai:sealed")
    ours("auth", "encrypt", "--key", "file")
    ours("auth", "decrypt")


@writes("sessions create")
def _(ours: Ours) -> None:
    ours.session()
    ours.session(MAIN)


@writes("sessions reset")
def _(ours: Ours) -> None:
    ours("sessions", "reset", ours.session("agent:main:anew"))


@writes("sessions delete")
def _(ours: Ours) -> None:
    ours("sessions", "delete", ours.session("agent:main:gone"))


@writes("sessions restore")
def _(ours: Ours) -> None:
    key = ours.session("agent:main:back")
    ours("sessions", "delete", key)
    ours("sessions", "restore", key)


@writes("sessions prune")
def _(ours: Ours) -> None:
    ours.session("agent:main:old")
    ours("sessions", "prune", "--older-than", "30d", "--enforce")


@writes("transcripts append")
def _(ours: Ours) -> None:
    ours.messages()
    ours.messages(MAIN)


@writes("transcripts delete")
def _(ours: Ours) -> None:
    ours("transcripts", "delete", ours.messages("agent:main:forgotten"))


@writes("transcripts import")
def _(ours: Ours) -> None:
    message = {"role": "user", "content": "taken over"}
    line = json.dumps({"type": "message", "id": "0a543b41", "parentId": None, "message": message})
    path = ours.file("lines.jsonl", f"{line}\n")
    ours("transcripts", "import", ours.session("agent:main:taken"), str(path))


@writes("transcripts prune")
def _(ours: Ours) -> None:
    ours.messages("agent:main:long")
    ours("transcripts", "prune", "--most-sessions", "5")


@writes("pairing request")
def _(ours: Ours) -> None:
    ours.code("asking")


@writes("pairing approve")
def _(ours: Ours) -> None:
    ours.device("phone")


@writes("pairing reject")
def _(ours: Ours) -> None:
    ours("pairing", "reject", ours.code("stranger"))


@writes("devices rename")
def _(ours: Ours) -> None:
    ours("devices", "rename", ours.device("named")[0], "Ada's tablet")


@writes("devices invite")
def _(ours: Ours) -> None:
    ours("devices", "invite", "--scope", "operator.read")


@writes("devices rotate")
def _(ours: Ours) -> None:
    ours("devices", "rotate", ours.device("turned")[0])


@writes("devices revoke")
def _(ours: Ours) -> None:
    ours("devices", "revoke", ours.device("lost")[0])


@writes("devices remove")
def _(ours: Ours) -> None:
    ours("devices", "remove", ours.device("sold")[0])


@writes("dedupe check")
def _(ours: Ours) -> None:
    ours("dedupe", "check", "update-1", "--namespace", "telegram")


@writes("dedupe forget")
def _(ours: Ours) -> None:
    ours("dedupe", "check", "update-2", "--namespace", "telegram")
    ours("dedupe", "forget", "update-2", "--namespace", "telegram")


@writes("dedupe prune")
def _(ours: Ours) -> None:
    ours("dedupe", "check", "update-3", "--namespace", "telegram")
    ours("dedupe", "prune")


@writes("memory capture")
def _(ours: Ours) -> None:
    said = json.dumps({"role": "user", "content": "From now on always answer in German"})
    ours("memory", "capture", "--session", MAIN, stdin=said)


@writes("memory accept")
def _(ours: Ours) -> None:
    ours("memory", "accept", waiting_item(ours, "Never mention the moon to anybody"))


@writes("memory reject")
def _(ours: Ours) -> None:
    ours("memory", "reject", waiting_item(ours, "Never mention the sun to anybody"))


def waiting_item(ours: Ours, text: str) -> str:
    said = json.dumps({"role": "user", "content": text})
    return str(ours("memory", "capture", stdin=said)["inbox"][0])


@writes("mcp serve")
def _(ours: Ours) -> None:
    client = {"name": "ours", "version": "1"}
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client}
    note = {"name": "memory_store", "arguments": {"text": "Ada has a red bicycle"}}
    asked = (("initialize", hello), ("tools/call", note))
    told = [
        json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        for number, (method, params) in enumerate(asked)
    ]
    answers = ours("mcp", "serve", stdin="\n".join(told))
    if '"action":"created"' not in answers:
        raise VerbError(f"clawstate mcp serve: {answers}")


@contextmanager
def _gateway(ours: Ours) -> Iterator[str]:
    """Run the gateway of the state, and give its URL."""
    words = ("gateway", "run", "--port", "0")
    ours.called.append(words)
    with subprocess.Popen(
        [sys.executable, "-m", "clawstate", *words],
        env={"HOME": str(ours.home), "PATH": os.defpath, "PYTHONPATH": str(SOURCE)},
        stdout=subprocess.PIPE,
        text=True,
    ) as gateway:
        assert gateway.stdout is not None
        first = gateway.stdout.readline()
        try:
            yield first.partition("listening at ")[2].strip()
        finally:
            gateway.terminate()
    if gateway.returncode or not first.startswith("listening"):
        raise VerbError(f"clawstate gateway run: {gateway.returncode}\n{first}")


@writes("integrate")
def _(ours: Ours) -> None:
    for words in (["--dry-run"], [], ["--undo"]):
        ours("integrate", "codex", *words)


@writes("gateway run")
def _(ours: Ours) -> None:
    with _gateway(ours):
        pass


@writes("devices pair")
def _(ours: Ours) -> None:
    with _gateway(ours) as url:
        link = ours("devices", "invite", "--url", url)["link"]
        ours("devices", "pair", "--invited", stdin=link)


@writes("plugins enable")
def _(ours: Ours) -> None:
    ours("plugins", "enable", "memory-lancedb")


@writes("plugins disable")
def _(ours: Ours) -> None:
    ours("plugins", "enable", "memory-core")
    ours("plugins", "disable", "memory-core")


@writes("import openclaw")
def _(ours: Ours) -> None:
    # Exit 1 says that something was passed over, which is not what is looked at here.
    for _ in range(2):
        ours("import", "openclaw", str(ours.other), codes=(0, 1))


@writes("backup create")
def _(ours: Ours) -> None:
    ours("backup", "create", str(ours.home.parent / "kept.tar.gz"), "--exclude", "workspace/*")


@writes("audit enable")
def _(ours: Ours) -> None:
    key, head = ours.home.parent / "audit.key", ours.home.parent / "audit.head"
    ours.record()
    ours("audit", "enable", "--key", f"file:{key}", "--head", str(head))
    ours.record()
    ours("audit", "verify")


@writes("audit disable")
def _(ours: Ours) -> None:
    ours("audit", "disable")


@writes("backup enable")
def _(ours: Ours) -> None:
    ours("backup", "enable", "--dry-run")


@writes("backup run")
def _(ours: Ours) -> None:
    ours("backup", "run", codes=(3,))


@writes("backup disable")
def _(ours: Ours) -> None:
    ours("backup", "disable")


@writes("backup verify")
def _(ours: Ours) -> None:
    ours("backup", "verify", str(ours.home.parent / "kept.tar.gz"))


@writes("backup restore")
def _(ours: Ours) -> None:
    file = str(ours.home.parent / "kept.tar.gz")
    ours("backup", "restore", file, "--to", str(ours.home.parent / "restored"))


@writes("store migrate")
def _(ours: Ours) -> None:
    ours.session("agent:main:moved")
    ours("store", "migrate", "--to", "sqlite", codes=(0, 1))
    ours("store", "migrate", "--to", "file", codes=(0, 1))  # refused where OpenClaw has rows
    ours("store", "migrate", "memory", "--to", "sqlite", "--dry-run")


@writes("store restore")
def _(ours: Ours) -> None:
    """Put nothing back where nothing gave way to another."""
    ours("store", "restore", "auth:main/profile/openai:nobody", codes=(1, 3))


@writes("store clean")
def _(ours: Ours) -> None:
    ours.session("agent:main:cleaned")
    ours("store", "migrate", "--to", "sqlite", codes=(0, 1))  # refused beside its files
    ours("store", "clean", "--yes")


@writes("doctor --fix")
def _(ours: Ours) -> None:
    ours.session("agent:main:seen")
    ours.credential("openai:seen")
    ours("doctor", "--fix", codes=(0, 1))


OWN_SETTINGS = {
    "state.store": "sqlite",
    "pairing.limit": "5",
    "caches.query.ttl": "60",
    "locks.stale": "40000",
    "memory.store.type": "sqlite",
    "gateway.host": "localhost",
    "auth.order": '["openai:ours"]',
}
"""Settings that OpenClaw does not know: one of them in its file, and the whole file is refused."""
