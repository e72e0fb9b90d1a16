"""`Unit`: the gateway of one state as a user service of systemd."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from clawstate.errors import UnavailableError
from clawstate.files.atomic import write_atomic
from clawstate.files.paths import effective_home, resolve_state_dir

_PATIENCE: Final = 30  # seconds that systemctl has
_READABLE: Final = 0o644
_HINT: Final = "keep 'clawstate gateway run' alive by other means; --dry-run prints the unit"


class Unit:
    """
    The service of the state in *root*; *env* are the variables of the process.

    Each state has a name of its own, so that several can be served side by side.
    """

    def __init__(self, root: Path, env: Mapping[str, str] = os.environ) -> None:
        digest = hashlib.sha256(os.fsencode(root)).hexdigest()[:8]
        is_usual = root == resolve_state_dir(env)
        self.name = f"clawstate-gateway{'' if is_usual else f'-{digest}'}.service"
        folder = env.get("XDG_CONFIG_HOME") or effective_home(env) / ".config"
        self.path = Path(folder) / "systemd" / "user" / self.name
        self._root = root

    @property
    def text(self) -> str:
        """What the unit says."""
        words = [sys.executable, "-m", "clawstate", "--state-dir", str(self._root)]
        command = " ".join(_quote(each) for each in (*words, "gateway", "run"))
        return (
            "[Unit]\n"
            "Description=The gateway of clawstate: a state over HTTP\n"
            "Documentation=https://github.com/clawstate/clawstate\n"
            "After=network.target\n"
            "\n"
            "[Service]\n"
            f"ExecStart={command}\n"
            "Restart=on-failure\n"
            "RestartSec=5\n"
            "UMask=0077\n"
            "NoNewPrivileges=yes\n"
            "\n"
            "[Install]\n"
            "WantedBy=default.target\n"
        )

    @property
    def is_installed(self) -> bool:
        """Whether the unit is there."""
        return self.path.is_file()

    def install(self) -> None:
        """Write the unit, start it, and start it at each login; raises `UnavailableError`."""
        systemctl = _systemctl()
        write_atomic(self.path, self.text.encode(), mode=_READABLE)
        _run(systemctl, "daemon-reload")
        _run(systemctl, "enable", "--now", self.name)

    def uninstall(self) -> bool:
        """Stop and remove it; False if there was none. Raises `UnavailableError`."""
        if not self.is_installed:
            return False
        systemctl = _systemctl()
        _run(systemctl, "disable", "--now", self.name)
        self.path.unlink(missing_ok=True)
        _run(systemctl, "daemon-reload")
        return True


def _systemctl() -> str:
    found = shutil.which("systemctl")
    if found is None:
        raise UnavailableError("systemd", "is not here (there is no systemctl)", _HINT)
    return found


def _run(systemctl: str, *words: str) -> None:
    command = [systemctl, "--user", *words]
    try:
        done = subprocess.run(  # noqa: S603 - found by its name, words of ours
            command, capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(
            "systemctl", f"did not answer ({type(error).__name__})", _HINT
        ) from error
    if done.returncode:
        told = done.stderr.strip().partition("\n")[0] or f"exit code {done.returncode}"
        raise UnavailableError(f"systemctl --user {words[0]}", told, _HINT)


def _quote(word: str) -> str:
    """Return *word* as systemd reads it back: `%` and `$` have a meaning to it."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'
