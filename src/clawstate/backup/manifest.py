"""`Manifest`: what a backup holds, with digests, counts, and answers that it must give again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from clawstate.backup.container import FORMAT
from clawstate.errors import CorruptError

Kind: TypeAlias = Literal["file", "database", "link", "directory"]
Whose: TypeAlias = Literal["clawstate", "openclaw", "other"]

NAME = "manifest.json"
"""What the manifest is called in the archive: its last member."""

ROOT = "state"
"""The directory of the archive in which the state lies."""


@dataclass(frozen=True, slots=True)
class Item:
    """
    One thing in a backup, at *path* below the state directory, of *size* bytes.

    *target* is where a link leads. *modified* is in milliseconds since the epoch.
    """

    path: str
    kind: Kind
    whose: Whose
    size: int = 0
    sha256: str = ""
    mode: int = 0o600
    modified: int = 0
    target: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """A row that was read from the state itself: its *table*, its *key*, a digest of its values."""

    table: str
    key: str
    sha256: str


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """
    What a database held: rows by table, samples of them, and what SQLite says is wrong with it.

    Of what was damaged already a backup can only be as good.
    """

    rows: Mapping[str, int]
    samples: tuple[Sample, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """A search by words in a *part*, and the ids that it found, the best first."""

    part: str
    query: str
    namespace: str
    answer: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """
    What a backup holds.

    *created* is in seconds since the epoch: the moment of which all of it is. *left_out* are paths
    with the reason; *moved* names settings whose place was outside of the state, which the restored
    state does without.
    """

    created: float
    version: str
    state: str
    secrets: bool
    items: tuple[Item, ...]
    databases: Mapping[str, DatabaseFacts] = field(default_factory=dict)
    questions: tuple[Question, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    moved: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(each.size for each in self.items)

    def text(self) -> bytes:
        """Return what `read` reads."""
        return (json.dumps({"format": FORMAT, **asdict(self)}, indent=1) + "\n").encode()

    @classmethod
    def read(cls, raw: bytes, *, name: str) -> Manifest:
        """Return what `text` wrote; raises `CorruptError` that names *name*."""
        try:
            found: dict[str, Any] = json.loads(raw)
            return cls(
                created=float(found["created"]),
                version=str(found["version"]),
                state=str(found["state"]),
                secrets=bool(found["secrets"]),
                items=tuple(_item(each) for each in found["items"]),
                databases={
                    str(path): DatabaseFacts(
                        dict(each["rows"]),
                        tuple(Sample(**one) for one in each["samples"]),
                        tuple(each["problems"]),
                    )
                    for path, each in found["databases"].items()
                },
                questions=tuple(
                    Question(each["part"], each["query"], each["namespace"], tuple(each["answer"]))
                    for each in found["questions"]
                ),
                left_out=dict(found["left_out"]),
                moved=tuple(found["moved"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CorruptError(
                name, "has no manifest that can be read", "take an older backup"
            ) from error


@dataclass(frozen=True, slots=True)
class Backup:
    """
    A backup in the file *path*: when it was made (seconds since the epoch), of which state.

    *digest* is the SHA-256 of its archive, *verified* when it was last proven, `None` if never.
    """

    path: Path
    created: float
    state: str
    size: int
    encrypted: bool
    secrets: bool = True
    digest: str = ""
    verified: float | None = None


def _item(found: Mapping[str, Any]) -> Item:
    item = Item(**found)
    parts = item.path.split("/")
    # Whoever can make an archive must not write outside of the directory that it is unpacked in.
    if not item.path or item.path.startswith("/") or {"", ".", ".."} & set(parts):
        raise ValueError(item.path)
    if "\0" in item.path or item.kind not in {"file", "database", "link", "directory"}:
        raise ValueError(item.path)
    return item
