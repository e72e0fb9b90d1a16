"""
Real English that every machine with Python has: the prose of the library and of its packages.

Docstrings, comments and documents are cut into windows of one to four sentences. A held-out
sentence becomes a question ("Return the path" -> "How do I return the path?") and is in no
window. The texts depend on what is installed, so `Corpus.fingerprint` goes with every figure.

Beyond those that there are, texts are made of a sentence of one, some words of another and a
sentence of a third: words, their frequencies and their neighbours are those of the real ones, and
many texts are nearly alike.
"""

from __future__ import annotations

import ast
import hashlib
import json
import random
import re
import sys
import sysconfig
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

SEED = 20
MOST_TEXTS = 100_000
QUESTIONS = 600

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"'(])")
_WORD = re.compile(r"[A-Za-z]{2,}")
_RULE = re.compile(r"[-=~^*#]{3,}")
_COMMENT = re.compile(r"^\s*#+:? ?(.*)$")
_IMPERATIVE = re.compile(
    r"(Add|Apply|Build|Call|Change|Check|Close|Compare|Compute|Convert|Copy|Count|Create|Decode"
    r"|Define|Delete|Draw|Encode|Extract|Find|Format|Get|Join|List|Load|Make|Merge|Open|Parse"
    r"|Print|Read|Remove|Replace|Return|Run|Save|Search|Select|Send|Set|Sort|Split|Start|Stop"
    r"|Test|Update|Use|Validate|Write) [a-z]"
)
_PROSE = {".py", ".md", ".rst"}


@dataclass(frozen=True)
class Corpus:
    """`texts` to keep, `questions` to ask; every text is distinct."""

    texts: list[str]
    questions: list[str]

    @cached_property
    def fingerprint(self) -> str:
        """Tell two corpora apart, by a hash of all texts."""
        return fingerprint(self.texts + self.questions)


def fingerprint(texts: Iterable[str]) -> str:
    """Return a short hash of *texts*."""
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:12]


def corpus(folder: Path, size: int) -> Corpus:
    """Return *size* texts and the questions, made once and then read from *folder*."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    cached = folder / f"corpus-{version}-{SEED}.json"
    if not cached.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        texts, questions = _made(MOST_TEXTS)
        cached.write_text(json.dumps({"texts": texts, "questions": questions}))
    kept = json.loads(cached.read_text())
    texts = kept["texts"][:size]
    texts += islice(_mixed(kept["texts"]), size - len(texts))
    return Corpus(texts, kept["questions"])


def _mixed(texts: list[str]) -> Iterator[str]:
    rng = random.Random(SEED)
    sentences = [_SENTENCE_END.split(text) for text in texts]
    while True:
        one, two, three = rng.choices(sentences, k=3)
        words = rng.choice(two).split()
        start = rng.randrange(len(words))
        part = " ".join(words[start : start + 12])
        yield f"{rng.choice(one)} {part} {rng.choice(three)}"[:900]


def _made(size: int) -> tuple[list[str], list[str]]:
    rng = random.Random(SEED)
    paragraphs = [sentences for text in _paragraphs() if (sentences := _sentences(text))]
    rng.shuffle(paragraphs)
    held_out = _held_out(paragraphs)
    windows = _windows(paragraphs, {_key(each) for each in held_out}, size, rng)
    rng.shuffle(windows)
    rng.shuffle(held_out)
    return windows, [_question(each) for each in held_out]


def _paragraphs() -> Iterator[str]:
    for path in _files():
        if path.suffix == ".py":
            yield from _prose(path)
        else:
            yield from _read(path).split("\n\n")


def _files() -> Iterator[Path]:
    paths = sysconfig.get_paths()
    library = Path(paths["stdlib"])
    for path in sorted(library.rglob("*.py")):
        # The packages of the Python that a virtual environment was made from are not its own.
        if "site-packages" not in path.parts and "test" not in path.parts:
            yield path
    for packages in dict.fromkeys(Path(paths[name]) for name in ("purelib", "platlib")):
        for path in sorted(packages.rglob("*")):
            if path.suffix in _PROSE or path.name == "METADATA":
                yield path


def _prose(path: Path) -> Iterator[str]:
    source = _read(path)
    try:
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, documented) and (text := ast.get_docstring(node)):
            yield from text.split("\n\n")
    yield from _comments(source)


def _comments(source: str) -> Iterator[str]:
    block: list[str] = []
    for line in source.splitlines():
        if (found := _COMMENT.match(line)) and found[1].strip():
            block.append(found[1])
        elif block:
            yield " ".join(block)
            block = []


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _sentences(paragraph: str) -> list[str]:
    plain = " ".join(_RULE.sub(" ", paragraph).split())
    if len(plain) < 40:
        return []
    return [each for each in _SENTENCE_END.split(plain) if 12 < len(each) < 600]


def _held_out(paragraphs: Iterable[list[str]]) -> list[str]:
    chosen: dict[str, str] = {}
    for sentences in paragraphs:
        for each in sentences:
            if len(chosen) == QUESTIONS:
                return list(chosen.values())
            if 5 <= len(each.split()) <= 14 and _IMPERATIVE.match(each) and _is_prose(each):
                chosen.setdefault(_key(each), each)
    return list(chosen.values())


def _windows(
    paragraphs: list[list[str]], held_out: set[str], size: int, rng: random.Random
) -> list[str]:
    windows: dict[str, str] = {}
    for _ in range(12):  # another round cuts the same sentences elsewhere
        for sentences in paragraphs:
            start = 0
            while start < len(sentences):
                length = rng.choice((1, 1, 2, 2, 3, 4))
                window = sentences[start : start + length]
                start += length
                text = " ".join(window)
                if _is_prose(text) and not any(_key(each) in held_out for each in window):
                    windows.setdefault(_key(text), text)
            if len(windows) >= size:
                return list(windows.values())[:size]
    return list(windows.values())


def _is_prose(text: str) -> bool:
    if not 25 <= len(text) <= 900 or not text.isprintable():
        return False
    words = _WORD.findall(text)
    return len(words) >= 4 and sum(map(len, words)) >= 0.6 * len(text)


def _key(text: str) -> str:
    return " ".join(_WORD.findall(text)).lower()


def _question(sentence: str) -> str:
    return f"How do I {sentence[0].lower()}{sentence[1:].rstrip('.!:')}?"
