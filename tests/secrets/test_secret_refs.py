from __future__ import annotations

import copy
import json
import os
import pickle
import subprocess
import sys
import traceback
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawstate.errors import (
    ConfigError,
    CorruptError,
    InvalidError,
    LimitError,
    MissingExtraError,
    NotFoundError,
    StateError,
    UnavailableError,
)
from clawstate.secrets.references import SecretRef, SecretResolver, parse_reference

CANARY = "sk-canary-0451"
"""A secret; no test may find it in a message."""

OPENAI = {"source": "env", "provider": "default", "id": "OPENAI_API_KEY"}
BY_POINTER = SecretRef("file", "main", "/a/b")


def ref(text: str) -> SecretRef:
    return SecretRef(*text.split(":", 2))


def resolver_of(
    tmp_path: Path,
    providers: Mapping[str, Any] | None = None,
    *,
    env: Mapping[str, str] | None = None,
    **secrets: Any,
) -> SecretResolver:
    config = {"secrets": {"providers": providers or {}, **secrets}}
    return SecretResolver(config, env=env or {}, state_dir=tmp_path / "state")


def refusal(resolver: SecretResolver, asked: SecretRef) -> StateError:
    """Return the error of *asked*, after a look at all that it shows."""
    with pytest.raises(StateError) as caught:
        resolver.resolve(asked)
    error = caught.value
    shown = [str(error), repr(error), repr(error.args), str(vars(error)), repr(resolver)]
    shown.append("".join(traceback.format_exception(error)))
    shown.append(pickle.dumps(error).decode("latin-1"))
    chained = error.__cause__ or error.__context__
    while chained is not None:  # whoever reports errors may show all that they hold
        shown += [repr(chained.args), repr(vars(chained)), str(getattr(chained, "object", ""))]
        chained = chained.__cause__ or chained.__context__
    assert CANARY not in "\n".join(shown)
    return error


def secret_file(tmp_path: Path, content: str | bytes, mode: int = 0o600) -> Path:
    path = tmp_path / "secrets.json"
    raw = content.encode() if isinstance(content, str) else content
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(raw)
        os.fchmod(descriptor, mode)  # past the umask
    return path


def file_resolver(path: Path, **options: Any) -> SecretResolver:
    return resolver_of(path.parent, {"main": {"source": "file", "path": str(path), **options}})


def program(tmp_path: Path, body: str, mode: int = 0o700) -> Path:
    path = tmp_path / "vault"
    lines = (f"#!{sys.executable} -I", "import json, os, sys", body)
    path.write_text("\n".join(lines))
    path.chmod(mode)
    return path


def command_resolver(path: Path, options: Any = None, *, env: Any = None) -> SecretResolver:
    provider = {"source": "exec", "command": str(path), "timeoutMs": 60_000}
    provider |= {"noOutputTimeoutMs": 60_000, **(options or {})}
    return resolver_of(path.parent, {"vault": provider}, env=env)


def answering(**members: Any) -> str:
    return f"sys.stdin.read(); print({json.dumps({'protocolVersion': 1, **members})!r})"


KEY = ref("exec:vault:openai/key")
FOUND = answering(values={"openai/key": CANARY})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (OPENAI, "env:default:OPENAI_API_KEY"),
        ({"source": "file", "provider": "main", "id": "/providers/openai"}, None),
        ({"source": "file", "provider": "main", "id": "value"}, None),
        ({"source": "exec", "provider": "vault", "id": "op://x/y.z"}, "exec:vault:op://x/y.z"),
        ({"source": "keyring", "provider": "os", "id": "openai/ada"}, "keyring:os:openai/ada"),
        ({"source": "env", "id": "TOKEN"}, "env:default:TOKEN"),
        ({"source": "exec", "id": "openai"}, "exec:vault:openai"),
        ("${TOKEN}", "env:default:TOKEN"),
    ],
)
def test_what_is_a_reference(value: Any, expected: str | None) -> None:
    """A reference is an object of source, provider and id, or a lone variable; defaults count."""
    found = parse_reference(value, defaults={"exec": "vault"})

    assert isinstance(found, SecretRef)
    assert str(found) == (expected or ":".join(value.values()))


@pytest.mark.parametrize(
    "value",
    [
        "plain",
        "",
        "${}",
        "${token}",
        "${_TOKEN}",
        "$${TOKEN}",
        " ${TOKEN}",
        "${TOKEN}\n",
        "${TOKEN}x",
        f"${{{'A' * 129}}}",
        None,
        7,
        [OPENAI],
        {},
        {**OPENAI, "more": 1},
        {"source": "env"},
        {**OPENAI, "source": "vault"},
        {**OPENAI, "provider": None},
        {**OPENAI, "provider": "Default"},
        {**OPENAI, "provider": "a" * 65},
        {**OPENAI, "id": "lower"},
        {**OPENAI, "id": "A" * 129},
        {**OPENAI, "id": "A\n"},
        {"source": "file", "id": "relative"},
        {"source": "exec", "id": "-x"},
        {"source": "exec", "id": "a b"},
        {"source": "exec", "id": "a" * 257},
    ],
)
def test_what_is_no_reference(value: Any) -> None:
    """Whatever else it is, it is a value of its own."""
    assert parse_reference(value) is None


SOURCES = st.sampled_from(["env", "exec", "file", "keyring"])


@given(SOURCES, st.from_regex(r"[A-Z][A-Z0-9]{0,20}", fullmatch=True))
def test_defaults_by_source(source: str, name: str) -> None:
    """Without a provider it is the default one of the source, or else `default`."""
    identity = f"/{name}" if source == "file" else name
    value = {"source": source, "id": identity}

    assert parse_reference(value) == SecretRef(source, "default", identity)
    assert parse_reference(value, defaults={source: "own"}) == SecretRef(source, "own", identity)


def test_a_malformed_reference_is_not_repeated() -> None:
    """A secret that was written in the place of an id is in no message."""
    with pytest.raises(InvalidError) as caught:
        SecretRef("env", "default", CANARY)

    assert CANARY not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(InvalidError):
        parse_reference({"source": "env", "id": "TOKEN"}, defaults={"env": "No Alias"})


def test_a_variable_needs_no_provider(tmp_path: Path) -> None:
    """The default provider of variables works without being configured, under each name."""
    env = {"TOKEN": CANARY}

    assert resolver_of(tmp_path, env=env).resolve(ref("env:default:TOKEN")) == CANARY
    named = resolver_of(tmp_path, env=env, defaults={"env": "own"})
    assert named.resolve(ref("env:own:TOKEN")) == CANARY
    assert SecretResolver({}, env=env, state_dir=tmp_path).resolve(ref("env:default:TOKEN"))


@pytest.mark.parametrize("env", [{}, {"TOKEN": ""}, {"TOKEN": " \n"}])
def test_a_missing_variable_is_named(tmp_path: Path, env: dict[str, str]) -> None:
    """A variable that is missing or blank is named, and the environment of the process is not."""
    error = refusal(resolver_of(tmp_path, env=env), ref("env:default:TOKEN"))

    assert isinstance(error, UnavailableError)
    assert str(error) == "environment variable TOKEN: is missing or empty; set it"


def test_the_allowlist_of_variables(tmp_path: Path) -> None:
    """With a list only its variables may be read, with an empty one none, without one all."""
    env = {"TOKEN": CANARY, "OTHER": CANARY}
    listed = resolver_of(tmp_path, {"e": {"source": "env", "allowlist": ["TOKEN"]}}, env=env)
    empty = resolver_of(tmp_path, {"e": {"source": "env", "allowlist": []}}, env=env)
    free = resolver_of(tmp_path, {"e": {"source": "env"}}, env=env)

    assert listed.resolve(ref("env:e:TOKEN")) == free.resolve(ref("env:e:OTHER")) == CANARY
    assert "secrets.providers.e.allowlist: does not list the variable OTHER" in str(
        refusal(listed, ref("env:e:OTHER"))
    )
    assert isinstance(refusal(empty, ref("env:e:TOKEN")), ConfigError)


@pytest.mark.parametrize(
    "asked", ["env:other:TOKEN", "file:default:/a", "exec:vault:a", "keyring:os:a/b"]
)
def test_an_unknown_provider_is_named(tmp_path: Path, asked: str) -> None:
    """A provider that is not configured is an error of the configuration, with the reference."""
    error = refusal(resolver_of(tmp_path, env={"TOKEN": CANARY}), ref(asked))

    assert isinstance(error, ConfigError)
    assert f"is not configured (ref: {asked})" in str(error)
    assert error.name == f"secrets.providers.{asked.split(':')[1]}"


@pytest.mark.parametrize(
    "settings",
    [
        {"source": "env"},
        CANARY,
        {"source": CANARY},
        {"source": "file"},
        {"source": "file", "path": [CANARY]},
        {"source": "file", "path": "/x", "maxBytes": CANARY},
        {"source": "file", "path": CANARY},
        {"source": "file", "path": f"/x\0{CANARY}"},
        {"source": "file", "path": f"~ada/{CANARY}"},
    ],
)
def test_a_malformed_provider_shows_no_value(tmp_path: Path, settings: Any) -> None:
    """What is wrong with a provider is said by its key, never by its value."""
    error = refusal(resolver_of(tmp_path, {"main": settings}), BY_POINTER)

    assert isinstance(error, ConfigError)
    assert error.name.startswith("secrets.providers.main")


@pytest.mark.parametrize(
    ("pointer", "document"),
    [
        ("/a/b", {"a": {"b": CANARY}}),
        ("/", {"": CANARY}),
        ("/a~1b/m~0n", {"a/b": {"m~n": CANARY}}),
        ("/~01", {"~1": CANARY}),
        ("/a/1", {"a": ["x", CANARY]}),
        ("/0", {"0": CANARY}),
        ("/a//é", {"a": {"": {"é": CANARY}}}),
    ],
)
def test_a_secret_at_a_pointer(tmp_path: Path, pointer: str, document: Any) -> None:
    """An id is a JSON pointer as in RFC 6901."""
    path = secret_file(tmp_path, json.dumps(document))

    assert file_resolver(path, mode="json").resolve(SecretRef("file", "main", pointer)) == CANARY


@pytest.mark.parametrize(
    ("pointer", "expected"),
    [
        ("/none", NotFoundError),
        ("/a/none", NotFoundError),
        ("/a/b/c", NotFoundError),
        ("/list/1", NotFoundError),
        ("/list/-", NotFoundError),
        ("/list/00", NotFoundError),
        ("/list/" + "9" * 5000, NotFoundError),
        ("/list", UnavailableError),
        ("/number", UnavailableError),
        ("/blank", UnavailableError),
        ("/a~2", ConfigError),
        ("/a~", ConfigError),
        ("value", ConfigError),
    ],
)
def test_no_secret_at_a_pointer(tmp_path: Path, pointer: str, expected: type) -> None:
    """A pointer to nothing, or to no text, is refused by what is wrong with it."""
    document = {"a": {"b": CANARY}, "list": [CANARY], "number": 7, "blank": " "}
    path = secret_file(tmp_path, json.dumps(document))

    error = refusal(file_resolver(path), SecretRef("file", "main", pointer))

    assert type(error) is expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [(CANARY, CANARY), (f"{CANARY}\r\n", CANARY), (f" {CANARY}\n\n", f" {CANARY}\n")],
)
def test_a_file_of_a_single_value(tmp_path: Path, content: str, expected: str) -> None:
    """A file with one secret means its text without the last line end."""
    resolver = file_resolver(secret_file(tmp_path, content), mode="singleValue")

    assert resolver.resolve(ref("file:main:value")) == expected
    assert isinstance(refusal(resolver, BY_POINTER), ConfigError)


@pytest.mark.parametrize("content", [b"", b"\n", CANARY.encode() + b"\xff"])
def test_a_single_value_that_is_no_text(tmp_path: Path, content: bytes) -> None:
    """An empty file, or one that is not UTF-8, holds no secret."""
    resolver = file_resolver(secret_file(tmp_path, content), mode="singleValue")

    assert isinstance(refusal(resolver, ref("file:main:value")), UnavailableError)


@pytest.mark.parametrize(
    "content",
    ["", f'{{"a": {{"b": "{CANARY}"}}', f"{CANARY}", b'{"a": "' + CANARY.encode() + b'\xff"}'],
)
def test_a_damaged_file_is_not_quoted(tmp_path: Path, content: str | bytes) -> None:
    """A file that is not JSON is named with the place of the damage, and not quoted."""
    path = secret_file(tmp_path, content)

    error = refusal(file_resolver(path), BY_POINTER)

    assert isinstance(error, CorruptError)
    assert error.path == str(path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o610])
def test_a_file_that_others_may_use(tmp_path: Path, mode: int) -> None:
    """A file that is not for its owner alone is refused, with the command that mends it."""
    path = secret_file(tmp_path, json.dumps({"a": {"b": CANARY}}), mode)

    error = refusal(file_resolver(path), BY_POINTER)

    assert isinstance(error, InvalidError)
    subprocess.run(error.hint.removeprefix("run '").removesuffix("'"), shell=True, check=True)
    assert file_resolver(path).resolve(BY_POINTER) == CANARY


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_somebody_else(tmp_path: Path) -> None:
    """A file and a program that belong to another user are refused."""
    path = secret_file(tmp_path, json.dumps({"a": {"b": CANARY}}))
    command = program(tmp_path, FOUND)
    os.chown(path, 12345, -1)
    os.chown(command, 12345, -1)

    for error in (
        refusal(file_resolver(path), BY_POINTER),
        refusal(command_resolver(command), KEY),
    ):
        assert isinstance(error, InvalidError)
        assert "belongs to user 12345" in str(error)


def test_no_link_pipe_or_directory_is_read(tmp_path: Path) -> None:
    """Only a regular file is read: a link or a directory is refused, and a pipe not waited for."""
    path = secret_file(tmp_path, json.dumps({"a": {"b": CANARY}}))
    (tmp_path / "link").symlink_to(path)
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "directory").mkdir(0o700)

    for name in ("link", "pipe", "directory"):
        assert isinstance(refusal(file_resolver(tmp_path / name), BY_POINTER), InvalidError)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A file that is not there is named with the setting that names it."""
    error = refusal(file_resolver(tmp_path / "none"), BY_POINTER)

    assert isinstance(error, NotFoundError)
    assert str(tmp_path / "none") in str(error)
    assert "secrets.providers.main.path" in str(error)


def test_a_file_may_not_be_too_large(tmp_path: Path) -> None:
    """A file of just as many bytes as are allowed is read, a larger one is not."""
    text = json.dumps({"a": {"b": CANARY}})
    path = secret_file(tmp_path, text)

    assert file_resolver(path, maxBytes=len(text)).resolve(BY_POINTER) == CANARY
    assert isinstance(refusal(file_resolver(path, maxBytes=len(text) - 1), BY_POINTER), LimitError)


def test_a_tilde_is_the_home(tmp_path: Path) -> None:
    """A path may start with `~`, the home that the variables name."""
    secret_file(tmp_path, CANARY)
    settings = {"source": "file", "path": "~/secrets.json", "mode": "singleValue"}
    resolver = resolver_of(tmp_path, {"main": settings}, env={"HOME": str(tmp_path)})

    assert resolver.resolve(ref("file:main:value")) == CANARY


def test_a_program_is_asked_in_json(tmp_path: Path) -> None:
    """A program reads protocol, provider and ids, and has its own arguments and variables only."""
    body = """
asked = json.load(sys.stdin)
variables = {k: v for k, v in os.environ.items() if k != "LC_CTYPE"}
told = json.dumps([asked, sys.argv[1:], variables, os.getcwd()])
print(json.dumps({"protocolVersion": 1, "values": {"openai/key": told}}))
"""
    options = {
        "args": ["--field", "a b; $(exit 3)"],
        "env": {"GIVEN": "2", "BOTH": "provider"},
        "passEnv": ["PASSED", "BOTH", "ABSENT", "OPENCLAW_STATE_DIR"],
    }
    env = {"PASSED": "1", "BOTH": "env", "HIDDEN": CANARY, "OPENCLAW_STATE_DIR": "/elsewhere"}
    resolver = command_resolver(program(tmp_path, body), options, env=env)

    asked, arguments, variables, directory = json.loads(resolver.resolve(KEY))

    assert asked == {"protocolVersion": 1, "provider": "vault", "ids": ["openai/key"]}
    assert arguments == ["--field", "a b; $(exit 3)"]
    state = str(tmp_path / "state")
    given = {"GIVEN": "2", "PASSED": "1", "BOTH": "provider", "OPENCLAW_STATE_DIR": state}
    assert variables == given
    assert directory == str(tmp_path)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (f"print({CANARY!r})", CANARY),
        (f"print('  {CANARY}  ')", CANARY),
        (f"print(json.dumps({CANARY!r}))", CANARY),
        ("print('0451')", "0451"),
        (FOUND, CANARY),
    ],
)
def test_a_program_may_write_just_the_secret(tmp_path: Path, body: str, expected: str) -> None:
    """Without `jsonOnly` what a program writes is the secret, unless it is an answer in JSON."""
    resolver = command_resolver(program(tmp_path, body), {"jsonOnly": False})

    assert resolver.resolve(KEY) == expected


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (f"print({CANARY!r})", "its answer is not JSON (line 1, column 1)"),
        ("", "its answer is empty (line 1, column 1)"),
        (f"print(json.dumps({CANARY!r}))", "its answer is not of protocolVersion 1"),
        (f"sys.stdout.buffer.write(b'{CANARY}\\xff')", "its answer is not UTF-8"),
        (f"print(json.dumps({{'values': {{'openai/key': {CANARY!r}}}}}))", "protocolVersion 1"),
        (answering(), "gave no secret for openai/key"),
        (answering(values=[CANARY]), "gave no secret for openai/key"),
        (answering(values={"other": CANARY}), "gave no secret for openai/key"),
        (
            answering(values={"openai/key": "x"}, errors={"openai/key": {"message": CANARY}}),
            "gave no secret for openai/key",
        ),
        (answering(values={"openai/key": {"x": CANARY}}), "is empty, or no text"),
        (answering(values={"openai/key": ""}), "is empty, or no text"),
        (f"print({CANARY!r}); print({CANARY!r}, file=sys.stderr); exit(3)", "ended with status 3"),
        (f"print({CANARY!r}); raise ValueError({CANARY!r})", "ended with status 1"),
        (f"print({CANARY!r}, flush=True); os.kill(os.getpid(), 15)", "died of signal 15"),
    ],
)
def test_the_output_of_a_failure_is_not_shown(tmp_path: Path, body: str, problem: str) -> None:
    """A program that fails, or answers badly, is named with its status but not with its output."""
    error = refusal(command_resolver(program(tmp_path, body)), KEY)

    assert isinstance(error, UnavailableError)
    assert problem in str(error)


def test_odd_errors_of_a_program_are_none(tmp_path: Path) -> None:
    """Only an object of errors by id says that a secret is not there."""
    body = answering(values={"openai/key": CANARY}, errors=[7])

    assert command_resolver(program(tmp_path, body)).resolve(KEY) == CANARY


HANGING = "os.read(os.pipe()[0], 1)"


@pytest.mark.parametrize(
    ("body", "option"),
    [
        (HANGING, "timeoutMs"),
        (HANGING, "noOutputTimeoutMs"),
        (f"print({CANARY!r}, flush=True); {HANGING}", "noOutputTimeoutMs"),
        (f"os.close(1); os.close(2); {HANGING}", "timeoutMs"),
    ],
)
def test_a_program_that_takes_too_long(tmp_path: Path, body: str, option: str) -> None:
    """A program that does not end, or says nothing for long, is ended."""
    error = refusal(command_resolver(program(tmp_path, body), {option: 100}), KEY)

    assert isinstance(error, UnavailableError)
    assert f"took longer than its {option}" in str(error)


def test_children_are_ended_too(tmp_path: Path) -> None:
    """A program that is stopped leaves no child behind."""
    held = tmp_path / "held"
    os.mkfifo(held)
    reader = os.open(held, os.O_RDONLY | os.O_NONBLOCK)
    body = f"""
os.write(os.open({str(held)!r}, os.O_WRONLY), b"x")
if os.fork() == 0:
    os.write(os.open({str(held)!r}, os.O_WRONLY), b"x")
    print({CANARY!r} * 100, flush=True)
{HANGING}
"""
    error = refusal(command_resolver(program(tmp_path, body), {"maxOutputBytes": 100}), KEY)

    assert isinstance(error, LimitError)
    os.set_blocking(reader, True)
    with os.fdopen(reader, "rb") as file:
        assert file.read() == b"xx"  # ends when nobody is left who could write


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_program_may_not_write_too_much(tmp_path: Path, stream: str) -> None:
    """Everything that a program writes counts against its limit."""
    body = f"while True: print({CANARY!r}, file=sys.{stream})"

    error = refusal(command_resolver(program(tmp_path, body), {"maxOutputBytes": 5000}), KEY)

    assert isinstance(error, LimitError)
    assert error.limit == 5000


def test_no_other_may_be_able_to_replace_a_program(tmp_path: Path) -> None:
    """A program that others may write is refused, unless that is allowed."""
    path = program(tmp_path, FOUND, mode=0o720)

    error = refusal(command_resolver(path), KEY)

    assert isinstance(error, InvalidError)
    assert error.hint == f"run 'chmod 700 {path}'"
    assert command_resolver(path, {"allowInsecurePath": True}).resolve(KEY) == CANARY


def test_a_link_to_a_program(tmp_path: Path) -> None:
    """A link is refused unless it is allowed, and then its target must be trusted."""
    path = program(tmp_path, FOUND)
    (tmp_path / "bin").mkdir()
    link = tmp_path / "bin" / "vault"
    link.symlink_to(path)
    allowed = {"allowSymlinkCommand": True}
    elsewhere = allowed | {"trustedDirs": [str(link.parent)]}

    assert "is a symbolic link" in str(refusal(command_resolver(link), KEY))
    assert command_resolver(link, allowed).resolve(KEY) == CANARY
    assert "trustedDirs" in str(refusal(command_resolver(link, elsewhere), KEY))
    assert command_resolver(link, allowed | {"trustedDirs": [str(tmp_path)]}).resolve(KEY) == CANARY


def test_a_link_to_itself(tmp_path: Path) -> None:
    """A link that leads nowhere is unavailable, even if links are allowed."""
    (tmp_path / "vault").symlink_to("vault")

    error = refusal(command_resolver(tmp_path / "vault", {"allowSymlinkCommand": True}), KEY)

    assert isinstance(error, UnavailableError)


def test_programs_outside_of_the_trusted_directories(tmp_path: Path) -> None:
    """A trusted directory does not trust its neighbour with a longer name, or a way out of it."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin-other").mkdir()
    path = program(tmp_path / "bin-other", FOUND)
    around = tmp_path / "bin" / ".." / "bin-other" / "vault"

    for command in (path, around):
        options = {"trustedDirs": [str(tmp_path / "bin")]}
        assert isinstance(refusal(command_resolver(command, options), KEY), InvalidError)


@pytest.mark.parametrize(
    "options",
    [{"args": ["a\0b"]}, {"env": {"A=B": CANARY}}, {"env": {"A": f"{CANARY}\ud800"}}],
)
def test_arguments_that_no_program_can_have(tmp_path: Path, options: Any) -> None:
    """Arguments and variables that cannot be handed over are an error without their values."""
    error = refusal(command_resolver(program(tmp_path, FOUND), options), KEY)

    assert isinstance(error, UnavailableError)
    assert "its arguments or variables are malformed" in str(error)


def test_a_program_that_cannot_be_started(tmp_path: Path) -> None:
    """A missing program, a directory, and a file that is no program are unavailable."""
    path = tmp_path / "text"
    path.write_text(CANARY)

    for command in (tmp_path / "none", tmp_path, path):
        options = {"allowInsecurePath": True}
        error = refusal(command_resolver(command, options), KEY)
        assert isinstance(error, UnavailableError)
        assert "was not started" in str(error)


def test_a_program_is_asked_once_for_all(tmp_path: Path) -> None:
    """The references of a value are asked for together, though question and answer are long."""
    body = """
ids = json.load(sys.stdin)["ids"]
os.write(os.open("runs", os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600), b"x")
print(json.dumps({"protocolVersion": 1, "values": {each: each.upper() for each in ids}}))
"""
    resolver = command_resolver(program(tmp_path, body))
    ids = [f"{'a' * 250}{number}" for number in range(1000)]

    found = resolver.resolve_all([{"source": "exec", "provider": "vault", "id": i} for i in ids])

    assert found == [each.upper() for each in ids]
    assert resolver.resolve(SecretRef("exec", "vault", ids[7])) == ids[7].upper()
    assert (tmp_path / "runs").read_text() == "x"


def test_a_program_need_not_read_the_question(tmp_path: Path) -> None:
    """A program that ends before it has read a long question has still answered."""
    ids = [f"{'a' * 250}{number}" for number in range(1000)]
    body = "os.close(0); ids = ['a' * 250 + str(n) for n in range(1000)]\n"
    body += f"print(json.dumps({{'protocolVersion': 1, 'values': dict.fromkeys(ids, {CANARY!r})}}))"
    resolver = command_resolver(program(tmp_path, body))

    found = resolver.resolve_all([{"source": "exec", "provider": "vault", "id": i} for i in ids])

    assert found == [CANARY] * 1000


def test_single_secrets_are_asked_for_one_by_one(tmp_path: Path) -> None:
    """Without `jsonOnly` a program is asked for each secret alone, and may answer with text."""
    body = "print(*json.load(sys.stdin)['ids'])"
    resolver = command_resolver(program(tmp_path, body), {"jsonOnly": False})

    found = resolver.resolve_all([{"source": "exec", "provider": "vault", "id": i} for i in "ab"])

    assert found == ["a", "b"]


def test_all_references_of_a_value(tmp_path: Path) -> None:
    """A copy has the secrets in place of the references; all else is as it was."""
    path = secret_file(tmp_path, json.dumps({"a": {"b": CANARY}}))
    providers = {"main": {"source": "file", "path": str(path)}}
    resolver = resolver_of(tmp_path, providers, env={"TOKEN": "t"}, defaults={"file": "main"})
    value = {
        "apiKey": {"source": "file", "id": "/a/b"},
        "list": ["${TOKEN}", {"token": "${TOKEN}"}, "${TOKEN} text", None, 7],
        "other": {"source": "env", "id": "lower"},
    }
    original = copy.deepcopy(value)

    found = resolver.resolve_all(value)

    assert found == {
        "apiKey": CANARY,
        "list": ["t", {"token": "t"}, "${TOKEN} text", None, 7],
        "other": {"source": "env", "id": "lower"},
    }
    assert value == original
    assert found["list"] is not value["list"]
    assert found["other"] is not value["other"]


def test_a_deep_value(tmp_path: Path) -> None:
    """References are found as deep as a configuration may go."""
    value: Any = "${TOKEN}"
    for _ in range(500):
        value = [value]

    found = resolver_of(tmp_path, env={"TOKEN": CANARY}).resolve_all(value)

    assert CANARY in str(found)


def test_a_secret_is_fetched_when_asked_for_and_then_kept(tmp_path: Path) -> None:
    """Nothing is read before a secret is asked for, and nothing again after; a new one sees all."""
    resolver = file_resolver(tmp_path / "secrets.json")
    path = secret_file(tmp_path, json.dumps({"a": {"b": CANARY}}))
    first = resolver.resolve(BY_POINTER)
    path.unlink()

    assert resolver.resolve(BY_POINTER) == first == CANARY
    assert isinstance(refusal(file_resolver(path), BY_POINTER), NotFoundError)


def test_a_resolver_shows_references_only(tmp_path: Path) -> None:
    """The text of a resolver names what was resolved, and never a secret."""
    resolver = resolver_of(tmp_path, env={"TOKEN": CANARY, "OTHER": CANARY})
    assert repr(resolver) == "<SecretResolver of nothing yet>"

    resolver.resolve_all(["${TOKEN}", "${OTHER}"])

    assert repr(resolver) == "<SecretResolver of env:default:OTHER, env:default:TOKEN>"
    assert f"{resolver}" == repr(resolver)


def test_resolving_warns_of_nothing(tmp_path: Path) -> None:
    """No warning is given, in which a secret could stand."""
    path = secret_file(tmp_path, json.dumps({"a": {"b": CANARY}}))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        file_resolver(path).resolve(BY_POINTER)
        command_resolver(program(tmp_path, FOUND)).resolve(KEY)
        refusal(command_resolver(program(tmp_path, HANGING), {"timeoutMs": 50}), KEY)

    assert [str(each.message) for each in caught] == []


@pytest.mark.parametrize("config", [{}, {"secrets": None}, {"secrets": {"providers": []}}])
def test_a_malformed_section_has_no_provider(tmp_path: Path, config: Any) -> None:
    """A section that is no object is as good as none."""
    resolver = SecretResolver(config, env={}, state_dir=tmp_path)

    assert isinstance(refusal(resolver, KEY), ConfigError)


@pytest.fixture
def keyring(tmp_path: Path):
    """Yield the keyring package with a backend that keeps its passwords in a file."""
    package = pytest.importorskip("keyring")
    backend = pytest.importorskip("keyrings.alt.file").PlaintextKeyring()
    backend.file_path = str(tmp_path / "keyring.cfg")
    before = package.get_keyring()
    package.set_keyring(backend)
    yield package
    package.set_keyring(before)


def keyring_resolver(tmp_path: Path, **options: Any) -> SecretResolver:
    return resolver_of(tmp_path, {"os": {"source": "keyring", **options}})


def test_a_password_of_the_keyring(tmp_path: Path, keyring) -> None:
    """An id is a service and a user, or only the user at the service of the provider."""
    keyring.set_password("openai", "ada", CANARY)
    keyring.set_password("https://example.org", "ada", "second")
    keyring.set_password("openclaw", "ada", "third")
    resolver = keyring_resolver(tmp_path)

    assert resolver.resolve(ref("keyring:os:openai/ada")) == CANARY
    assert resolver.resolve(ref("keyring:os:https://example.org/ada")) == "second"
    assert resolver.resolve(ref("keyring:os:ada")) == "third"
    own = keyring_resolver(tmp_path, service="openai")
    assert own.resolve(ref("keyring:os:ada")) == CANARY


def test_a_password_that_the_keyring_has_not(tmp_path: Path, keyring) -> None:
    """A password that is not there is named, with the command that stores it."""
    error = refusal(keyring_resolver(tmp_path), ref("keyring:os:openai/ada"))

    assert isinstance(error, NotFoundError)
    assert str(error) == "no secret 'openai/ada'; run 'keyring set openai ada'"


def test_a_keyring_that_fails_is_not_quoted(tmp_path: Path, keyring) -> None:
    """What a backend says of its failure is not repeated: it may quote what it read."""
    (tmp_path / "keyring.cfg").write_text(f"[openai]\n{CANARY}\n")

    error = refusal(keyring_resolver(tmp_path), ref("keyring:os:openai/ada"))

    assert isinstance(error, UnavailableError)
    assert "failed with ParsingError" in str(error)


def test_a_missing_keyring_package(tmp_path: Path, monkeypatch) -> None:
    """Without the package the error names the extra that brings it."""
    monkeypatch.setitem(sys.modules, "keyring", None)

    error = refusal(keyring_resolver(tmp_path), ref("keyring:os:openai/ada"))

    assert isinstance(error, MissingExtraError)
    assert error.hint == "pip install 'clawstate[keyring]'"


def test_variables_need_no_schema_and_no_keyring() -> None:
    """Whoever resolves nothing but variables pays neither for the schema nor for the keyring."""
    code = """
import json, pathlib, sys
from clawstate.secrets.references import SecretResolver
SecretResolver({}, env={"A": "b"}, state_dir=pathlib.Path()).resolve_all("${A}")
print(json.dumps([*sys.modules]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=60)

    slow = {"clawstate.secrets.schema", "keyring", "pydantic"}
    assert slow & set(json.loads(done.stdout)) == set()
