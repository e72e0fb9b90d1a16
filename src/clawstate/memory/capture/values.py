"""What capturing and recalling take and give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from clawstate.memory.records import Hit

Origin = Literal["owner", "agent", "untrusted"]
"""Whose words they are: of the person whose agent it is, of the agent, of anybody else."""

ORIGINS: tuple[Origin, ...] = ("owner", "agent", "untrusted")


@dataclass(frozen=True, slots=True)
class Provenance:
    """
    Where a text was said: by *who*, in which *session* and *message*, and by what *origin*.

    It lies in the metadata of a record as `captured`, so that `where={"captured.origin": "agent"}`
    finds all of an origin.
    """

    who: str
    session: str
    message: str
    origin: Origin

    def metadata(self) -> dict[str, Any]:
        """Return it as the metadata of a record."""
        told = {"who": self.who, "session": self.session, "message": self.message}
        return {"captured": {**told, "origin": self.origin}}


@dataclass(frozen=True, slots=True)
class Said:
    """A text that was said, with its provenance; *position* counts messages, then passages."""

    text: str
    provenance: Provenance
    is_question: bool = False


@dataclass(frozen=True, slots=True)
class InboxItem:
    """
    A captured text that waits for a person: it looks like an instruction, or nobody vouches for it.

    *reason* says why: instruction, injection, hidden-text or untrusted. It is in no search.
    """

    id: str
    text: str
    reason: str
    category: str
    importance: float
    namespace: str
    provenance: Provenance
    created_at: float


@dataclass(frozen=True, slots=True)
class Captured:
    """
    What became of messages: ids of *records* that were made, and of items of the *inbox*.

    *skipped* counts the other messages by reason: no-rule, question, too-short, too-long, secret,
    markup, duplicate, known, agent, empty, inbox-full, no-role, system.
    """

    records: tuple[str, ...] = ()
    inbox: tuple[str, ...] = ()
    skipped: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recall:
    """
    What fits to a question, as a block of *text* for the context of a model; empty for nothing.

    *hits* are the records in it, the best first, *tokens* about how many it has, *left_out* how
    many more did not fit.
    """

    text: str
    hits: tuple[Hit, ...]
    tokens: int
    left_out: int = 0
