"""Fixtures every test folder may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


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
