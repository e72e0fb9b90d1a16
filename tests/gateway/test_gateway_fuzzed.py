"""Every operation, tried with what its own description allows and does not allow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from running_gateway import Gateway

CHECKS = (
    *("not_a_server_error", "status_code_conformance"),
    *("content_type_conformance", "response_schema_conformance"),
)


@pytest.mark.parametrize(
    ("phases", "examples"),
    [
        pytest.param("fuzzing", 1, id="short"),
        pytest.param("coverage,fuzzing", 40, id="long", marks=pytest.mark.slow),
    ],
)
def test_no_operation_fails_or_answers_what_it_does_not_tell(
    tmp_path: Path, phases: str, examples: int
) -> None:
    """Whatever is sent, no answer is a defect, and each is of the form that the document tells."""
    description = tmp_path / "openapi.json"
    with Gateway(tmp_path / "state") as gateway:
        description.write_bytes(gateway.get("/api/v1/openapi.json").body)
        command = [
            *(Path(sys.executable).with_name("st"), "run", description),
            *("--url", gateway.url, "-H", f"Authorization: Bearer {gateway.token}"),
            *("--checks", ",".join(CHECKS), "--phases", phases, "-n", str(examples)),
            # A stream has no end; settings can move what others are asked about.
            *("--exclude-path", "/api/v1/events", "--seed", "1"),
        ]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=1500
        )

    assert done.returncode == 0, done.stdout[-4000:]
