"""One message of a conversation, as passages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from clawstate.importers.passages import Json, Passage
from clawstate.importers.plain_text import text_pieces


@dataclass(frozen=True, slots=True)
class Message:
    """What was said in a conversation, by whom, and where that stands."""

    role: str
    text: str
    thread: str | None
    created_at: float | None = None
    line: int | None = None
    facts: Mapping[str, Json] = field(default_factory=dict)
    service: str = ""
    title: str | None = None


def message_passages(message: Message, *, position: int) -> Iterator[Passage]:
    """Yield *message* as one passage, or as several `part`s when it is long."""
    # Cut like any text, since a search cannot tell what a long message is about as a whole.
    pieces = list(text_pieces(message.text))
    metadata: dict[str, Json] = {"role": message.role}
    metadata |= {name: value for name, value in message.facts.items() if value is not None}
    known = (message.service, message.thread, metadata.get("messageId"))
    # A newer export of the same conversations is another file, with the same messages.
    key = "\0".join(map(str, known)) if all(known) else None
    for index, text in enumerate(pieces):
        yield Passage(
            text,
            message.line,
            message.line,
            thread=message.thread,
            position=position + index,
            created_at=message.created_at,
            title=message.title,
            names=(message.role,),
            key=key and f"{key}\0{index}",
            metadata=metadata if len(pieces) == 1 else {**metadata, "part": index + 1},
        )
