"""
What the web UI costs: `python benchmarks/ui.py [--memories 100000] [--state DIR]`.

Bytes and time of the first view, from the last key to a result on screen, and frames while a list
of 100,000 rows scrolls, in Debian's Chromium by Playwright against a real gateway.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(TESTS / "ui"), str(TESTS / "gateway")]

from browsing import ARGUMENTS, CHROMIUM, SIZES, token_for
from playwright.sync_api import Page, sync_playwright
from running_gateway import Gateway
from seeding import seed_memories

QUERIES = ("green tea in Kyoto", "who sold the boat", "a violin", "old house Tallinn")

# From the last key to the frame in which the answer to all of the text is painted.
_KEYS = """async (text) => {
    const input = document.querySelector("main input[type=search]");
    const set = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set;
    const type = (value) => {
        set.call(input, value);
        input.dispatchEvent(new Event("input", {bubbles: true}));
    };
    for (let end = 1; end < text.length; end++) {
        type(text.slice(0, end));
        await new Promise((done) => setTimeout(done, 60));
    }
    const begun = performance.now();
    type(text);
    const list = () => document.querySelector('[aria-label="What was found"]');
    const isDone = () => list() && !list().classList.contains("old")
        && !document.querySelector(".search-field.busy");
    await new Promise((done) => {
        const look = () => isDone()
            ? requestAnimationFrame(() => setTimeout(done))
            : requestAnimationFrame(look);
        requestAnimationFrame(look);
    });
    return performance.now() - begun;
}"""

_SCROLL = """async (base) => {
    const { VirtualList } = await import(`${base}/core/virtual.js`);
    const { html, render } = await import(`${base}/core/lib.js`);
    const place = document.getElementById("app");
    render(null, place);
    const items = { length: 100000, at: (index) => ({ id: index }) };
    render(html`<${VirtualList} label="rows" items=${items} keyOf=${(each) => each.id}
        render=${(each) => html`<p>${"Row " + each.id + " of many. ".repeat(1 + each.id % 9)}</p>`}
        />`, place);
    const frames = [];
    let last = performance.now();
    for (let step = 0; step < 300; step++) {
        scrollBy(0, step % 3 ? 400 : 30000);
        const now = await new Promise(requestAnimationFrame);
        frames.push(now - last);
        last = now;
    }
    return { frames, rows: document.querySelectorAll("[role=listitem]").length };
}"""


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--memories", type=int, default=100_000)
    parser.add_argument("--state", type=Path, help="one that was made before")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = given.state or Path(folder) / "state"
        if given.state is None:
            seed_memories(root, given.memories)
        with Gateway(root) as gateway, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            width, height = SIZES["desktop"]
            page = browser.new_page(viewport={"width": width, "height": height})
            _measure(page, gateway)
            browser.close()


def _measure(page: Page, gateway: Gateway) -> None:
    # The first answer of a gateway reads its indexes; nobody looks at that.
    gateway.post("/api/v1/memory/search", {"query": "tea"})
    token = token_for(gateway, ("operator.admin",))
    page.add_init_script(f"localStorage.setItem('clawstate.token', '{token}')")
    wire = page.context.new_cdp_session(page)
    wire.send("Network.enable")
    sizes: dict[str, float] = {}
    wire.on(
        "Network.loadingFinished",
        lambda each: sizes.update({each["requestId"]: each["encodedDataLength"]}),
    )
    paths: dict[str, str] = {}
    wire.on(
        "Network.requestWillBeSent",
        lambda each: paths.update({each["requestId"]: each["request"]["url"]}),
    )
    begun = time.perf_counter()
    page.goto(gateway.url)
    page.locator("main input[type=search]").wait_for()
    told = time.perf_counter() - begun
    page.get_by_role("listitem").first.wait_for()
    listed = time.perf_counter() - begun
    # With the headers of the answers, as they come; what the gateway is asked for is no view.
    files = [size for key, size in sizes.items() if "/api/" not in paths[key]]
    print(f"first view   {sum(files) / 1000:6.1f} kB transferred in {len(files)} files")
    print(f"usable after {told * 1000:6.0f} ms, listed after {listed * 1000:.0f}")
    begun = time.perf_counter()
    page.reload()
    page.locator("main input[type=search]").wait_for()
    print(f"again after  {(time.perf_counter() - begun) * 1000:6.0f} ms")
    times = sorted(page.evaluate(_KEYS, each) for each in QUERIES * 5)
    print(f"last key to result on screen: {_of(times)} ms")
    base = page.evaluate(
        "new URL('.', document.querySelector('script[src]').src).href.slice(0, -1)"
    )
    found = page.evaluate(_SCROLL, base)
    frames = sorted(found["frames"])
    print(f"100,000 rows: frames of {_of(frames)} ms, {found['rows']} rows in the page")


def _of(values: list[float]) -> str:
    middle, high = statistics.median(values), values[int(len(values) * 0.95)]
    return f"median {middle:.0f}, 95 % within {high:.0f}"


if __name__ == "__main__":
    main()
