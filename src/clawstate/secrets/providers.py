"""Secrets that private files hold and that programs print; no error shows or chains any."""

from __future__ import annotations

import os
import re
import selectors
import shlex
import signal
import stat
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clawstate.errors import (
    ConfigError,
    CorruptError,
    InvalidError,
    LimitError,
    NotFoundError,
    UnavailableError,
)
from clawstate.files.json_text import dump_compact, parse_json, parse_json_file
from clawstate.files.os_errors import os_errors
from clawstate.files.paths import expand_path
from clawstate.files.regular import open_regular, read_all

if TYPE_CHECKING:
    from clawstate.secrets.schema import CommandProvider, FileProvider


def read_from_file(
    alias: str, ids: tuple[str, ...], provider: FileProvider, *, env: Mapping[str, str]
) -> Mapping[str, Any]:
    """
    Return what the file of the provider *alias* holds at each of *ids*, read once.

    Only we and root may be able to read it. Raises what `SecretResolver.resolve` does.
    """
    name = f"secrets.providers.{alias}"
    path = _absolute(provider.path, f"{name}.path", env)
    raw = _private_content(path, provider.max_bytes, f"{name}.path")
    single = provider.mode == "singleValue"
    for each in ids:
        # RFC 6901, section 3: behind a `~` comes 0 or 1.
        if (each == "value") is not single or re.search("~(?![01])", each):
            hint = "write the id value" if single else "write a JSON pointer, such as /openai"
            raise ConfigError(name, f"{each} cannot name a secret in a file of this mode", hint)
    if single:
        # One line end, which `echo` and editors put there; a second one may belong to the secret.
        return {"value": re.sub(r"\r?\n\Z", "", _text(raw) or "")}
    document = parse_json_file(raw, path=path)
    return {pointer: _value_at(document, pointer, path) for pointer in ids}


def read_from_command(
    alias: str, ids: tuple[str, ...], provider: CommandProvider, *, env: Mapping[str, str]
) -> Mapping[str, Any]:
    """
    Return what the program of the provider *alias* answers when it is asked for *ids*.

    Both are JSON (reference, "Secret refs"); without `jsonOnly` it may write one secret as it is.
    It has no variable but the provider's. Raises what `SecretResolver.resolve` does.
    """
    name = f"secrets.providers.{alias}"
    command = _trusted_command(provider, name, env)
    # Of our environment only what is named: it may hold secrets that are not the program's.
    variables = {key: env[key] for key in provider.pass_env if key in env} | provider.env
    json_only = provider.json_only is not False
    found: dict[str, Any] = {}
    # Plain output can be one secret only, so each is asked for by itself.
    for asked in [ids] if json_only else [(each,) for each in ids]:
        question = dump_compact({"protocolVersion": 1, "provider": alias, "ids": asked}).encode()
        output = _Program(f"program of {name}", command, provider).answer(question, variables)
        found |= _parse_answer(output, asked, f"program of {name}", json_only=json_only)
    return found


def _absolute(text: str, setting: str, env: Mapping[str, str]) -> Path:
    if "\0" in text or not text.startswith(("/", "~/")):
        raise ConfigError(setting, "is not an absolute path", "write the whole path")
    return expand_path(text, env=env)


def _private_content(path: Path, limit: int, setting: str) -> bytes:
    with os_errors(path, "was not read"):
        try:
            descriptor = open_regular(path)
        except NotFoundError as error:
            raise NotFoundError("file", str(path), f"write it, or correct {setting}") from error
        with descriptor as number:
            # Of the open file: what is judged is what is read, whatever the name leads to by now.
            _require_closed(path, os.fstat(number), forbidden=0o077)
            return read_all(number, limit, path)


def _require_closed(path: Path, found: os.stat_result, *, forbidden: int) -> None:
    mode, quoted = stat.S_IMODE(found.st_mode), shlex.quote(str(path))
    if mode & forbidden:
        hint = f"run 'chmod {mode & ~forbidden:o} {quoted}'"
        raise InvalidError(str(path), f"its mode {mode:o} lets others use it", hint)
    # Root, to whom most programs belong, could replace anything anyway.
    if found.st_uid not in {0, os.geteuid()}:
        hint = f"run 'chown {os.geteuid()} {quoted}'"
        raise InvalidError(str(path), f"belongs to user {found.st_uid}", hint)


def _text(raw: bytes) -> str | None:
    with suppress(UnicodeDecodeError):
        return raw.decode()
    return None


def _value_at(document: Any, pointer: str, path: Path) -> Any:
    """Return what stands at the JSON *pointer* (RFC 6901)."""
    value = document
    for token in pointer.split("/")[1:]:
        # RFC 6901, section 4: in this order, or `~01` would become a slash. And an index has no
        # needless zero in front.
        key = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif (
            isinstance(value, list)
            and re.fullmatch("0|[1-9][0-9]{0,9}", key)
            and int(key) < len(value)
        ):
            value = value[int(key)]
        else:
            raise NotFoundError("secret", pointer, f"add it to {path}")
    return value


def _trusted_command(provider: CommandProvider, name: str, env: Mapping[str, str]) -> Path:
    setting = f"{name}.command"
    path = _absolute(provider.command, setting, env)
    with os_errors(path, "was not started", f"install it, or correct {setting}"):
        if path.is_symlink() and not provider.allow_symlink_command:
            hint = f"name its target, or set {name}.allowSymlinkCommand"
            raise InvalidError(str(path), "is a symbolic link", hint)
        # From here on the program itself: what is said of an alias says nothing of what it leads
        # to.
        command = Path(os.path.realpath(path, strict=True))
        if not provider.allow_insecure_path:
            # Others may read a program, but not change it; nor put another one in its place, which
            # a directory with the sticky bit keeps them from (inode(7)).
            _require_closed(command, command.stat(), forbidden=0o022)
            folder = command.parent.stat().st_mode
            if folder & stat.S_IWOTH and not folder & stat.S_ISVTX:
                hint = f"run 'chmod o-w {shlex.quote(str(command.parent))}'"
                raise InvalidError(str(command), "others may replace it in its directory", hint)
    trusted = [_absolute(each, f"{name}.trustedDirs", env) for each in provider.trusted_dirs]
    if trusted and not any(command.is_relative_to(each.resolve()) for each in trusted):
        raise InvalidError(str(command), f"is outside of {name}.trustedDirs", "move it there")
    return command


class _Program:
    """One run of a program, which may neither take too long nor write too much."""

    def __init__(self, name: str, command: Path, provider: CommandProvider) -> None:
        self._name = name
        self._command = command
        self._provider = provider
        self._room = provider.max_output_bytes
        self._end = time.monotonic() + provider.timeout_ms / 1000
        self._quiet_end = time.monotonic() + provider.no_output_timeout_ms / 1000
        self._output: list[bytes] = []

    def answer(self, question: bytes, env: Mapping[str, str]) -> bytes:
        self._question = memoryview(question)
        with self._start(env) as process:
            try:
                status = self._converse(process)
            except BaseException:
                # The whole process group: what a script started would go on, and keep the pipes
                # open.
                with suppress(OSError):
                    os.killpg(process.pid, signal.SIGKILL)
                raise
        if status:
            problem = f"ended with status {status}" if status > 0 else f"died of signal {-status}"
            raise UnavailableError(self._name, problem, f"try {self._command} by hand")
        return b"".join(self._output)

    def _start(self, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(  # noqa: S603 - the operator named it, and no shell sees it
                [self._command, *self._provider.args],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=self._command.parent,
                env=env,
                start_new_session=True,  # so that what it starts can be ended with it
            )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "its arguments or variables are malformed"
        raise UnavailableError(self._name, f"was not started: {reason}", "mend it")

    def _converse(self, process: subprocess.Popen[bytes]) -> int:
        with selectors.DefaultSelector() as streams:
            for stream, event, kept in (
                (process.stdin, selectors.EVENT_WRITE, None),
                (process.stdout, selectors.EVENT_READ, self._output),
                # All three at a time: a program that fills one pipe while another is waited for
                # would hang. What it says on its standard error is read for that and dropped, as it
                # may quote a secret.
                (process.stderr, selectors.EVENT_READ, []),
            ):
                if stream is not None:  # none of them is
                    os.set_blocking(stream.fileno(), False)
                    streams.register(stream, event, (stream, kept))
            while streams.get_map():
                for key, _ in streams.select(self._patience()):
                    stream, kept = key.data
                    if not (self._say(key.fd) if kept is None else self._read(key.fd, kept)):
                        streams.unregister(stream)
                        stream.close()
        while True:
            with suppress(subprocess.TimeoutExpired):
                return process.wait(self._patience())

    def _say(self, descriptor: int) -> int:
        with suppress(BrokenPipeError):  # it may know the answer without the question
            self._question = self._question[os.write(descriptor, self._question) :]
            return len(self._question)
        return 0

    def _read(self, descriptor: int, kept: list[bytes]) -> int:
        kept.append(os.read(descriptor, 1 << 16))
        self._room -= len(kept[-1])
        if self._room < 0:
            raise LimitError(f"bytes from the {self._name}", self._provider.max_output_bytes)
        self._quiet_end = time.monotonic() + self._provider.no_output_timeout_ms / 1000
        return len(kept[-1])

    def _patience(self) -> float:
        """Return how many seconds are left; raises `UnavailableError` if there are none."""
        end, key = min((self._end, "timeoutMs"), (self._quiet_end, "noOutputTimeoutMs"))
        left = end - time.monotonic()
        if left > 0:
            return left
        raise UnavailableError(
            self._name,
            f"took longer than its {key}",
            "find out why it is slow, or set a longer time",
        )


def _parse_answer(
    output: bytes, ids: tuple[str, ...], name: str, *, json_only: bool
) -> dict[str, Any]:
    answer, problem = None, ""
    try:
        answer = parse_json(output.strip(), path=Path(name))
    except CorruptError as error:
        problem = error.problem
    # Output that happens to be JSON, such as digits alone, is taken as it was written; a string of
    # JSON without its quotes.
    if not json_only and not isinstance(answer, dict) and (text := _text(output.strip())):
        return {ids[0]: answer if isinstance(answer, str) else text}
    if not isinstance(answer, dict) or answer.get("protocolVersion") != 1:
        problem = f"its answer {problem or 'is not of protocolVersion 1'}"
        raise UnavailableError(name, problem, "try it by hand")
    parts = (answer.get("values"), answer.get("errors"))
    values, errors = ({} if not isinstance(part, dict) else part for part in parts)
    for each in ids:
        if each in errors or each not in values:
            raise UnavailableError(
                name, f"gave no secret for {each}", "run the program by hand to see why"
            )
    return values
