"""Whether runs can be disturbed here: strace has to be there and allowed to trace."""

from __future__ import annotations

import shutil
import subprocess

import pytest

__all__ = ["require_tracing"]


def require_tracing() -> None:
    """Skip where not, with the reason."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("needs strace (Debian and Ubuntu: apt-get install strace)")
    tried = subprocess.run([strace, "-f", "-qq", "-o", "/dev/null", "true"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"strace cannot trace here: {tried.stderr.strip()}")
