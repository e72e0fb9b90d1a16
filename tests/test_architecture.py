from __future__ import annotations

import ast
import itertools
import json
import re
import statistics
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from types import ModuleType

import pytest

import clawstate
from clawstate.config import settings
from clawstate.state import engines

PACKAGE = Path(clawstate.__file__).parent
ROOT = Path(__file__).parents[1]
MODULES = sorted(PACKAGE.rglob("*.py"))
SHIPPED = [
    "src",
    "tests",
    "benchmarks",
    "tools",
    "docs",
    "Makefile",
    "README.md",
    "CONTRIBUTING.md",
]
NAMELESS = {"utils", "util", "helpers", "helper", "common", "core", "base", "manager", "misc"}
PARTICIPLE = re.compile(r"_?(?:[a-z]{2,}(?:ed|ing)|told|kept|held|known|built|drawn|said|gone)")
# Nouns, adjectives for what is returned, and verbs that end like participles.
TERMS = {
    *("embed", "feed", "mapping", "listing", "finding", "standing", "pairing", "string", "meaning"),
    *("encoding", "setting", "warning", "reading", "writing", "running", "moving", "matching"),
    *("pending", "waiting", "missing", "paired", "archived", "expired", "allowed", "claimed"),
    *("changed", "misplaced", "malformed", "redacted", "repaired", "unsaved", "uncompacted"),
    *("fenced", "spelling", "bring", "gone", "ranked", "nested", "noting"),
    *("required", "known", "named", "ended", "reembed"),
}
PRIVATE_WORDS = {
    *("Lending", "Together", "Spool", "Vault", "Resealing", "Census", "Tally", "Mirror"),
    *("KernelQueue", "HeldToken", "RecentMarks", "found_lock", "courtesy", "left_alone"),
}
HEAVY = [
    *("numpy", "rich", "tokenizers", "wordllama", "onnxruntime", "click", "asyncio", "sqlite3"),
    *("apsw", "cryptography", "pydantic", "yaml"),
]

COUNTED_NOUNS = (
    *("bytes", "characters", "changes", "chunks", "copies", "directories", "documents", "elements"),
    *("entries", "events", "files", "findings", "folders", "hits", "lines", "marks", "members"),
    *("messages", "notes", "others", "passages", "places", "profiles", "records", "remarks"),
    *("requests", "rows", "secrets", "sessions", "sources", "tags", "texts", "times", "tokens"),
    *("values", "vectors", "words", "agents", "credentials", "devices", "keys", "levels"),
)
COUNTED = re.compile(rf" (?:(?:more|other|new|old|distinct) )?(?:{'|'.join(COUNTED_NOUNS)})\b")
BOUND = re.compile(r"\{(?:_?[A-Z][A-Z_]+|longest|limit):,\}")


def of_each_module(check: Callable[[Path], None]) -> Callable[[], None]:
    """Return a test that asks *check* about every module, and tells all that do not pass."""

    def test() -> None:
        wrong = []
        for module in MODULES:
            try:
                check(module)
            except AssertionError as error:
                wrong.append(f"{module.relative_to(PACKAGE)}: {error}")
        assert not wrong, "\n".join(wrong)

    test.__doc__ = check.__doc__
    return test


@cache
def tree_of(module: Path) -> ast.Module:
    return ast.parse(module.read_text(encoding="utf-8"))


def lines_of(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_no_module_is_long() -> None:
    """No module has more than 400 lines."""
    assert [str(each) for each in MODULES if lines_of(each) > 400] == []


@pytest.mark.parametrize("page", ["README.md", "docs/concepts/architecture.md"])
def test_every_package_is_on_the_map(page: str) -> None:
    """The map of the code and the floors of the house name each package and module at the top."""
    tops = {
        each.stem
        for each in PACKAGE.iterdir()
        if (each.suffix == ".py" or any(each.glob("*.py"))) and each.stem[0] != "_"
    } - {"py"}

    blocks = (ROOT / page).read_text().split("```")[1::2]

    assert any(all(re.search(rf"\b{top}\b", block) for top in tops) for block in blocks)


@pytest.mark.parametrize("container", ["clawstate", "clawstate.memory", "clawstate.config"])
def test_the_floors_on_the_page_are_those_that_are_checked(container: str) -> None:
    """A list of floors on the page names each module of its contract, the top first."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (floors,) = (
        [re.findall(r"\w+", each) for each in contract["layers"]]
        for contract in contracts["contracts"]
        if contract.get("containers") == [container]
    )
    page = (ROOT / "docs" / "concepts" / "architecture.md").read_text()

    def place(block: str, name: str) -> int | None:
        lines = enumerate(block.splitlines())
        return next((at for at, line in lines if re.search(rf"(^|[|:] ){name}\b", line)), None)

    blocks = [
        [[place(block, each) for each in floor] for floor in floors]
        for block in page.split("```")[1::2]
    ]
    shown = [each for each in blocks if None not in itertools.chain(*each)]

    assert len(shown) == 1
    assert all(max(above) < min(below) for above, below in itertools.pairwise(shown[0]))


PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def headings(page: Path) -> set[str]:
    """Return what links behind a `#` can name of *page*."""
    plain = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    titles = (re.sub(r"[^\w\- ]", "", each.lower()) for each in re.findall(r"(?m)^#+ (.*)$", plain))
    return {each.strip().replace(" ", "-") for each in titles}


def test_links_of_the_pages_lead_somewhere() -> None:
    """Every link to a file of the project leads to one, and one to a heading to a heading."""
    lost = []
    for page in PAGES:
        plain = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", plain):
            name, _, heading = target.partition("#")
            file = (page.parent / name).resolve() if name else page
            is_ours = ":" not in target
            if is_ours and not (file.exists() and (not heading or heading in headings(file))):
                lost.append(f"{page.name}: {target}")

    assert lost == []


def test_decisions_that_are_named_are_on_record() -> None:
    """A decision that a page or a line of code names by its number has a page, and is listed."""
    folder = ROOT / "docs" / "decisions"
    index = (folder / "index.md").read_text()
    known = {int(each.name[:3]): each.name for each in folder.glob("[0-9]*.md")}
    named = {
        int(number)
        for path in (*PAGES, *MODULES)
        for found in re.findall(r"[dD]ecisions? (\d+)(?:(?:,| and| to) (\d+))?", path.read_text())
        for number in found
        if number
    }

    assert named - set(known) == set()
    assert [each for each in known.values() if f"]({each})" not in index] == []


def test_modules_are_short() -> None:
    """Half of the modules have fewer than 200 lines."""
    assert statistics.median(map(lines_of, MODULES)) < 200


def test_no_module_has_a_name_that_says_nothing() -> None:
    """A module or package is named after what it holds."""
    parts = {part for each in MODULES for part in each.relative_to(PACKAGE).with_suffix("").parts}

    assert parts & NAMELESS == set()


def called(tree: ast.Module) -> Iterator[str]:
    """Yield the names of the functions and methods of a module, properties apart."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            marks = {ast.unparse(each).rpartition(".")[2] for each in node.decorator_list}
            if not any("property" in each or each in {"setter", "getter"} for each in marks):
                yield node.name


@of_each_module
def test_functions_are_named_by_what_they_do_or_give(module: Path) -> None:
    """No function is named by a participle alone, unless the field calls it so."""
    names = set(called(tree_of(module)))

    participles = {each for each in names if PARTICIPLE.fullmatch(each)}
    assert {each.lstrip("_") for each in participles} - TERMS == set()


@of_each_module
def test_no_private_word_comes_back(module: Path) -> None:
    """What the field has a word for is called by it, and not by one that was made up here."""
    text = module.read_text()

    assert {each for each in PRIVATE_WORDS if re.search(rf"\b_?{each}\b", text)} == set()


def public(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """Yield the public functions, classes and methods of a module, with their names."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    for node in tree.body:
        if isinstance(node, (ast.ClassDef, *functions)) and not node.name.startswith("_"):
            yield node.name, node
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for each in node.body:
                if isinstance(each, functions) and not each.name.startswith("_"):
                    yield f"{node.name}.{each.name}", each


@of_each_module
def test_what_is_public_is_documented(module: Path) -> None:
    """Every module, public class, function and method has a docstring whose first line ends."""
    tree = tree_of(module)
    if tree.body:
        assert ast.get_docstring(tree), "the module"

    for name, node in public(tree):
        text = ast.get_docstring(node)
        assert text, name
        summary = text.split("\n\n")[0]
        assert summary.endswith((".", ":")), f"{name}: {summary}"


@of_each_module
def test_nothing_is_left_to_do(module: Path) -> None:
    """No module holds a note of unfinished work, a stub, or a line hidden from coverage."""
    text = module.read_text()

    for word in ("TODO", "FIXME", "XXX", "NotImplementedError()", "pragma: no" + " cover"):
        assert word not in text


def test_public_names_are_those_of_all() -> None:
    """What `clawstate` shows besides its modules is what `__all__` names, in sorted order."""
    shown = {
        name
        for name in dir(clawstate)
        if not isinstance(getattr(clawstate, name), ModuleType)
        and (not name.startswith("_") or name == "__version__")
    }

    assert shown == set(clawstate.__all__)
    assert list(clawstate.__all__) == sorted(clawstate.__all__)


def test_importing_loads_no_heavy_part() -> None:
    """`import clawstate` loads no arithmetic, no command line, no event loop, no second SQLite."""
    code = "import json, sys, clawstate; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=60)

    assert set(json.loads(done.stdout)) & set(HEAVY) == set()


def test_the_floors_hold() -> None:
    """Every import goes down: the contracts of import-linter are kept."""
    code = "from importlinter.cli import lint_imports_command as check; check()"
    done = subprocess.run(
        [sys.executable, "-c", code, "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def texts() -> Iterator[tuple[Path, str]]:
    """Yield what is shipped and can be read as text."""
    for name in SHIPPED:
        top = ROOT / name
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file() and "__pycache__" not in path.parts:
                try:
                    yield path, path.read_text()
                except UnicodeDecodeError:
                    continue


def _counts(module: Path) -> Iterator[tuple[int, str]]:
    """Yield the values that stand before a plural noun in a text of *module*, with their lines."""
    for node in ast.walk(tree_of(module)):
        if not isinstance(node, ast.JoinedStr):
            continue
        for value, behind in zip(node.values, node.values[1:], strict=False):
            if not isinstance(value, ast.FormattedValue) or not isinstance(behind, ast.Constant):
                continue
            if COUNTED.match(str(behind.value)):
                form = "" if value.format_spec is None else ast.unparse(value.format_spec)[2:-1]
                yield node.lineno, f"{{{ast.unparse(value.value)}{form and ':'}{form}}}"


@of_each_module
def test_counts_are_written_in_one_way(module: Path) -> None:
    """No text counts by itself: `number_of` does; only a bound stands before a plural always."""
    wrong = [f"{line}: {value}" for line, value in _counts(module) if not BOUND.fullmatch(value)]

    assert "testing" in module.parts or wrong == []


def test_nothing_reads_outside_of_the_project() -> None:
    """No file points beside the project or at a place of one machine."""
    places = [str(Path("..", "shared")), str(Path("/work", "shared"))]
    places += [str(each) for each in (ROOT, Path(sys.prefix)) if len(each.parts) > 2]

    found = [(str(path), place) for path, text in texts() for place in places if place in text]

    assert found == []


def test_tests_state_their_laws() -> None:
    """Every test has a docstring of one sentence that states its law."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                text = ast.get_docstring(node)
                assert text, f"{path.name}: {node.name}"
                assert text.endswith("."), f"{path.name}: {node.name}"


FACES = ("cli", "wire", "aio", "importers", "doctor")
"""Packages above the state, for which `State` is the only door."""


def imported(tree: ast.Module) -> Iterator[str]:
    """Yield the modules that are imported when the code runs, not those for types alone."""
    guarded = {
        each
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for each in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node not in guarded and node.module:
            yield node.module


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Modules import each other in no circle, not even inside a function or for types alone."""
    names = {module_name(path) for path in MODULES}
    graph: dict[str, set[str]] = {}
    for path in MODULES:
        asked = {
            member if (member := f"{node.module}.{each.name}") in names else node.module
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom) and node.module
            for each in node.names
        }
        graph[module_name(path)] = {each for each in asked if each in names} - {module_name(path)}

    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


@pytest.mark.parametrize("package", FACES)
def test_the_state_is_the_only_door(package: str) -> None:
    """What stands above the state asks `State`, and nothing that its parts stand on."""
    doors = {"clawstate.state", "clawstate.state.opened"}
    if package == "aio":  # names the classes of what a state gives, to derive verbs from theirs
        given = (
            "audit",
            "backup_notes",
            "encryption",
            "health",
            "matrix",
            "openclaw_view",
            "places",
            "records",
            "timeline",
        )
        doors |= {f"clawstate.state.{each}" for each in given}
    found = []
    for module in sorted((PACKAGE / package).rglob("*.py")):
        tree = tree_of(module)
        names = {each for each in imported(tree) if each.startswith("clawstate.state")}
        inner = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)} & {"_context"}
        found += [f"{module.name}: {each}" for each in (*names - doors, *inner)]

    assert found == []


STORES = {"memory", *(each.name for each in (PACKAGE / "stores").glob("[a-z]*") if each.is_dir())}


def test_every_store_can_be_checked(state) -> None:
    """Each store has `check`, and is among the parts that are looked at when a state is."""
    parts = {each: getattr(state, each) for each in STORES}
    parts["auth"] = state.auth()

    assert [each for each, part in parts.items() if not callable(getattr(part, "check", 0))] == []
    assert STORES - set(state.health.parts) == set()


def test_there_is_one_severity() -> None:
    """What is wrong is an error, a warning or an info everywhere, by the one `Severity`."""
    found = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.ClassDef) and node.name == "Severity")
        or (isinstance(node, ast.Subscript) and _lists_severities(node))
    ]

    assert [each.split(":")[0] for each in found] == ["health.py"], found


def _lists_severities(node: ast.Subscript) -> bool:
    values = {each.value for each in ast.walk(node.slice) if isinstance(each, ast.Constant)}
    known = {"error", "warning", "warn", "info"}  # a level of a log has more, such as fatal
    return ast.unparse(node.value) == "Literal" and "error" in values and values <= known


def test_the_doctor_names_no_store() -> None:
    """The doctor goes through the parts that the state offers: a new one is told in one place."""
    found = [
        f"{path.name}:{node.lineno}"
        for path in sorted((PACKAGE / "doctor").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in STORES and _is_state(node.value)
    ]

    assert found == []


def _is_state(node: ast.expr) -> bool:
    return ast.unparse(node).split(".")[-1].removeprefix("_") == "state"


@pytest.mark.parametrize("package", ["state", "stores", "memory", *FACES])
def test_engines_are_told_apart_by_what_they_can_do(package: str) -> None:
    """Nothing but the registry of engines compares the name of an engine with one that it knows."""
    found = []
    registry = {PACKAGE / "state" / each for each in ("engines.py", "backends.py")}
    for module in sorted((PACKAGE / package).rglob("*.py")):
        if module in registry:
            continue
        for node in ast.walk(tree_of(module)):
            compared = [node.left, *node.comparators] if isinstance(node, ast.Compare) else []
            for each in (part for whole in compared for part in ast.walk(whole)):
                name = getattr(each, "id", getattr(each, "value", None))
                is_asked = name == "file" and ".engine" in ast.unparse(node)
                if is_asked or name in ("FILE", "SQLITE", "sqlite", "postgresql", "lancedb"):
                    found.append(f"{module.relative_to(PACKAGE)}:{node.lineno}")

    assert found == []


WINGS = ("records", "stores/transcripts/backends", "memory/backends")


def test_every_engine_is_judged_by_a_suite() -> None:
    """Each engine of records, transcripts and memory declares what it can do, and a suite runs."""
    engines = {
        node.name
        for wing in WINGS
        for path in (PACKAGE / wing).rglob("*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and _declares(node) and not _is_protocol(node)
    }
    judged = {
        ast.unparse(each.returns).strip("\"'")
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
        and any(ast.unparse(base).endswith("Suite") for base in node.bases)
        for each in node.body
        if isinstance(each, ast.FunctionDef) and each.name == "make" and each.returns
    }

    assert len(engines) >= 2 * len(WINGS)
    assert engines - judged == set()


def _declares(node: ast.ClassDef) -> bool:
    names = {getattr(each, "name", None) for each in node.body}
    assigned = [each for each in node.body if isinstance(each, (ast.Assign, ast.AnnAssign))]
    names |= {getattr(part, "id", None) for each in assigned for part in ast.walk(each)}
    return "capabilities" in names


def _is_protocol(node: ast.ClassDef) -> bool:
    return any("Protocol" in ast.unparse(each) for each in node.bases)


def test_engines_that_can_be_named_are_those_of_the_registry() -> None:
    """What settings and commands call an engine is what the registry makes."""
    made = [each.name for each in engines.ENGINES if not each.schemes]

    assert made == list(settings.ENGINE_NAMES)


def test_no_store_asks_what_moved_by_itself() -> None:
    """Whoever holds what a collection says stands on `CachedView`, which asks rarely."""
    asking = [
        str(path.relative_to(PACKAGE))
        for path in MODULES
        if path.relative_to(PACKAGE).parts[0] in {"stores", "config", "doctor"}
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and node.attr == "changes"
        and "collection" in ast.unparse(node.value)
    ]

    assert asking == []


def test_modules_of_tests_have_names_of_their_own() -> None:
    """No two modules of the tests share a name: all of them are imported in one run."""
    names = [each.name for each in (ROOT / "tests").rglob("*.py") if each.stem != "conftest"]

    assert [name for name, count in Counter(names).items() if count > 1] == []
