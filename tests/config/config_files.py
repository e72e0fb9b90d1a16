"""Files of a configuration for the tests of how it is read."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from clawstate.config.includes import Layer
from clawstate.config.layers import read_layer
from clawstate.config.loading import Loaded, load
from clawstate.config.provenance import Origin, Piece, Trace
from clawstate.config.sources import FileRead, Source
from clawstate.errors import ConfigError, StateError
from clawstate.files.file_version import version_of
from clawstate.files.paths import StatePaths
from clawstate.json5.parse import parse_document

CANARY = "sk-canary-4be1"


def write(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    return root / "main"


def refusal(path: Path, kind: type[StateError] = ConfigError) -> str:
    with pytest.raises(kind) as caught:
        read_layer(path)
    assert type(caught.value) is kind
    assert CANARY not in str(caught.value)
    assert caught.value.__context__ is None or CANARY not in repr(caught.value.__context__)
    return str(caught.value)


def origins(layer: Layer, *path: str | int) -> list[tuple[str, tuple[str | int, ...]]]:
    trace = layer.provenance.at(path)
    assert trace is not None
    return [(origin.source.path.name, origin.path) for origin in trace.origins]


def piece(value: Any, name: str = "x") -> Piece:
    text = json.dumps(value)
    path = Path(name)
    source = Source(FileRead(path, path, None), text, parse_document(text, path=path))
    return Piece(source.document.value, Trace((Origin(source, (), source.document),)))


def read(
    paths: StatePaths,
    text: str | None = None,
    *,
    agent: str | None = None,
    strict: bool = True,
    **env: str,
) -> Loaded:
    if text is not None:
        paths.config.write_bytes(text.encode())
    return load(
        paths.config,
        paths=paths,
        env={"HOME": "/h", **env},
        agent=agent,
        cwd=paths.root.parent / "cwd",
        strict=strict,
    )


def write_own(paths: StatePaths, agent: str, text: str) -> Path:
    path = paths.agent_config(agent)
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path


def wait_until_settled(loaded: Loaded) -> None:
    # The clock of the file system decides; there is nothing to be told by.
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        stamps = [version_of(file.real) for file in loaded.files if file.stamp is not None]
        if all(stamp is not None and stamp.is_settled for stamp in stamps):
            return
    pytest.fail("the clock of files stands still")
