"""Claude's exports: conversations with their artefacts and pastes, projects, memories, designs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from clawstate.importers.json_values import Object, moment_or_none, object_at, text_at
from clawstate.importers.markdown import markdown_blocks
from clawstate.importers.messages import Message
from clawstate.importers.packing import pack
from clawstate.importers.passages import Json, Passage

_ROLES: dict[Json, str] = {"human": "user", "user": "user", "assistant": "assistant"}
_OUTPUTS = "/mnt/user-data/outputs/"
# Older exports hold the text of a message twice: in blocks, and whole with marks for these.
_UNWRITTEN = {"thinking", "tool_use", "tool_result", "token_budget"}


def claude_messages(conversation: Object) -> Iterator[Message]:
    """
    Yield the text that the user and the assistant wrote, without thinking and tools.

    Artefacts come as they were last, where they were begun.
    """
    messages = _objects(conversation.get("chat_messages"))
    documents = _Artefacts(messages)
    for message in messages:
        role = _ROLES.get(_hashable(message.get("sender")))
        text = _claude_text(message, documents)
        if role is not None and text:
            yield _message(conversation, message, role, text)


def design_messages(conversation: Object) -> Iterator[Message]:
    """Yield what was said in a chat about a design, which has another form."""
    for message in _objects(conversation.get("messages")):
        role = _ROLES.get(_hashable(message.get("role")))
        content = object_at(message, "content")
        texts = [text_at(content, "content", "text") or ""]
        blocks = _objects(content.get("contentBlocks"))
        texts += [text_at(each, "text") or "" for each in blocks if each.get("type") == "text"]
        texts += _attachment_texts(content.get("attachments"))
        text = "\n".join(each for each in texts if each).strip()
        if role is not None and text:
            yield _message(conversation, message, role, text)


def project_passages(project: Object) -> Iterator[Passage]:
    """Yield the description, the instructions and the documents of a project."""
    name = text_at(project, "name") or "Project"
    identity = text_at(project, "uuid")
    made = moment_or_none(project.get("created_at"))
    facts: Object = {"project": name, "projectId": identity}
    for member, title in (("description", name), ("prompt_template", f"{name}: instructions")):
        text = text_at(project, member)
        if text:
            known = (identity, member)
            yield from _document(text, title=title, known=known, facts=facts, made=made)
    for document in _objects(project.get("docs")):
        text = text_at(document, "content")
        if text:
            file = text_at(document, "filename", "file_name", "name") or name
            yield from _document(
                text,
                title=file,
                known=(identity, text_at(document, "uuid") or file),
                facts={**facts, "file": file},
                made=moment_or_none(document.get("created_at")) or made,
            )


def memory_passages(memory: Object, projects: Mapping[str, str]) -> Iterator[Passage]:
    """Yield what Claude remembers of all conversations, of each of *projects*, and in files."""
    account = text_at(memory, "account_uuid") or "account"
    text = text_at(memory, "conversations_memory")
    title = "Claude's memory"
    if text:
        yield from _document(text, title=title, known=(account, "memory"), facts={}, made=None)
    for identity, told in object_at(memory, "project_memories").items():
        if isinstance(told, str) and (text := told.strip()):
            name = projects.get(identity, "")
            facts: Object = {"project": name or None, "projectId": identity}
            known = (account, "memory", identity)
            about = f"{title}: {name}" if name else title
            yield from _document(text, title=about, known=known, facts=facts, made=None)
    for file in _objects(memory.get("memory_files")):
        text = text_at(file, "content", "text")
        if text:
            path = text_at(file, "path", "name") or "file"
            known = (account, "memory file", path)
            yield from _document(
                text, title=PurePosixPath(path).name, known=known, facts={"file": path}, made=None
            )


def _document(
    text: str, *, title: str, known: tuple[str | None, ...], facts: Object, made: float | None
) -> Iterator[Passage]:
    """Yield the passages of a document that is known in all exports by *known*."""
    thread = "\0".join(map(str, ("claude", *known)))
    copies: Counter[tuple[str, ...]] = Counter()
    lines = enumerate(text.replace("\0", "").split("\n"), start=1)
    names = tuple(str(each) for each in (facts.get("project"),) if each)
    for position, piece in enumerate(pack(markdown_blocks(lines), root=title)):
        # By its heading, so that a newer export changes a section, and adds none beside it.
        copies[piece.headings] += 1
        place = (*piece.headings, str(copies[piece.headings]))
        yield Passage(
            piece.text,
            heading=piece.heading,
            title=title,
            headings=piece.headings,
            names=names,
            thread=thread.replace("\0", ":"),
            position=position,
            created_at=made,
            key="\0".join((thread, *place)) if all(known) else None,
            metadata={name: value for name, value in facts.items() if value is not None},
        )


def _message(conversation: Object, message: Object, role: str, text: str) -> Message:
    said_at = moment_or_none(message.get("created_at"))
    title = text_at(conversation, "name", "title")
    return Message(
        role,
        text,
        text_at(conversation, "uuid"),
        moment_or_none(conversation.get("created_at")) if said_at is None else said_at,
        facts={"title": title, "messageId": text_at(message, "uuid")},
        service="claude",
        title=title,
    )


def _claude_text(message: Object, documents: _Artefacts) -> str:
    blocks = _objects(message.get("content"))
    texts = [_block_text(block, documents) for block in blocks]
    if not any(texts) and not any(each.get("type") in _UNWRITTEN for each in blocks):
        texts = [text_at(message, "text") or ""]
    # A long paste is no text of the message, but a file of it.
    texts += _attachment_texts(message.get("attachments"))
    return "\n".join(text for text in texts if text).strip()


def _attachment_texts(attachments: Json) -> Iterator[str]:
    for each in _objects(attachments):
        if text := text_at(each, "extracted_content", "content"):
            name = text_at(each, "file_name", "name")
            yield f"{name}:\n{text}" if name else text


def _block_text(block: Object, documents: _Artefacts) -> str:
    text = block.get("text")
    if block.get("type") in {"text", "voice_note"} and isinstance(text, str):
        return text
    # What was written in a document beside the conversation is the input of a tool.
    return documents.text_at(block)


@dataclass(slots=True)
class _Artefact:
    """A document beside a conversation."""

    title: str
    text: str


class _Artefacts:
    """The documents that were written beside a conversation, as they were last."""

    def __init__(self, messages: list[Object]) -> None:
        self._found: dict[str, _Artefact] = {}
        self._by_call: dict[int, _Artefact] = {}
        for message in messages:
            for block in _objects(message.get("content")):
                if block.get("type") == "tool_use":
                    self._take(block)

    def text_at(self, block: Object) -> str:
        """Return the document that *block* began, with its title."""
        found = self._by_call.get(id(block))
        return "" if found is None else "\n".join(filter(None, (found.title, found.text.strip())))

    def _take(self, block: Object) -> None:
        given = object_at(block, "input")
        if block.get("name") == "artifacts":
            name = text_at(given, "id") or f"#{len(self._found)}"
            text, title = given.get("content"), text_at(given, "title")
        else:
            name = text_at(given, "path") or ""
            text, title = given.get("file_text"), PurePosixPath(name).name
            if not name.startswith(_OUTPUTS):
                return  # a file of the assistant's own work
        known = self._found.get(name)
        if isinstance(text, str):
            if known is None:
                self._found[name] = self._by_call[id(block)] = _Artefact(title or "", text)
            else:
                known.text, known.title = text, title or known.title
        elif known is not None:
            old, new = given.get("old_str"), given.get("new_str")
            if isinstance(old, str) and isinstance(new, str):
                known.text = (
                    known.text.replace(old, new, 1)
                    if old and old in known.text
                    else f"{known.text}\n{new}"
                )


def _objects(value: Json) -> list[Object]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _hashable(value: Json) -> str:
    return value if isinstance(value, str) else ""
