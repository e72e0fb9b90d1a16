"""`Unit`: the gateway of one state as a user service of systemd."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from clawstate import systemd

_HINT: Final = "keep 'clawstate gateway run' alive by other means; --dry-run prints the unit"


class Unit:
    """
    The service of the state in *root*; *env* are the variables of the process.

    Each state has a name of its own, so that several can be served side by side.
    """

    def __init__(self, root: Path, env: Mapping[str, str] = os.environ) -> None:
        self.name = f"{systemd.unit_name('gateway', root, env)}.service"
        self.path = systemd.unit_folder(env) / self.name
        self._root = root

    @property
    def text(self) -> str:
        """What the unit says."""
        command = systemd.command_line(self._root, "gateway", "run")
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
        systemd.install({self.path: self.text}, self.name, hint=_HINT)

    def uninstall(self) -> bool:
        """Stop and remove it; False if there was none. Raises `UnavailableError`."""
        if not self.is_installed:
            return False
        systemd.uninstall([self.path], self.name, hint=_HINT)
        return True
