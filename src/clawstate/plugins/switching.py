"""Turns plugins on and off in the settings, beside OpenClaw in our own file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clawstate.config.service import Config
from clawstate.errors import ConflictError
from clawstate.json5.patch import set_text
from clawstate.json5.path_grammar import format_key_path

_TRIES = 5


def switch(config: Config, changes: Mapping[tuple[str, ...], Any]) -> None:
    """
    Put each of *changes* at its path; raises what `Config.set` raises.

    In a directory of OpenClaw they go to `clawstate.json`: what is in its own file would turn on
    the plugin of that name in OpenClaw, too (decision 024).
    """
    if not config.owner.is_openclaw:
        for path, value in changes.items():
            config.set(format_key_path(path), value)
        return
    for attempt in range(_TRIES):
        before = text = config.text(own=True)
        for path, value in changes.items():
            text = set_text(text or "{}\n", path, value, file=config.overlay_path)
        if text == before:
            return
        try:
            config.replace(text, expected=before, own=True)
        except ConflictError:
            if attempt == _TRIES - 1:
                raise
        else:
            return
