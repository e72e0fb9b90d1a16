"""
Fetch the libraries of the web UI from npm: `python tools/ui/vendor.py` writes them anew.

`--check` writes nothing and fails where a file in the repository is not what npm gives.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "src" / "clawstate" / "gateway" / "ui" / "static" / "vendor"
TESTS = ROOT / "tests" / "ui" / "vendor"
SUMS = "SHA256SUMS"


@dataclass(frozen=True)
class Package:
    """A package of npm at one version, its *integrity*, and what its *files* are called here."""

    name: str
    version: str
    integrity: str
    files: dict[str, str]
    appended: str = ""


PACKAGES = (
    Package(
        "preact",
        "11.2.0",
        "sha512-/HfHI/7N84e6GrWBJ3J280z3mLaRJiDcSvj/A+y/4AbLnND/1UlGHe1sR6oYuTGwId0nP7dqDU9OnLxMPZ7xBg==",
        {"dist/preact.mjs": "preact.js", "hooks/dist/hooks.mjs": "hooks.js"},
    ),
    Package(
        "htm",
        "3.1.1",
        "sha512-983Vyg8NwUE7JkZ6NmOqpCZ+sh1bKv2iYTlUkzlWmA5JD2acKoxd4KVxbMmxX/85mtfdnDmTFoNKcg5DGAvxNQ==",
        {"dist/htm.mjs": "htm.js"},
    ),
    Package(
        "@preact/signals",
        "2.11.4",
        "sha512-Rb+5RPo9gWSaHtzJeauhHxiC8KP/IF2DEPkHPEOGOnuy2wnJzRqyeLRankUCYd6ADqtxS6GnWGv6Ie343d8aYw==",
        {"dist/signals.mjs": "signals.js"},
    ),
    Package(
        "@preact/signals-core",
        "1.14.5",
        "sha512-vcRv7Ityz5JVmeiVqIluLFzT/PDS/AlhHUpw3/aUWqcVUs6bDGIPXE/6RSC4evBNWYvnniozg5Syfj33al3gkg==",
        {"dist/signals-core.mjs": "signals-core.js"},
    ),
    Package(
        "uplot",
        "1.6.32",
        "sha512-KIMVnG68zvu5XXUbC4LQEPnhwOxBuLyW1AHtpm6IKTXImkbLgkMy+jabjLgSLMasNuGGzQm/ep3tOkyTxpiQIw==",
        # The small build is a script; it becomes a module by what it is made to export.
        {"dist/uPlot.iife.min.js": "uplot.js", "dist/uPlot.min.css": "uplot.css"},
        "export default uPlot;\n",
    ),
)

TESTED = (
    Package(
        "axe-core",
        "4.14.1",
        "sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
        {"axe.min.js": "axe.js"},
    ),
)
"""What only tests load."""

# A page without an import map, which would have to stand in it as a script.
_NAMES = {
    "preact": "./preact.js",
    "preact/hooks": "./hooks.js",
    "@preact/signals-core": "./signals-core.js",
}


def main() -> int:
    """Write the files, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    is_check = parser.parse_args().check
    wrong = [*_vendor(PACKAGES, FOLDER, is_check), *_vendor(TESTED, TESTS, is_check)]
    for path in wrong:
        print(f"{path} is not what npm gives")
    return 1 if wrong else 0


def _vendor(packages: tuple[Package, ...], folder: Path, is_check: bool) -> list[Path]:  # noqa: FBT001
    """Write the files of *packages* unless *is_check*, and return those that differ."""
    made: dict[str, bytes] = {}
    for package in packages:
        made |= _files_of(package)
    made[SUMS] = "".join(
        f"{hashlib.sha256(made[name]).hexdigest()}  {name}\n" for name in sorted(made)
    ).encode()
    if not is_check:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in made.items():
            (folder / name).write_bytes(content)
    there = {each.name: each.read_bytes() for each in folder.iterdir()}
    names = sorted(made.keys() | there.keys())
    return [folder / name for name in names if made.get(name) != there.get(name)]


def _files_of(package: Package) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        wanted = f"{package.name}@{package.version}"
        command = ["npm", "pack", "--silent", "--pack-destination", folder, wanted]
        subprocess.run(command, check=True, capture_output=True, cwd=folder)  # noqa: S603
        packed = next(Path(folder).glob("*.tgz")).read_bytes()
    digest = base64.b64encode(hashlib.sha512(packed).digest()).decode()
    if f"sha512-{digest}" != package.integrity:
        sys.exit(f"{wanted} has another content than the one that was looked at")
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(packed)) as opened:

        def read(name: str) -> str:
            member = opened.extractfile(f"package/{name}")
            if member is None:
                sys.exit(f"{wanted} has no {name}")
            return member.read().decode()

        for name, here in package.files.items():
            text = _without_map(read(name))
            if here.endswith(".js"):
                text = _with_paths(text) + package.appended
            found[here] = text.encode()
        licence = f"LICENSE.{package.name.replace('/', '-').removeprefix('@')}"
        found[licence] = read("LICENSE").encode()
    return found


def _without_map(text: str) -> str:
    lines = [each for each in text.split("\n") if not each.startswith("//# sourceMappingURL=")]
    return "\n".join(lines).rstrip("\n") + "\n"


def _with_paths(text: str) -> str:
    for name, path in _NAMES.items():
        text = text.replace(f'from"{name}"', f'from"{path}"')
    return text


if __name__ == "__main__":
    sys.exit(main())
