"""Packages of Debian for aarch64, fetched and unpacked by an apt of their own: no root, nothing installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bnnpan_runtime.errors import ConfigError

__all__ = ["RELEASE", "Debian", "Unavailable", "call", "find"]

MIRROR_VARIABLE = "BNNPAN_DEBIAN_MIRROR"
"""Where packages of Debian come from, if not from where this computer's own apt has them from."""

RELEASE = "bookworm"
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_PACKAGES = {
    "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu",
    "apt-get": "apt",
    "debugfs": "e2fsprogs",
    "dpkg-deb": "dpkg",
    "mke2fs": "e2fsprogs",
    "qemu-aarch64": "qemu-user",
    "qemu-system-aarch64": "qemu-system-arm",
}
_PREPARING_SECONDS = 900
_KILL_AFTER_SECONDS = 5


class Unavailable(ConfigError):
    """This computer lacks something; the message says what, and how to get it."""


@dataclass(frozen=True)
class Debian:
    """An apt that knows nothing but aarch64; `folder` holds its lists and what it downloads."""

    folder: Path
    options: tuple[str, ...]

    @classmethod
    def open(cls, folder: Path) -> Debian:
        """Fetch the lists of packages, 18 MB. Raises Unavailable."""
        find("apt-get"), find("dpkg-deb")
        if not _KEYRING.is_file():
            raise Unavailable(f"needs {_KEYRING} (Debian and Ubuntu: apt-get install debian-archive-keyring)")
        for name in ("state/lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True)
        mirror = os.environ.get(MIRROR_VARIABLE) or _own_mirror(folder)
        (folder / "status").touch()
        (folder / "sources.list").write_text(f"deb [signed-by={_KEYRING}] {mirror} {RELEASE} main\n")
        options = {
            "APT::Architecture": "arm64",
            "APT::Architectures": "arm64",
            "APT::Sandbox::User": "",
            "APT::Update::Error-Mode": "any",
            "Acquire::Languages": "none",
            "Dir::Cache": folder / "cache",
            "Dir::Etc::sourcelist": folder / "sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::State": folder / "state",
            "Dir::State::status": folder / "status",
        }
        debian = cls(folder, tuple(f"--option={name}={value}" for name, value in options.items()))
        call(["apt-get", "--quiet=2", *debian.options, "update"], folder)
        return debian

    def needed_by(self, package: str, prefix: str) -> str:
        """What a package that only points to another requires: the first that begins with `prefix`."""
        words = call(["apt-cache", *self.options, "depends", package], self.folder).split()
        found = next((word for word in words if word.startswith(prefix)), None)
        if found is None:
            raise Unavailable(f"{package} of Debian {RELEASE} names no {prefix}*")
        return found

    def unpack(self, packages: Sequence[str], into: Path) -> None:
        """Download packages, those alone, and unpack them into one folder. Raises Unavailable."""
        into.mkdir(parents=True, exist_ok=True)
        files = self.folder / "packages"
        files.mkdir(exist_ok=True)
        call(["apt-get", "--quiet=2", *self.options, "download", *packages], files)
        for package in sorted(files.glob("*.deb")):
            call(["dpkg-deb", "--extract", str(package), str(into)], self.folder)


def find(name: str) -> str:
    """Path of a program. Raises Unavailable."""
    # Programs for file systems lie where a user's PATH often does not lead.
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if path is None:
        raise Unavailable(f"needs {name} (Debian and Ubuntu: apt-get install {_PACKAGES.get(name, name)})")
    return path


def call(command: Sequence[str], folder: Path) -> str:
    """What a program of the preparation prints. Raises Unavailable if it fails or takes too long."""
    limited = ["timeout", f"--kill-after={_KILL_AFTER_SECONDS}", str(_PREPARING_SECONDS), *command]
    result = subprocess.run(limited, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if result.returncode:
        tail = " ".join((result.stderr or result.stdout).strip().splitlines()[-3:])
        raise Unavailable(f"{Path(command[0]).name} failed with {result.returncode}: {tail}")
    return result.stdout


def _own_mirror(folder: Path) -> str:
    """Where this computer's apt has packages of Debian from."""
    form = "--format=$(ORIGIN) $(LABEL) $(COMPONENT) $(REPO_URI)"
    for line in call(["apt-get", "indextargets", form, "Identifier: Packages"], folder).splitlines():
        *kind, mirror = line.split()
        if kind == ["Debian", "Debian", "main"]:
            return mirror
    raise Unavailable(f"apt knows no packages of Debian here; name a mirror of it in {MIRROR_VARIABLE}")
