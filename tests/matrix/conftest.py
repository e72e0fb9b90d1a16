from __future__ import annotations

import local_synapse as synapse
import pytest


@pytest.fixture(scope="session")
def homeserver(tmp_path_factory):
    """Return a real homeserver on loopback with the users `bot` and `alice`, password `pw`."""
    if (reason := synapse.reason_to_skip()) is not None:
        pytest.skip(reason)
    with synapse.Synapse(tmp_path_factory.mktemp("synapse")) as server:
        for name in ("bot", "alice"):
            server.register(name, "pw")
        yield server
