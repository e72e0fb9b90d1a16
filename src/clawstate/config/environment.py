"""
The variables that a configuration may refer to, in layers; the process environment stays as it is.

A variable that is set and not blank is never replaced: the environment speaks first, then the
`.env` of the working directory, that of the state, and the `env` block of the configuration.
"""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clawstate.arguments import require_text
from clawstate.config.sources import FileRead, Notice, look_at, read_file
from clawstate.config.substitution import substitute_text
from clawstate.errors import InvalidError, LimitError, NotFoundError, UnavailableError
from clawstate.interrupts import load_modules
from clawstate.json5.parse import Place

MAX_DOTENV_BYTES = 1 << 20
"""No `.env` file that is read is larger."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BLOCKED_PREFIXES = ("LD_", "DYLD_", "BASH_FUNC_", "GIT_CONFIG", "NPM_CONFIG_", "OPENSSL_")
# Each makes some program load code, run a command or trust a file that the writer of it chose.
_BLOCKED_NAMES = """
PATH PATHEXT COMSPEC SYSTEMROOT WINDIR
SHELL SHELLOPTS BASHOPTS BASH_ENV ENV IFS PS4 PROMPT_COMMAND ZDOTDIR CDPATH
NODE_OPTIONS NODE_PATH NODE_EXTRA_CA_CERTS NODE_REPL_EXTERNAL_MODULE
PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONINSPECT PYTHONBREAKPOINT PYTHONUSERBASE
PYTHONEXECUTABLE PYTHONPLATLIBDIR PYTHONWARNINGS
PERL5LIB PERL5OPT PERL5DB PERLLIB RUBYLIB RUBYOPT LUA_PATH LUA_CPATH LUA_INIT PHPRC
PHP_INI_SCAN_DIR CLASSPATH JAVA_TOOL_OPTIONS JDK_JAVA_OPTIONS _JAVA_OPTIONS DOTNET_STARTUP_HOOKS
GIT_SSH GIT_SSH_COMMAND GIT_ASKPASS GIT_EXEC_PATH GIT_EXTERNAL_DIFF GIT_PROXY_COMMAND
GIT_EDITOR GIT_SEQUENCE_EDITOR GIT_PAGER GIT_TEMPLATE_DIR GIT_DIR GIT_WORK_TREE
GIT_ALTERNATE_OBJECT_DIRECTORIES
SSH_ASKPASS SSH_AUTH_SOCK SUDO_ASKPASS EDITOR VISUAL PAGER BROWSER LESSOPEN LESSCLOSE
GCONV_PATH GLIBC_TUNABLES LOCPATH NLSPATH HOSTALIASES LOCALDOMAIN RES_OPTIONS SSLKEYLOGFILE
HOME USERPROFILE OPENCLAW_HOME OPENCLAW_STATE_DIR OPENCLAW_CONFIG_PATH
CLAWDBOT_STATE_DIR CLAWDBOT_CONFIG_PATH
"""
_BLOCKED = frozenset(_BLOCKED_NAMES.split())
_NOT_VARIABLES = frozenset({"vars", "shellEnv"})


@dataclass(frozen=True, slots=True)
class Environment:
    """Variables, the `.env` files that were looked for, and what was odd; shows no value."""

    variables: Mapping[str, str] = field(repr=False)
    files: tuple[FileRead, ...] = ()
    notices: tuple[Notice, ...] = ()


def is_blocked(name: str) -> bool:
    """
    Tell whether no file may set the variable *name*, in whatever case.

    Such variables choose which code programs load or run, or where the state lies.
    """
    upper = name.upper()
    return upper in _BLOCKED or upper.startswith(_BLOCKED_PREFIXES)


def with_dotenv(env: Mapping[str, str], paths: tuple[Path, ...]) -> Environment:
    """
    Return *env* with what the `.env` files *paths* add, the first one first.

    A missing file is none; one that cannot be read is only noted, and so is a line that says
    nothing or names a blocked variable.
    """
    variables = dict(env)
    files: list[FileRead] = []
    notices: list[Notice] = []
    for path in dict.fromkeys(paths):
        values, file, found = _read(path)
        files.append(file)
        notices += [*found, *_add(variables, values, path, "")]
    return Environment(variables, tuple(files), tuple(notices))


def with_config(environment: Environment, config: Mapping[str, Any], path: Path) -> Environment:
    """
    Return *environment* with what the `env` block of *config* adds, which was read from *path*.

    Those are the strings of `env.vars`, and then those of `env` itself. They may refer to others
    that are already there; one that refers to a missing variable adds nothing.
    """
    variables = dict(environment.variables)
    values: dict[str, str] = {}
    known = ChainMap(_drop_blank(variables), values)
    for name, template in _block(config.get("env")):
        value, _, missing = substitute_text(template, known)
        if not missing:
            values[name] = value
    notices = list(_add(variables, values, path, "env."))
    return Environment(variables, environment.files, (*environment.notices, *notices))


def _read(path: Path) -> tuple[Mapping[str, str], FileRead, list[Notice]]:
    try:
        raw, file = read_file(path, limit=MAX_DOTENV_BYTES)
    except NotFoundError:
        return {}, look_at(path), []
    except (InvalidError, UnavailableError) as error:
        return {}, look_at(path), [Notice(path, None, f"{error.problem}; it was passed over")]
    except LimitError:
        problem = f"is larger than {MAX_DOTENV_BYTES:,} bytes; it was passed over"
        return {}, look_at(path), [Notice(path, None, problem)]
    load_modules("clawstate.config.environment")

    parsed = parse_dotenv(raw)
    notices = [Notice(path, Place(line, 1), text) for line, text in parsed.problems]
    return parsed.values, file, notices


def _add(
    variables: dict[str, str], values: Mapping[str, str], path: Path, prefix: str
) -> Iterator[Notice]:
    for name, value in values.items():
        if is_blocked(name):
            yield Notice(path, None, f"{prefix}{name} is not taken: a file may not set it")
        # A file never replaces what is set: who starts the program has the last word.
        elif not variables.get(name, "").strip():
            variables[name] = value


def _block(env: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(env, dict):
        return
    named = env.get("vars")
    inner = named.items() if isinstance(named, dict) else ()
    outer = ((name, value) for name, value in env.items() if name not in _NOT_VARIABLES)
    for name, value in (*inner, *outer):
        if isinstance(value, str) and value.strip() and _NAME.fullmatch(name):
            yield name, value


def _drop_blank(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: each for name, each in variables.items() if require_text("env", each).strip()}


_BLANK = r"[ \t\f\v\xa0\ufeff]"
_START = re.compile(
    rf"\s*+(?:export{_BLANK}++)?(?P<name>[A-Za-z0-9_.-]++)(?:{_BLANK}*+=|:{_BLANK}){_BLANK}*+"
)
_IDLE = re.compile(rf"{_BLANK}*+(?:#[^\n]*+)?(?:\n|\Z)")
_REST = re.compile(r"[^\n]*+(?:\n|\Z)")
_PLAIN = re.compile(r"[^#\n]*+")
_QUOTED = {
    quote: re.compile(
        rf"{quote}((?:\\{quote}|[^{quote}])*+){quote}{_BLANK}*+(?:#[^\n]*+)?(?:\n|\Z)"
    )
    for quote in "'\"`"
}


@dataclass(frozen=True, slots=True)
class DotEnv:
    """
    The variables of one file, and what is wrong with it: line numbers from 1, and a sentence.

    Neither the representation nor a sentence holds a value.
    """

    values: Mapping[str, str] = field(repr=False)
    problems: tuple[tuple[int, str], ...] = ()


def parse_dotenv(raw: bytes) -> DotEnv:
    """
    Return the variables of *raw*; lines that say nothing are reported, and the others still count.

    Bytes that are not UTF-8 are replaced, and reported too.
    """
    text = raw.decode("utf-8", errors="replace")
    reading = _Reading(text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff"))
    reading.run()
    if text.encode() != raw:
        line = text[: text.index("\ufffd")].count("\n") + 1
        reading.problems.append((line, "holds bytes that are not UTF-8"))
    return DotEnv(reading.values, tuple(reading.problems))


class _Reading:
    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._line = 1
        self.values: dict[str, str] = {}
        self.problems: list[tuple[int, str]] = []

    def run(self) -> None:
        while self._position < len(self._text):
            self._move(self._statement())

    def _statement(self) -> int:
        """Take in the next line, or several if a quote spans them, and return where it ends."""
        if idle := _IDLE.match(self._text, self._position):
            return idle.end()
        start = _START.match(self._text, self._position)
        if start is None:
            self.problems.append((self._line, "is not NAME=value"))
            return self._end_of_line(self._position)
        value, end = self._value(start.end())
        self.values[start["name"]] = value
        return end

    def _value(self, start: int) -> tuple[str, int]:
        quote = self._text[start : start + 1]
        quoted = _QUOTED[quote].match(self._text, start) if quote in _QUOTED else None
        if quoted is not None:
            return _unescape(quoted[1], quote), quoted.end()
        plain = self._plain(start)
        if quote in _QUOTED:
            plain = _unescape(self._strip_quotes(plain, quote), quote)
        return plain, self._end_of_line(start)

    def _plain(self, start: int) -> str:
        match = _PLAIN.match(self._text, start)
        return match[0].strip() if match else ""

    def _strip_quotes(self, plain: str, quote: str) -> str:
        if len(plain) > 1 and plain.endswith(quote):
            return plain[1:-1]
        self.problems.append((self._line, "begins with a quote that does not end"))
        return plain

    def _end_of_line(self, position: int) -> int:
        match = _REST.match(self._text, position)
        return match.end() if match else len(self._text)

    def _move(self, end: int) -> None:
        self._line += self._text.count("\n", self._position, end)
        self._position = end


def _unescape(value: str, quote: str) -> str:
    return value.replace("\\n", "\n").replace("\\r", "\r") if quote == '"' else value
