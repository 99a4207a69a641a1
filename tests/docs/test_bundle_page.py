"""The format's page names only tests that exist."""

from __future__ import annotations

import re
from pathlib import Path


def test_every_test_that_the_format_names_exists(repo_root: Path):
    page = (repo_root / "docs" / "bundle.md").read_text()
    tests = "".join(path.read_text() for path in (repo_root / "tests" / "runtime").glob("test_*.py"))
    names = re.findall(r"`(test_[a-z0-9_]+)`", page)
    assert len(names) > 25 and not [name for name in names if f"def {name}(" not in tests]
