"""Loop devices and mounts, without programs, so that a cut costs milliseconds; both clean up."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from clawstate.errors import UnavailableError

_CONTROL = "/dev/loop-control"
_GET_FREE, _CONFIGURE = 0x4C82, 0x4C0A  # include/uapi/linux/loop.h
# struct loop_config: descriptor, block size, then loop_info64 with nothing but its flags.
_CONFIG = struct.Struct("<II52xI160x16x64x")
_AUTOCLEAR = 4  # the device is freed as its last user goes, even if that is killed
_MNT_DETACH = 2
_TRIES = 50


@cache
def available() -> str | None:
    """Return why no loop device can be mounted here, or `None` if one can."""
    if os.geteuid() != 0:
        return "only root may mount"
    if not os.access(_CONTROL, os.R_OK | os.W_OK):
        return f"{_CONTROL} cannot be opened"
    return None


@contextmanager
def attached(file: Path) -> Iterator[Path]:
    """Give a block device over *file*, which is freed afterwards."""
    backing = os.open(file, os.O_RDWR | os.O_CLOEXEC)
    try:
        device, descriptor = _configured(backing)
    finally:
        os.close(backing)
    try:
        yield device
    finally:
        os.close(descriptor)


@contextmanager
def mounted(device: Path, place: Path, *, kind: str, options: str = "") -> Iterator[Path]:
    """
    Mount *device* with a file system of *kind* at the directory *place*, and unmount it afterwards.

    Raises `UnavailableError` if it cannot be mounted, or is still in use at the end.
    """
    source, target = os.fsencode(device), os.fsencode(place)
    _checked(_libc().mount(source, target, kind.encode(), 0, options.encode()), device)
    try:
        yield place
    finally:
        if _libc().umount2(target, 0):
            problem = ctypes.get_errno()
            _libc().umount2(target, _MNT_DETACH)
            _checked(problem, place)


def _configured(backing: int) -> tuple[Path, int]:
    for _ in range(_TRIES):
        device = Path(f"/dev/loop{_free()}")
        descriptor = os.open(device, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.ioctl(descriptor, _CONFIGURE, _CONFIG.pack(backing, 0, _AUTOCLEAR))
        except OSError as error:
            os.close(descriptor)
            if error.errno != errno.EBUSY:  # somebody else took the same one
                raise UnavailableError(str(device), f"is refused: {error.strerror}") from error
        else:
            return device, descriptor
    raise UnavailableError("loop devices", "were all taken by others", "try again")


def _free() -> int:
    control = os.open(_CONTROL, os.O_RDWR | os.O_CLOEXEC)
    try:
        return fcntl.ioctl(control, _GET_FREE)
    finally:
        os.close(control)


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: Path) -> None:
    if result:
        problem = os.strerror(ctypes.get_errno())
        raise UnavailableError(str(what), f"cannot be mounted or unmounted: {problem}")
