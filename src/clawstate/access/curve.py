"""Which 32 bytes are a public key of Ed25519 by which somebody can be known (RFC 8032)."""

from __future__ import annotations

from typing import Final

_P: Final = 2**255 - 19
_D: Final = -121665 * pow(121666, -1, _P) % _P
_SIGN: Final = 1 << 255

# The y of the points whose order is 1, 2, 4 or 8: with one of them as the key anybody can make
# signatures that count, for some messages or for all.
_SMALL: Final = frozenset(
    {
        *(0, 1, _P - 1),
        0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
        0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
    }
)


def is_strong_key(raw: bytes) -> bool:
    """Tell whether *raw* is the one encoding of a point of the curve that is not of small order."""
    number = int.from_bytes(raw, "little")
    y = number & (_SIGN - 1)
    if len(raw) != 32 or y >= _P or y in _SMALL:
        return False
    # x^2 = (y^2 - 1) / (d y^2 + 1); Euler's criterion tells whether there is such an x.
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    return pow(square, (_P - 1) // 2, _P) == 1
