"""Secrets that private files hold and that programs print."""

from __future__ import annotations

import os
import re
import selectors
import shlex
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from clawstate.errors import (
    ConfigError,
    CorruptError,
    InvalidError,
    LimitError,
    NotFoundError,
    UnavailableError,
)
from clawstate.files.json_text import dump_compact, parse_json
from clawstate.files.paths import expand_path
from clawstate.files.refusals import translated
from clawstate.files.regular import open_regular, read_all

if TYPE_CHECKING:
    from clawstate.config.schema.secrets import CommandProvider, FileProvider

_INDEX = re.compile(r"0|[1-9][0-9]{0,9}")
_CHUNK = 1 << 16

# Errors about what was read are raised outside of handlers: those they would chain hold it.


def from_file(
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
        if (each == "value") is not single:
            hint = "write the id value" if single else "write one like /providers/openai/apiKey"
            raise ConfigError(name, f"a file like this has no id {each}", hint)
    if single:
        return {"value": _only_value(raw, path)}
    document = parse_json(raw, path=path)
    return {pointer: _value_at(document, pointer, path) for pointer in ids}


def from_command(
    alias: str, ids: tuple[str, ...], provider: CommandProvider, *, env: Mapping[str, str]
) -> Mapping[str, Any]:
    """
    Return what the program of the provider *alias* answers when it is asked for *ids*.

    It reads one line of JSON, `protocolVersion`, `provider` and `ids`, and writes `values` and
    `errors` by id; without `jsonOnly` it may write a single secret as it is. It is given no
    variable but those of the provider, and ended with its children if it takes too long. Raises
    what `SecretResolver.resolve` does.
    """
    command = _trusted_command(provider, f"secrets.providers.{alias}", env)
    passed = {name: env[name] for name in provider.pass_env if name in env}
    json_only = provider.json_only is not False
    found: dict[str, Any] = {}
    for asked in [ids] if json_only else [(each,) for each in ids]:
        question = {"protocolVersion": 1, "provider": alias, "ids": list(asked)}
        program = _Program(f"program of secrets.providers.{alias}", command, provider)
        output = program.answer(dump_compact(question).encode(), passed | provider.env)
        found |= _answered(output, asked, program.name, json_only=json_only)
    return found


def _absolute(text: str, setting: str, env: Mapping[str, str]) -> Path:
    if "\0" in text or not (os.path.isabs(text) or text == "~" or text.startswith("~/")):
        raise ConfigError(setting, "is not an absolute path", "write the whole path")
    return expand_path(text, env=env)


def _private_content(path: Path, limit: int, setting: str) -> bytes:
    with translated(path, "was not read"):
        try:
            descriptor = open_regular(path)
        except NotFoundError as error:
            raise NotFoundError("file", str(path), f"write it, or correct {setting}") from error
        try:
            _require_closed(path, os.fstat(descriptor), forbidden=0o077)
            return read_all(descriptor, limit, path)
        finally:
            os.close(descriptor)


def _require_closed(path: Path, found: os.stat_result, *, forbidden: int) -> None:
    mode, quoted = stat.S_IMODE(found.st_mode), shlex.quote(str(path))
    if mode & forbidden:
        hint = f"run 'chmod {mode & ~forbidden:o} {quoted}'"
        raise InvalidError(str(path), f"its mode {mode:o} lets others use it", hint)
    # Root, to whom most programs belong, could replace anything anyway.
    if found.st_uid not in {0, os.geteuid()}:
        hint = f"run 'chown {os.geteuid()} {quoted}'"
        raise InvalidError(str(path), f"belongs to user {found.st_uid}", hint)


def _only_value(raw: bytes, path: Path) -> str:
    text = _text(raw)
    if text is None:
        raise CorruptError(str(path), "is not UTF-8", "write the secret as text")
    return text.removesuffix("\n").removesuffix("\r")


def _text(raw: bytes) -> str | None:
    with suppress(UnicodeDecodeError):
        return raw.decode()
    return None


def _value_at(document: Any, pointer: str, path: Path) -> Any:
    """Return what stands at the JSON *pointer* (RFC 6901)."""
    if re.search("~(?![01])", pointer):
        raise ConfigError(pointer, "is not a JSON pointer", "write ~0 for a tilde, ~1 for a slash")
    value = document
    for token in pointer.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and _INDEX.fullmatch(key) and int(key) < len(value):
            value = value[int(key)]
        else:
            raise NotFoundError("secret", pointer, f"add it to {path}")
    return value


def _trusted_command(provider: CommandProvider, name: str, env: Mapping[str, str]) -> Path:
    setting = f"{name}.command"
    path = _absolute(provider.command, setting, env)
    with translated(path, "was not started", f"install it, or correct {setting}"):
        if path.is_symlink() and not provider.allow_symlink_command:
            hint = f"name its target, or set {name}.allowSymlinkCommand"
            raise InvalidError(str(path), "is a symbolic link", hint)
        command = path.resolve(strict=True)
        found = command.stat()
    trusted = [_absolute(each, f"{name}.trustedDirs", env) for each in provider.trusted_dirs]
    if trusted and not any(command.is_relative_to(each.resolve()) for each in trusted):
        raise InvalidError(str(command), f"is outside of {name}.trustedDirs", "move it there")
    if not provider.allow_insecure_path:
        _require_closed(command, found, forbidden=0o022)
    return command


class _Program:
    """One run of a program, which may neither take too long nor say too much."""

    def __init__(self, name: str, command: Path, provider: CommandProvider) -> None:
        self.name = name
        self._command = command
        self._provider = provider
        self._silence = provider.no_output_timeout_ms / 1000
        self._end = self._quiet_end = 0.0
        self._size = 0
        self._output: list[bytes] = []

    def answer(self, question: bytes, env: Mapping[str, str]) -> bytes:
        with self._started(env) as process:
            try:
                self._converse(process, question)
                problem = self._ended(process)
            except BaseException:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                raise
        ...
