"""What tests need that a computer may lack: there they skip and say how to get it.

`BNNPAN_REQUIRE` names what is known to be there, so that no test goes missing unnoticed and fails instead:
"packages" of Python, those of the project's extras, or "tools", as in `programs`, or both with a comma.
"""

from __future__ import annotations

import os
import platform
from importlib.util import find_spec
from typing import Literal, NoReturn

import pytest
from programs import Unavailable, find

__all__ = ["missing", "program", "require_package"]

REQUIRED = "BNNPAN_REQUIRE"

_EXTRAS = {
    "ai_edge_litert": "test",
    "atheris": "test",
    "auditwheel": "test",
    "build": "test",
    "cryptography": "export",
    "dask": "archive",
    "distributed": "archive",
    "jsonschema": "test",
    "pystac": "test",
    "larq_compute_engine": "export",
    "rio_cogeo": "test",
    "rio_stac": "test",
    "skimage": "test",
    "spacepackets": "test",
    "tensorflow": "export",
    "tf_keras": "export",
    "larq": "export",
    "torch": "export",
    "xarray": "test",
}
_X86_ONLY = ("atheris", "larq", "larq_compute_engine", "tensorflow", "tf_keras")


def missing(kind: Literal["packages", "tools"], reason: str) -> NoReturn:
    """Skip the test, or fail it where what it needs is known to be there."""
    if kind in os.environ.get(REQUIRED, "").split(","):
        pytest.fail(f"{reason}, and {REQUIRED} names {kind}")
    pytest.skip(reason, allow_module_level=True)


def program(name: str) -> str:
    """Path of a program."""
    try:
        return find(name)
    except Unavailable as error:
        missing("tools", str(error))


def require_package(name: str) -> None:
    """See to a package of Python; whether it can be imported is for the test to find out."""
    if find_spec(name) is not None:
        return
    if name in _X86_ONLY and platform.machine() != "x86_64":
        pytest.skip(f"there is no {name} but for x86-64", allow_module_level=True)
    missing("packages", f"needs {name} (pip install -e '.[{_EXTRAS[name]}]')")
