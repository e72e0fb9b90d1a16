"""
Measure clawstate against its rivals: `python benchmarks/run.py all`.

Prints tables, and writes `<part>.json` and plots to the folder `--out`. See README.md.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PARTS = (
    "retrieval",
    "capture",
    "languages",
    "vectors",
    "dimensions",
    "words",
    "hybrid",
    "ingest",
    "lance_adds",
    "startup",
    "mcp_server",
    "compaction",
    "files",
    "locks",
    "records",
    "caches",
    "config",
    "dedupe",
    "matrix",
    "sessions",
    "listings",
    "transcripts",
    "feed",
    "map",
    "postgres",
    "server_search",
)
NAMED = (
    "clawstate",
    "apsw",
    "psycopg",
    "numpy",
    "lancedb",
    "wordllama",
    "sqlite-vec",
    "filelock",
    "cachetools",
)


def main() -> None:
    chosen = _arguments()
    # One thread of BLAS for all arms: a second one only waits on a busy machine.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from workbench import Workbench  # noqa: PLC0415 - numpy must not be loaded before

    chosen.out.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="scratch-", dir=chosen.out))
    report: dict[str, Any] = {"date": _now(), "machine": _machine(), "parts": {}}
    report["load_before"] = _load()
    try:
        bench = Workbench(
            chosen.out, scratch, chosen.sizes, chosen.sets, chosen.vaults, chosen.states
        )
        for name in PARTS if chosen.part == "all" else (chosen.part,):
            report["parts"][name] = _part(name, bench)
    finally:
        shutil.rmtree(scratch)
    report["load_after"] = _load()
    print(f"\nload average {report['load_before']} before, {report['load_after']} after")
    written = chosen.out / f"{chosen.part}.json"
    written.write_text(json.dumps(report, indent=1) + "\n")
    print(f"wrote {written}", *_plots(report["parts"], chosen.out), sep="\n      ")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure clawstate against its rivals.")
    here = Path(__file__).resolve().parent
    parser.add_argument("part", nargs="?", default="all", choices=(*PARTS, "all"))
    parser.add_argument("--sets", nargs="*", type=Path, default=[], metavar="DIR")
    parser.add_argument("--vaults", nargs="*", type=Path, default=[], metavar="DIR")
    parser.add_argument("--sizes", type=_sizes, default=[1_000, 10_000, 100_000], metavar="N,N")
    parser.add_argument("--out", type=Path, default=here / "out", metavar="DIR")
    parser.add_argument("--states", type=Path, metavar="DIR", help="keep the states, and use them")
    return parser.parse_args()


def _sizes(text: str) -> list[int]:
    return sorted(int(each) for each in text.split(","))


def _part(name: str, bench: Any) -> Any:
    part = importlib.import_module(name)
    print(f"\n== {part.TITLE} ==\n", flush=True)
    load, started = _load(), time.perf_counter()
    result = part.measure(bench)
    for line in part.lines(result):
        print(line)
    seconds = round(time.perf_counter() - started, 1)
    print(f"({seconds} s, load average {load} before, {_load()} after)", flush=True)
    return {"seconds": seconds, "load_before": load, "load_after": _load(), "result": result}


def _plots(parts: dict[str, Any], out: Path) -> list[Path]:
    plots = importlib.import_module("plots")
    return [path for name, part in parts.items() for path in plots.draw(name, part["result"], out)]


def _machine() -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "system": platform.platform(),
        "python": sys.version.split()[0],
        "versions": {name: _version(name) for name in NAMED},
    }


def _processor() -> str:
    try:
        listed = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in listed.splitlines() if "model name" in line]
    return names[0] if names else platform.processor()


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _load() -> list[float]:
    return [round(each, 2) for each in os.getloadavg()]


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


if __name__ == "__main__":
    main()
