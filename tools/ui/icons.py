"""
Draw the icons of the web UI as PNG, for systems that install a page and take no SVG.

`python tools/ui/icons.py` writes `static/icons/*.png` from the SVG beside them, by Chromium.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests" / each) for each in ("ui", "gateway", ".")]

from browsing import ARGUMENTS, CHROMIUM
from playwright.sync_api import sync_playwright

ICONS = ROOT / "src" / "clawstate" / "gateway" / "ui" / "static" / "icons"
SIZES = (192, 512)


def main() -> None:
    """Write each icon at each size."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        for name in ("icon", "maskable"):
            drawn = (ICONS / f"{name}.svg").read_text()
            for size in SIZES:
                page = browser.new_page(viewport={"width": size, "height": size})
                page.set_content(
                    f"<style>body{{margin:0}}svg{{display:block;width:{size}px;height:{size}px}}"
                    f"</style>{drawn}"
                )
                path = ICONS / f"{name}-{size}.png"
                page.screenshot(path=path, omit_background=True)
                page.close()
        browser.close()


if __name__ == "__main__":
    main()
