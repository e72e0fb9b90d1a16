from __future__ import annotations

from collections.abc import Iterator

import pytest
from running_gateway import Gateway


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Start a gateway that the tests of a module share."""
    with Gateway(tmp_path_factory.mktemp("gateway") / "state") as started:
        yield started
