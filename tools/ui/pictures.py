"""
Take the pictures of the web UI that the pages show: `python tools/ui/pictures.py`.

A gateway on a state that holds the documentation itself, in Debian's Chromium by Playwright.
Writes `docs/images/ui-*.jpg`; look at them before you commit them.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests" / each) for each in ("ui", "gateway", ".")]

from browsing import ARGUMENTS, CHROMIUM, SIZES, token_for
from playwright.sync_api import Browser, sync_playwright
from running_gateway import Gateway

import clawstate
from clawstate.importers.sync import import_paths

PICTURES = (
    ("ui-memory", "/?q=what+survives+a+power+cut", "desktop", "light"),
    ("ui-map", "/map", "desktop", "dark"),
    ("ui-phone", "/?q=what+survives+a+power+cut", "phone", "dark"),
)
SETTLED = 3_000  # milliseconds until a map is laid out


def main() -> None:
    """Write all pictures."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "state"
        with clawstate.open(root) as state:
            import_paths(state.memory, [ROOT / "docs" / "concepts", ROOT / "docs" / "how-to"])
        with Gateway(root) as gateway, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            for picture in PICTURES:
                _take(browser, gateway, picture)
            browser.close()


def _take(browser: Browser, gateway: Gateway, picture: tuple[str, str, str, str]) -> None:
    name, path, size, scheme = picture
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,  # type: ignore[arg-type]
        is_mobile=size == "phone",
    )
    token = token_for(gateway, ("operator.admin",))
    context.add_init_script(f"localStorage.setItem('clawstate.token', '{token}')")
    page = context.new_page()
    page.goto(gateway.url + path)
    page.locator("main input[type=search]").first.wait_for()
    page.wait_for_timeout(SETTLED)
    if name == "ui-memory":
        page.get_by_role("button", name="why").first.click()
        page.wait_for_timeout(SETTLED // 10)
    page.screenshot(path=ROOT / "docs" / "images" / f"{name}.jpg", type="jpeg", quality=70)
    context.close()


if __name__ == "__main__":
    main()
