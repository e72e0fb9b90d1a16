"""PDF files for tests, written byte by byte."""

from __future__ import annotations

import zlib
from collections.abc import Sequence


def stream(data: bytes, extra: str = "") -> bytes:
    return f"<< /Length {len(data)} {extra}>>\nstream\n".encode() + data + b"\nendstream"


def text_of_page(text: str) -> bytes:
    lines = [
        line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
        for line in text.split("\n")
    ]
    shown = " T* ".join(f"({line}) Tj" for line in lines)
    return f"BT /F1 12 Tf 14 TL 72 720 Td {shown} ET".encode("cp1252")


def pdf(
    *pages: str | bytes | None,
    info: str = "",
    marks: Sequence[tuple[str, int]] = (),
) -> bytes:
    """
    Return a PDF of *pages*: a text, the whole object of the contents, or None for a picture.

    *info* are the entries of its metadata, *marks* the titles of its outline with their pages.
    """
    count = len(pages)
    first = 6 + 2 * count  # the first number of a mark
    kids = " ".join(f"{6 + 2 * at} 0 R" for at in range(count))
    outline = f"/Outlines {first} 0 R" if marks else ""
    objects = [
        f"<< /Type /Catalog /Pages 2 0 R {outline} >>".encode(),
        f"<< /Type /Pages /Kids [{kids}] /Count {count} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        stream(b"\xff", "/Type /XObject /Subtype /Image /Width 1 /Height 1 "
               "/ColorSpace /DeviceGray /BitsPerComponent 8 "),
        f"<< {info} >>".encode("cp1252"),
    ]  # fmt: skip
    for at, page in enumerate(pages):
        contents = stream(text_of_page(page)) if isinstance(page, str) else page
        objects += [
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {7 + 2 * at} 0 R "
            "/Resources << /Font << /F1 3 0 R >> /XObject << /Im1 4 0 R >> >> >>".encode(),
            contents or stream(b"/Im1 Do"),
        ]
    if marks:
        last = first + len(marks)
        objects.append(
            f"<< /First {first + 1} 0 R /Last {last} 0 R /Count {len(marks)} >>".encode()
        )
        for at, (title, page) in enumerate(marks):
            follower = f"/Next {first + at + 2} 0 R" if at + 1 < len(marks) else ""
            objects.append(
                f"<< /Title ({title}) /Parent {first} 0 R {follower} "
                f"/Dest [{6 + 2 * (page - 1)} 0 R /Fit] >>".encode()
            )
    return _file(objects)


def bomb(size: int) -> bytes:
    """Return the contents of a page that unpack to *size* bytes."""
    return stream(zlib.compress(b" " * size, 9), "/Filter /FlateDecode ")


def _file(objects: Sequence[bytes]) -> bytes:
    out = bytearray(b"%PDF-1.7\n")
    places = []
    for number, each in enumerate(objects, start=1):
        places.append(len(out))
        out += f"{number} 0 obj\n".encode() + each + b"\nendobj\n"
    table = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    for place in places:
        out += f"{place:010} 00000 n \n".encode()
    out += f"trailer << /Size {len(objects) + 1} /Root 1 0 R /Info 5 0 R >>\n".encode()
    return bytes(out + f"startxref\n{table}\n%%EOF\n".encode())
