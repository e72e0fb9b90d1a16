"""The command `clawstate`, which is also `python -m clawstate`: it ends in peace from the start."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress

_INTERRUPTED = 130


def main() -> None:
    """Run the command line and end the process with its exit code."""
    # While modules load, nothing was begun that would have to be put in order.
    is_ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_ours:
        signal.signal(signal.SIGINT, lambda *_: os._exit(_tell()))
    from clawstate.cli.main import main as run  # noqa: PLC0415 - after the signal is ours

    try:
        if is_ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        run()
    except KeyboardInterrupt:  # before the command began, or after it was over
        sys.exit(_tell())


def _tell() -> int:
    failure = b'{"ok": false, "error": {"type": "interrupted", "message": "interrupted"}}\n'
    with suppress(OSError):  # nobody may be there to read it
        os.write(*((1, failure) if "--json" in sys.argv else (2, b"error: interrupted\n")))
    return _INTERRUPTED


if __name__ == "__main__":
    main()
