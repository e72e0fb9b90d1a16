"""The map: how long a layout takes, which neighbours it keeps, and frames a second of the page."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import clawstate
from clawstate.memory.filters import Filter
from clawstate.memory.map.computing import Projection, place_all
from clawstate.memory.map.proximity import shuffle, spread
from timing import Figures
from workbench import MadeState, Workbench

TITLE = "Map: all records as points"
ASKED, NEAR = 400, 10
CHROMIUM = Path("/usr/bin/chromium")
SECONDS = 5
_TESTS = Path(__file__).resolve().parents[1] / "tests"
_FRAMES = """(seconds) => new Promise((done) => {
    const stage = document.querySelector(".map-stage"), box = stage.getBoundingClientRect();
    const began = performance.now();
    let frames = 0;
    const step = (now) => {
        if (now - began > seconds * 1000) return done(frames * 1000 / (now - began));
        const way = Math.floor(frames++ / 20) % 2 ? 1 : -1;
        stage.dispatchEvent(new WheelEvent("wheel", {deltaY: way * 40, cancelable: true,
            clientX: box.x + box.width / 2, clientY: box.y + box.height / 2}));
        requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
})"""


def measure(bench: Workbench) -> Figures:
    """Return, by size, processor seconds of a layout, and what it and a projection keep."""
    return {str(size): _measured(bench.state(size)) for size in bench.sizes}


def lines(result: Figures) -> Iterator[str]:
    """Yield the table of `measure`."""
    yield f"  {'records':<10}{'processor':>11}{'kept':>8}{'trusted':>9}{'frames a second':>17}"
    for size, each in result.items():
        frames = "-" if each["frames"] is None else f"{each['frames']:.0f}"
        kept, trusted = each["layout"]
        yield f"  {size:<10}{each['seconds']:>9.1f} s{kept:>8.3f}{trusted:>9.3f}{frames:>17}"
        kept, trusted = each["projection"]
        yield f"  {'  by two directions':<21}{kept:>8.3f}{trusted:>9.3f}"


def _measured(made: MadeState) -> dict[str, Any]:
    vectors = _vectors(made.root)
    started = time.process_time()
    places = place_all(vectors, np.full((len(vectors), 2), np.nan, np.float32))
    seconds = time.process_time() - started
    flat = Projection(spread(vectors, 8_192, "benchmark")).flatten(vectors)
    return {
        "seconds": seconds,
        "layout": _quality(vectors, places),
        "projection": _quality(vectors, flat),
        "frames": _frames(made.root),
    }


def _vectors(root: Path) -> np.ndarray:
    with clawstate.open(root) as state, state.memory._engine.reading() as reading:  # noqa: SLF001
        keys = reading.keys(Filter(namespace=None))
        pages = [keys[at : at + 4_096] for at in range(0, len(keys), 4_096)]
        return np.concatenate([reading.reasons(None, set(each)).vectors.matrix for each in pages])


def _quality(vectors: np.ndarray, places: np.ndarray) -> tuple[float, float]:
    """Return the share of the ten nearest that are kept, and trustworthiness, of a sample."""
    count = len(vectors)
    kept, wrong = [], []
    for each in shuffle(count, "benchmark")[:ASKED].tolist():
        cosines = vectors @ vectors[each]
        cosines[each] = -np.inf
        far = np.square(places - places[each]).sum(axis=1)
        far[each] = np.inf
        wanted = np.argpartition(-cosines, NEAR)[:NEAR]
        found = np.argpartition(far, NEAR)[:NEAR]
        kept.append(len({*wanted.tolist()} & {*found.tolist()}) / NEAR)
        ranks = [int(np.count_nonzero(cosines > cosines[one])) + 1 for one in found]
        wrong.append(sum(max(0, rank - NEAR) for rank in ranks))
    scale = 2 / (NEAR * (2 * count - 3 * NEAR - 1))
    return float(np.mean(kept)), float(1 - scale * np.mean(wrong))


def _frames(root: Path) -> float | None:
    """Return how many frames a second the page draws in software while it zooms."""
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415 - may not be there
    except ImportError:
        return None
    if not CHROMIUM.exists():
        return None
    sys.path[:0] = [str(_TESTS / "ui"), str(_TESTS / "gateway")]
    from browsing import sight  # noqa: PLC0415 - of the tests
    from running_gateway import Gateway  # noqa: PLC0415 - of the tests

    software = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    with Gateway(root) as gateway, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", *software]
        )
        with sight(browser, gateway) as seen:
            seen.page.goto(f"{gateway.url}/map")
            seen.page.locator(".map-stage").wait_for(timeout=600_000)
            found: float = seen.page.evaluate(_FRAMES, SECONDS)
        browser.close()
    return found
