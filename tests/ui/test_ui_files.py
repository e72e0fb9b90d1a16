"""What a browser gets: the modules of the UI, joined into few files without their comments."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from browsing import sight as sight_of
from running_gateway import Gateway

from clawstate.gateway.ui.assets import FOLDER, Assets
from clawstate.gateway.ui.joining import JoinError, join, strip_comments

BUDGET = 60_000  # bytes of the first view, headers and all


def test_the_first_view_is_small(browser, gateway: Gateway) -> None:
    """All files until the home shows memories are at most 60 kB on the wire, with their headers."""
    with sight_of(browser, gateway) as seen:
        wire = seen.page.context.new_cdp_session(seen.page)
        wire.send("Network.enable")
        paths: dict[str, str] = {}
        sizes: dict[str, float] = {}
        wire.on(
            "Network.requestWillBeSent",
            lambda each: paths.update({each["requestId"]: urlsplit(each["request"]["url"]).path}),
        )
        wire.on(
            "Network.loadingFinished",
            lambda each: sizes.update({each["requestId"]: each["encodedDataLength"]}),
        )
        seen.page.goto(gateway.url)
        seen.page.get_by_role("listitem").first.wait_for()
        files = {paths[key]: size for key, size in sizes.items() if "/api/" not in paths[key]}

        assert any(path.endswith("/main.js") for path in files)
        assert any(path.endswith("/views/memory.js") for path in files)
        assert sum(files.values()) <= BUDGET, files


def test_each_module_stands_in_one_file() -> None:
    """However many import a module, it is in one served file, and those that join it share it."""
    served = {
        name: asset.body.decode()
        for name, asset in Assets().current().files.items()
        if name.endswith(".js") and name != "sw.js"
    }
    scopes = [
        found
        for text in served.values()
        for found in re.findall(r"(?m)^const (\$\w+) = \(\(\) => \{$", text)
    ]
    modules = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.js")}

    assert len(scopes) == len(set(scopes)) > 40
    assert set(served) == modules - {"sw.js"}


def test_a_module_is_what_it_was_before_it_was_joined() -> None:
    """Names, defaults, names given anew and what is passed on keep their meaning in one file."""
    made = join(
        {
            "main.js": 'import a, { b as c, d } from "./in/a.js";\n'
            'export const e = () => a(c, d);\nimport("./later.js");\n',
            "in/a.js": 'export { d } from "./d.js";\nexport default function (x) {}\n'
            "const own = 1;\nexport { own as b };\n",
            "in/d.js": "// What d is.\nexport function d() {}\n",
            "later.js": 'import { e } from "./main.js";\nexport const f = 1;\n'
            "export default class Later {}\n",
        },
        ["main.js"],
    )

    assert "const { default: a, b: c, d } = $in_a;" in made["main.js"]
    assert "return { d: $in_d.d, b: own, default: $default };" in made["main.js"]
    assert "What d is" not in made["main.js"]
    assert made["in/d.js"].endswith("export const { d } = $in_d;\n")
    assert 'import { $main } from "./main.js";' in made["later.js"]
    assert "export const { f } = $later;\nexport default $later.default;\n" in made["later.js"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('import { b } from "./b.js";\nexport const a = b;', "imports itself"),
        ("export let a = 1;", "something else than a constant"),
        ('import * as b from "./c.js";', "in a form that is not known"),
    ],
)
def test_what_cannot_be_joined_is_refused(text: str, problem: str) -> None:
    """A cycle, an export that changes and an import of everything are told, with the module."""
    modules = {"a.js": text, "b.js": 'import { a } from "./a.js";\nexport const b = a;', "c.js": ""}

    with pytest.raises(JoinError, match=problem) as told:
        join(modules, ["a.js"])

    assert told.value.module == "a.js"


def test_comments_alone_are_left_out() -> None:
    """A comment that has its lines for itself goes; text that looks like one stays."""
    text = (
        'const url = "http://a"; // stays\n  // goes\n/** goes\n * too\n */\nconst b = `/* c */`;\n'
    )

    assert (
        strip_comments("a.js", text) == 'const url = "http://a"; // stays\nconst b = `/* c */`;\n'
    )
