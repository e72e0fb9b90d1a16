"""
`join`: the modules of the UI in few files without comments, so that a first view is few requests.

What lies in the repository stays what people read: this happens when files are read to be served
(decision 076). Each module keeps a scope of its own, a function whose answer is what it exports,
so nothing is renamed; and each stays one module, however many files import it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Final

_VENDOR = "vendor/"
_LINE_COMMENT = re.compile(r"(?m)^[ \t]*//.*\n")
_BLOCK_COMMENT = re.compile(r"(?ms)^[ \t]*/\*(?:(?!\*/).)*\*/[ \t]*\n")
_CAST = re.compile(r"/\*\* @type .*?\*/ ?")
_SOURCE_MAP = re.compile(r"//# sourceMappingURL=\S*")
_CSS_COMMENT = re.compile(r"(?s)/\*.*?\*/\n?")
_INDENT = re.compile(r"(?m)^[ \t]+")

_FROM = r"\s*from\s*[\"'](?P<path>\.{1,2}/[^\"']+)[\"'];?"
# At the beginning of a line, or behind another statement of a packed library.
_START = r"(?P<start>^|(?<=[;}]))"
_IMPORT = re.compile(
    _START + r"import\s*(?P<default>[\w$]+)?\s*,?\s*(?:\{(?P<names>[^}]*)\})?" + _FROM, re.MULTILINE
)
_EXPORT_FROM = re.compile(_START + r"export\s*\{(?P<names>[^}]*)\}" + _FROM, re.MULTILINE)
_EXPORT_LIST = re.compile(_START + r"export\s*\{(?P<names>[^}]*)\};?", re.MULTILINE)
_EXPORT_DEFAULT = re.compile(
    _START + r"export default (?P<kind>(?:async )?function\*?|class)?\s*(?P<name>[\w$]+)?",
    re.MULTILINE,
)
_EXPORT = re.compile(
    _START + r"export (?P<kind>const|let|var|class|(?:async )?function\*?) ?(?P<name>[\w$]+|[{\[])",
    re.MULTILINE,
)
_DYNAMIC = re.compile(r"import\([\"'](\.{1,2}/[^\"']+)[\"']\)")
_LEFT = re.compile(_START + r"(?:import(?!\s*[(.])|export)\b", re.MULTILINE)
_HERE: Final = "import.meta.url"

Graph = Mapping[str, tuple[str, ...]]
"""What each module imports at once."""


class JoinError(ValueError):
    """A *module* is written in a way that cannot be joined with others."""

    def __init__(self, module: str, problem: str) -> None:
        super().__init__(module, problem)
        self.module = module
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.module}: {self.problem}"


def strip_comments(name: str, text: str) -> str:
    """Return a file without the comments that have lines of their own, and without indents."""
    if name.startswith(_VENDOR):
        return _SOURCE_MAP.sub("", text)
    if name.endswith(".css"):
        return _INDENT.sub("", _CSS_COMMENT.sub("", text))
    text = _BLOCK_COMMENT.sub("", _LINE_COMMENT.sub("", text))
    return _INDENT.sub("", _CAST.sub("", text))


def join(modules: Mapping[str, str], entries: Iterable[str]) -> dict[str, str]:
    """
    Return what is served for each of *modules*, by name.

    Each of *entries* becomes one file with all that it imports and no earlier one has; of other
    modules that are imported when they are needed, those that nobody else imports are in their
    file. A module that is in the file of another is served as a file that exports it from there.
    Raises `JoinError` for a cycle, and for exports that change.
    """
    texts = {name: strip_comments(name, text) for name, text in modules.items()}
    graph = {name: tuple(_imports(name, text)) for name, text in texts.items()}
    homes = _homes(texts, graph, tuple(entries))
    files = dict.fromkeys(homes.values(), "")
    for file in files:
        files[file] = _join_file(file, texts, graph, homes)
    served = {name: _lone(name, text, homes) for name, text in texts.items() if name not in homes}
    shims = {name: _shim(name, texts[name], home) for name, home in homes.items() if name != home}
    return {**served, **shims, **files}


def _homes(texts: Mapping[str, str], graph: Graph, entries: tuple[str, ...]) -> dict[str, str]:
    """Return in which file each module is that has no file for itself."""
    homes: dict[str, str] = {}
    for entry in entries:
        if entry in texts:
            for name in _closure(entry, graph):
                homes.setdefault(name, entry)
    asked = {
        _resolve(name, path) for name, text in texts.items() for path in _DYNAMIC.findall(text)
    }
    later = sorted(each for each in asked if each in texts and each not in homes)
    owners: dict[str, list[str]] = {}
    for entry in later:
        for name in _closure(entry, graph):
            owners.setdefault(name, []).append(entry)
    for name, found in owners.items():
        # One that is imported later by itself must keep a file of its own.
        if name not in homes and len(found) == 1 and (name not in later or name == found[0]):
            homes[name] = found[0]
    return homes


def _closure(entry: str, graph: Graph) -> list[str]:
    done: dict[str, None] = {}
    under_way: list[str] = []

    def visit(name: str) -> None:
        if name in done or name not in graph:
            return
        if name in under_way:
            circle = " -> ".join([*under_way[under_way.index(name) :], name])
            raise JoinError(name, f"imports itself ({circle})")
        under_way.append(name)
        for each in graph[name]:
            visit(each)
        under_way.pop()
        done[name] = None

    visit(entry)
    return list(done)


def _imports(name: str, text: str) -> Iterator[str]:
    for pattern in (_IMPORT, _EXPORT_FROM):
        for found in pattern.finditer(text):
            yield _resolve(name, found["path"])


def _join_file(file: str, texts: Mapping[str, str], graph: Graph, homes: Mapping[str, str]) -> str:
    inside = [name for name in _closure(file, graph) if homes.get(name) == file]
    outside = {each: None for name in inside for each in graph[name] if homes.get(each) != file}
    head = [
        f"import {{ {_variable(each)} }} from {_relative(file, homes[each])};"
        if each in homes
        else f"import * as {_variable(each)} from {_relative(file, each)};"
        for each in outside
    ]
    parts = [_scope(name, texts[name], file) for name in inside]
    names = ", ".join(_variable(each) for each in inside)
    tail = [f"export {{ {names} }};", *_passed_on(file, texts[file])]
    return "\n".join((*head, *parts, *tail, ""))


def _scope(name: str, text: str, file: str) -> str:
    exported: list[str] = []

    def take_import(found: re.Match[str]) -> str:
        return _take(found, _variable(_resolve(name, found["path"])))

    def take_from(found: re.Match[str]) -> str:
        there = _variable(_resolve(name, found["path"]))
        exported.extend(f"{new}: {there}.{old}" for old, new in _pairs(found["names"]))
        return ""

    def take_list(found: re.Match[str]) -> str:
        exported.extend(_member(new, old) for old, new in _pairs(found["names"]))
        return ""

    def take_default(found: re.Match[str]) -> str:
        kind, own = found["kind"], found["name"]
        exported.append(f"default: {own if kind and own else '$default'}")
        return f"{kind} {own or '$default'}" if kind else f"const $default = {own or ''}"

    def take_named(found: re.Match[str]) -> str:
        if found["kind"] in {"let", "var"} or found["name"] in "{[":
            raise JoinError(name, "exports something else than a constant, a function or a class")
        exported.append(found["name"])
        return f"{found['kind']} {found['name']}"

    text = _IMPORT.sub(take_import, text)
    text = _EXPORT_FROM.sub(take_from, text)
    text = _EXPORT_LIST.sub(take_list, text)
    text = _EXPORT_DEFAULT.sub(take_default, text)
    text = _EXPORT.sub(take_named, text)
    if _LEFT.search(text):
        raise JoinError(name, "imports in a form that is not known here: name what is imported")
    text = _DYNAMIC.sub(lambda found: f"import({_relative(file, _resolve(name, found[1]))})", text)
    text = text.replace(_HERE, f"new URL({_relative(file, name)}, {_HERE}).href")
    answer = f"return {{ {', '.join(exported)} }};" if exported else ""
    return f"const {_variable(name)} = (() => {{\n{text.strip()}\n{answer}\n}})();"


def _lone(name: str, text: str, homes: Mapping[str, str]) -> str:
    def take_import(found: re.Match[str]) -> str:
        there = _resolve(name, found["path"])
        if there not in homes:
            return found[0]
        known = _variable(there)
        return f"import {{ {known} }} from {_relative(name, homes[there])};{_take(found, known)}"

    return _IMPORT.sub(take_import, text)


def _shim(name: str, text: str, home: str) -> str:
    known = f"import {{ {_variable(name)} }} from {_relative(name, home)};"
    return "\n".join((known, *_passed_on(name, text), ""))


def _passed_on(name: str, text: str) -> Iterator[str]:
    """Yield the exports of a module whose scope is known, for who asks for it by its own name."""
    names = [found["name"] for found in _EXPORT.finditer(text)]
    for pattern in (_EXPORT_FROM, _EXPORT_LIST):
        names += [new for found in pattern.finditer(text) for _, new in _pairs(found["names"])]
    if names:
        yield f"export const {{ {', '.join(dict.fromkeys(names))} }} = {_variable(name)};"
    if _EXPORT_DEFAULT.search(text):
        yield f"export default {_variable(name)}.default;"


def _take(found: re.Match[str], there: str) -> str:
    names = [_member(old, new) for old, new in _pairs(found["names"] or "")]
    if found["default"]:
        names.insert(0, f"default: {found['default']}")
    return f"const {{ {', '.join(names)} }} = {there};"


def _member(key: str, value: str) -> str:
    return key if key == value else f"{key}: {value}"


def _pairs(names: str) -> Iterator[tuple[str, str]]:
    for each in names.split(","):
        if each.strip():
            old, _, new = each.strip().partition(" as ")
            yield old.strip(), (new or old).strip()


def _resolve(name: str, path: str) -> str:
    return PurePosixPath(os.path.normpath(f"{PurePosixPath(name).parent}/{path}")).as_posix()


def _relative(file: str, to: str) -> str:
    path = PurePosixPath(os.path.relpath(to, PurePosixPath(file).parent)).as_posix()
    return f'"{path if path.startswith(".") else f"./{path}"}"'


def _variable(name: str) -> str:
    return "$" + re.sub(r"\W", "_", name.removesuffix(".js"))
