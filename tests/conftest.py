"""Fixtures every test folder may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Computers of CI are shared: how long an example takes says nothing. A green run must be green when repeated.
settings.register_profile(
    "shared", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("shared")


@pytest.fixture(scope="session")
def repo_root() -> Path:
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data(repo_root: Path) -> Path:
    """Folder of the real imagery: `$BNNPAN_SHARED_DATA`, else `shared/data` next to the repository."""
    folder = Path(os.environ.get("BNNPAN_SHARED_DATA") or repo_root.parent / "shared" / "data")
    if not (folder / "manifest.json").is_file():
        pytest.skip(f"no real imagery at {folder}: set BNNPAN_SHARED_DATA")
    return folder
