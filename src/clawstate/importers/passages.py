"""What an importer makes of a file: passages, and the problems it met on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""What JSON can say."""

TARGET_LENGTH = 1000
"""Characters up to which neighbouring paragraphs share one passage."""

MAXIMUM_LENGTH = 1600
"""Characters that no passage cut out of running text exceeds."""


@dataclass(frozen=True, slots=True)
class Passage:
    """
    A piece of text that is remembered as one record, and where it stands.

    Lines count from 1 and both ends are included. *position* orders the passages of one
    thread; where *thread* is None the whole file is the thread. *created_at* is in seconds
    since the epoch. *heading* shows where it stands, and *title*, *headings* and *names* are
    what it is asked for by. *key* is what it is known by wherever it stands, such as the number of
    a message within its service. None means that the file does not say.
    """

    text: str
    start_line: int | None = None
    end_line: int | None = None
    heading: str = ""
    title: str | None = None
    headings: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    thread: str | None = None
    position: int = 0
    created_at: float | None = None
    tags: tuple[str, ...] = ()
    category: str | None = None
    importance: float | None = None
    namespace: str | None = None
    id: str | None = None
    key: str | None = None
    metadata: Mapping[str, Json] = field(default_factory=dict)
    own: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Problem:
    """
    Something in a file that could not be taken in, while the rest could.

    The message is one sentence and never repeats what the file says there: that may be secret.
    What is left out by rule, such as a second copy, `is_by_rule` and no failure.
    """

    path: Path
    line: int | None
    message: str
    is_by_rule: bool = False


Item: TypeAlias = Passage | Problem
"""What a reader yields."""
