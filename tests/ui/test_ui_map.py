"""The map: points by meaning, selected by hand or by keys, and what is done with them."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect
from running_gateway import Gateway


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    """Start a gateway on a state of three subjects."""
    with Gateway(tmp_path_factory.mktemp("map") / "state") as started:
        subjects = ("green tea from Kyoto", "a bicycle with a bell", "the comet of the night")
        for number in range(24):
            text = f"{subjects[number % 3]} {number}"
            record = {"text": text, "tags": [f"part{number % 3}"]}
            assert started.post("/api/v1/memory/records", record).status == 201
        yield started


def count(gateway: Gateway, tag: str) -> int:
    path = f"/api/v1/memory/records?limit=1000&tag={tag}"
    return len(gateway.get(path).json["records"])


def draw_around_all(page: Page) -> None:
    page.get_by_role("button", name="Select with an outline").click()
    box = page.locator(".map-stage").bounding_box()
    left, top = box["x"] + 6, box["y"] + 6
    right, bottom = box["x"] + box["width"] - 60, box["y"] + box["height"] - 6
    page.mouse.move(left, top)
    page.mouse.down()
    for x, y in ((right, top), (right, bottom), (left, bottom), (left, top + 8)):
        page.mouse.move(x, y, steps=3)
    page.mouse.up()


@pytest.mark.slow
def test_what_is_outlined_is_tagged_and_taken_back(sight, gateway: Gateway) -> None:
    """A selection gets a tag in one go, and loses it by Undo."""
    with sight() as seen:
        page = seen.open("/map")
        draw_around_all(page)
        expect(page.get_by_text("24 selected")).to_be_visible()
        page.get_by_role("button", name="Tag", exact=True).click()
        page.get_by_label("Add").fill("seen")
        page.get_by_role("button", name="Change").click()
        expect(page.get_by_text("24 of 24 changed")).to_be_visible()
        seen.picture("map-tagged")

        assert count(gateway, "seen") == 24
        with page.expect_response("**/many/tag"):
            page.get_by_role("button", name="Undo").click()
        assert count(gateway, "seen") == 0


def test_keys_alone_select_open_and_forget(sight, gateway: Gateway) -> None:
    """By keys a rectangle selects, Enter opens the nearest, and what is forgotten has a receipt."""
    made = gateway.post("/api/v1/memory/records", {"text": "green tea to forget", "tags": ["go"]})
    assert made.status == 201
    with sight() as seen:
        page = seen.open("/map?tag=go")
        stage = page.get_by_role("application")
        stage.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_contain_text("green tea to forget")
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_be_hidden()

        stage.focus()
        page.keyboard.press("r")
        for _ in range(40):
            page.keyboard.press("ArrowRight")
            page.keyboard.press("ArrowUp")
        page.keyboard.press("Enter")
        expect(page.get_by_text("1 selected")).to_be_visible()
        page.get_by_role("button", name="Forget", exact=True).click()
        page.get_by_role("dialog").get_by_role("button", name="Forget").click()
        expect(page.get_by_role("dialog", name="Forgotten")).to_contain_text("cleared")
        seen.picture("map-receipt")

    assert count(gateway, "go") == 0


def test_the_table_says_the_same_and_others_changes_come_in(sight, gateway: Gateway) -> None:
    """The table has what the map has; what somebody remembers appears by itself."""
    with sight(size="phone", scopes=("operator.read",)) as seen:
        page = seen.open("/map?tag=part1")
        page.get_by_role("button", name="Show as table").click()
        table = page.locator("#map-table")
        expect(table).to_contain_text("a bicycle with a bell")
        assert seen.axe() == []
        expect(page.get_by_role("button", name="Tag", exact=True)).to_have_count(0)

        record = {"text": "a tandem is a bicycle for two", "tags": ["part1"]}
        gateway.post("/api/v1/memory/records", record)

        expect(table).to_contain_text("a tandem is a bicycle for two")
        seen.picture("map-table-phone")


@pytest.mark.slow
def test_another_namespace_is_chosen_by_its_name(sight, gateway: Gateway) -> None:
    """Where there are several namespaces the map shows the one that is chosen, or all of them."""
    record = {"text": "a note of the other one", "namespace": "other"}
    assert gateway.post("/api/v1/memory/records", record).status == 201
    with sight() as seen:
        page = seen.open("/map")
        page.get_by_label("Namespace").select_option("other")
        expect(page.get_by_text("1 memory;")).to_be_visible()
        page.get_by_label("Namespace").select_option("all of them")
        seen.picture("map-namespaces")

        expect(page.get_by_label("Map of 1 memories")).to_have_count(0)
        assert "all=1" in page.url


@pytest.mark.slow
def test_what_is_found_stands_out(sight) -> None:
    """A query on the map marks what it finds, and the address keeps it."""
    with sight() as seen:
        page = seen.open("/map")
        page.get_by_label("Find on the map").fill("comet")

        expect(page.get_by_text(re.compile(r"^[1-9]\d* found$"))).to_be_visible()
        assert "q=comet" in page.url


class Fingers:
    """Fingers on the screen of a phone, as the browser itself would hear of them."""

    def __init__(self, page: Page) -> None:
        self._wire = page.context.new_cdp_session(page)
        self._page = page

    def touch(self, kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places)]
        self._wire.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points})

    def drag(self, *ways: list[tuple[float, float]], rest: int = 0) -> None:
        """Move a finger along each of *ways*, after a *rest* in milliseconds."""
        self.touch("Start", *(way[0] for way in ways))
        if rest:
            self._page.wait_for_timeout(rest)
        for places in zip(*(way[1:] for way in ways), strict=True):
            self.touch("Move", *places)
        self.touch("End")


@pytest.mark.slow
def test_fingers_move_near_and_select(sight) -> None:
    """Two fingers zoom, one moves what is seen, and one that rested first draws an outline."""
    with sight(size="phone") as seen:
        page = seen.open("/map")
        stage = page.locator(".map-stage")
        expect(stage).to_have_attribute("data-zoom", "1.00")
        stage.scroll_into_view_if_needed()
        box, fingers = stage.bounding_box(), Fingers(page)
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

        left, top = box["x"] + 8, box["y"] + 8
        right, bottom = box["x"] + box["width"] - 8, box["y"] + box["height"] - 8
        around = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top + 9)]
        fingers.drag(around, rest=700)
        expect(page.get_by_text(re.compile(r"\d+ selected"))).to_be_visible()
        page.get_by_role("button", name="Clear").first.click()

        before = page.evaluate("scrollY")
        fingers.drag([(x, y), (x - 30, y - 40), (x - 60, y - 80)])
        fingers.drag(
            [(x - 20, y), (x - 60, y), (x - 100, y)], [(x + 20, y), (x + 60, y), (x + 100, y)]
        )
        assert float(stage.get_attribute("data-zoom")) > 2
        assert page.evaluate("scrollY") == before
        seen.picture("map-fingers")


_DRAWN = """async (kind) => {
    const { src } = document.querySelector("script[type=module]");
    const base = src.replace(/main.js.*/, "views/map/");
    const { glDrawing } = await import(base + "draw-gl.js");
    const { plainDrawing } = await import(base + "draw-2d.js");
    const { Camera } = await import(base + "camera.js");
    const canvas = Object.assign(document.createElement("canvas"), { width: 200, height: 200 });
    const drawing = kind === "2d" ? plainDrawing(canvas) : glDrawing(canvas, true);
    if (!drawing) return null;
    const camera = new Camera();
    camera.resize(200, 200);
    drawing.points(Float32Array.of(0, 0.5, -0.5), Float32Array.of(0, 0, 0));
    drawing.looks(Uint8Array.of(1, 32, 17));
    drawing.palette([[0, 0, 0], [0, 100, 200]], [255, 0, 0]);
    drawing.draw(camera, 8, 1);
    const copy = new OffscreenCanvas(200, 200)
        .getContext("2d", { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    return [0, 0.5, -0.5, 0.9].map((x) => {
        const [px, py] = camera.toScreen(x, 0);
        return [...copy.getImageData(Math.round(px), Math.round(py), 1, 1).data];
    });
}"""


@pytest.mark.parametrize("kind", ["webgl2", "2d"])
def test_points_have_their_colours_by_a_card_and_without(sight, kind: str) -> None:
    """A point has the colour of its name, stands out when it is marked, and is dimmed if not."""
    with sight() as seen:
        page = seen.open("/map")
        drawn = page.evaluate(_DRAWN, kind)

        if drawn is None:
            pytest.skip("this browser has no WebGL2 at all")
        (red, green, blue, solid), marked, dimmed, nothing = drawn
        assert blue > green > red
        assert solid > 180
        assert marked == [255, 0, 0, 255]
        assert 0 < dimmed[3] < 90
        assert nothing == [0, 0, 0, 0]
