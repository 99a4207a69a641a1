"""Fixtures of the fault tests."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults.small_products import Command


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What a run makes if nothing gets in its way."""
    path = tmp_path_factory.mktemp("undisturbed") / "out.tif"
    Command().run(path)
    return path.read_bytes()


@pytest.fixture
def out() -> Iterator[Path]:
    """Where a product goes that has its folder for itself; in memory where possible: syncs are quick."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder) / "out.tif"
