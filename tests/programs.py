"""Programs that tests and measurements run, and the packages of Debian and Ubuntu that have them."""

from __future__ import annotations

import shutil

__all__ = ["Unavailable", "find"]

PACKAGES = {
    "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu",
    "apt-get": "apt",
    "cc": "gcc",
    "clang": "clang",
    "cmake": "cmake",
    "dpkg-deb": "dpkg",
    "llvm-mc-19": "llvm-19",
    "llvm-mca-19": "llvm-19",
    "nm": "binutils",
    "qemu-aarch64": "qemu-user",
    "qemu-system-aarch64": "qemu-system-arm",
    "strace": "strace",
}


class Unavailable(Exception):
    """This computer lacks something; the message says what, and how to get it."""


def find(name: str) -> str:
    """Path of a program. Raises Unavailable."""
    path = shutil.which(name)
    if path is None:
        raise Unavailable(f"needs {name} (Debian and Ubuntu: apt-get install {PACKAGES.get(name, name)})")
    return path
