"""What an OpenClaw says of its state and does with it, as accounts that can be compared."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from openclaw_package import SQLITE
from real_state import Ended, GatewayError, RealState

# Places that the SQLite era has given up: what lies there is taken for a state of an old release.
RETIRED = (
    *("agents/*/agent/auth-profiles.json", "agents/*/agent/auth.json", "agents/*/sessions/*.json"),
    *("sessions/*.json", "sessions/*.jsonl", "identity/*.json", "devices/*.json"),
    *("credentials/*.json", "memory/main.sqlite", "cron/*.json", "agent/*"),
)
# Places of the file era that an older release has given up: its doctor moves them.
LEGACY = ("sessions/*.json", "sessions/*.jsonl", "agent/*")
# The records of the file era that both write, each keeping what the other does not know.
SHARED = (
    *("agents/*/agent/auth-profiles.json", "agents/*/sessions/sessions.json"),
    *("credentials/*-pairing.json", "credentials/*-allowFrom.json", "identity/device.json"),
)
# What SQLite itself changes beside a database that is only read.
_SIDE = ("*-shm", "*-wal")

# Lines that tell of sessions, of which there may be more; and of the time that something took.
_HARMLESS = re.compile(
    r"^- (agent:|global|unknown)|^Session store \(|\(N entries\)$|^[-=]*$|Nm ago|elapsedMs|"
    r"missing session title|^Session titles$|^Plugin registry|plugins indexed|slow SQLite"
)
_COMPLAINT = re.compile(
    r"unrecogni|invalid|legacy|degraded|refus|differs|migrat|corrupt|quarantin|not valid|fail|"
    r"repair|unknown key|rejected",
    re.IGNORECASE,
)
_ASIDE = re.compile(
    r"remote model catalog|slow SQLite|clawhub|perplexity|gmail|bonjour|startup model warmup"
    r"|database-verify|getaddrinfo|update status failed",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Account:
    """
    What happened to a state in the hands of its OpenClaw.

    *seen* is how many messages the model was sent at each of the turns; *codes* is how each
    command ended; *complaints* is what the doctor and the log of the gateway say.
    """

    seen: Mapping[str, int]
    codes: Mapping[str, int | None]
    complaints: frozenset[str]
    said: str

    def harm(self, before: Account) -> list[str]:
        """Return which turns and commands went worse than *before*, on a copy left alone."""
        lost = [
            f"{turn}: the model was sent {self.seen.get(turn, 0)} messages instead of {count}"
            for turn, count in before.seen.items()
            if self.seen.get(turn, 0) < count
        ]
        refused = [
            f"{name}: exit {self.codes.get(name)} instead of {code}"
            for name, code in before.codes.items()
            if self.codes.get(name) != code
        ]
        return [*lost, *refused]

    def lost_turns(self, before: Account) -> int:
        return sum(self.seen.get(turn, 0) < count for turn, count in before.seen.items())

    def refusals(self, before: Account) -> int:
        return sum(self.codes.get(name) != code for name, code in before.codes.items())


def examine(
    real: RealState, *, moves_in: bool = False, meanwhile: Callable[[], None] | None = None
) -> Account:
    """
    Let OpenClaw use the state: turns, its gateway, its doctor; *meanwhile* runs beside the gateway.

    First a turn without a gateway and the start of the gateway, then the doctor, which would mend
    what the first two had stumbled over. Where it *moves in*, which is to say into a state that
    another release kept, or nobody, its repair comes first, as it asks for; what that one moves
    and tells of is no complaint.
    """
    real.model.forget()
    seen: dict[str, int] = {}
    codes: dict[str, int | None] = {}
    ended: list[Ended] = []
    logs = ""

    def take(name: str, done: Ended) -> None:
        codes[name] = done.code
        ended.append(done)

    def turn(name: str, *, local: bool) -> None:
        take(name, real.turn(f"this is {name}", local=local))
        seen[name] = len(real.seen(f"this is {name}"))

    if moves_in:
        first = real.run("doctor", "--fix", "--non-interactive")
        codes["moving in"] = first.code
    turn("the first turn", local=True)
    try:
        with real.gateway():
            codes["the gateway"] = 0
            if meanwhile is not None:
                meanwhile()
            turn("the turn through the gateway", local=False)
            take("the doctor", real.run("doctor", "--non-interactive"))
            logs = real.said()
    except GatewayError as error:
        codes["the gateway"] = error.code
        logs = str(error)
    check = (
        ("config", "validate") if real.openclaw.release is SQLITE else ("config", "get", "gateway")
    )
    take("the configuration", real.run(*check))
    take("the repair", real.run("doctor", "--fix", "--non-interactive"))
    turn("the turn after the repair", local=True)
    said = f"{first}\n" if moves_in else ""
    said += "\n".join(map(str, (e for e in ended if "agent" not in e.words))) + logs
    said += "\n".join(f"{e.words}: {e.code} {e.err[-2000:]}" for e in ended if "agent" in e.words)
    doctors = frozenset[str]().union(*(e.lines for e in ended if "doctor" in e.words))
    logged = Ended((), 0, logs, "").lines | frozenset[str]().union(
        *(Ended((), 0, "", e.err).lines for e in ended if "agent" in e.words)
    )
    loud = {line for line in logged if _COMPLAINT.search(line)}
    both = {each for each in doctors | loud if not _HARMLESS.search(each)}
    return Account(seen, codes, frozenset(e for e in both if not _ASIDE.search(e)), said)


def fingerprint(root: Path) -> dict[str, str]:
    """Return a digest of each file below *root*, without what SQLite changes when it reads."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.is_symlink() and not is_any(path.name, _SIDE)
    }


def touched(before: Mapping[str, str], after: Mapping[str, str]) -> set[str]:
    """Return the files that were there and are other, or gone."""
    return {name for name, digest in before.items() if after.get(name) != digest}


def misplaced(
    before: Mapping[str, str], after: Mapping[str, str], places: tuple[str, ...]
) -> set[str]:
    """Return the new files that lie where OpenClaw takes them for its own old ones."""
    return {name for name in after.keys() - before.keys() if is_any(name, places)}


def is_any(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(name, each) for each in patterns)
