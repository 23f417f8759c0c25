"""A server that tells what it propagates."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.propagation import Origin


@pytest.fixture(params=[2, 3], ids=["resp2", "resp3"])
def origin(request: pytest.FixtureRequest) -> Iterator[Origin]:
    made = Origin()
    made("HELLO", request.param)
    yield made
    made.close()
