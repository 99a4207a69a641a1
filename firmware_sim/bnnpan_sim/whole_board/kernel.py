"""Debian's kernel for arm64, the few of its drivers that an emulated board needs, a shell to load them."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from bnnpan_sim.aarch64.debian import RELEASE, Debian, Unavailable
from bnnpan_sim.aarch64.environment import cache_folder

from .initramfs import initramfs

_MODULES = ("virtio_mmio", "virtio_blk", "crc32c_generic", "crc16", "mbcache", "jbd2", "ext4")
"""In the order in which they are loaded."""

_TOOLS = ("cat", "chroot", "cut", "insmod", "mount", "poweroff", "sh", "umount")
_FOLDERS = ("bin", "board", "dev", "modules", "proc", "sys")


@dataclass(frozen=True)
class Kernel:
    """A folder with `vmlinuz`, `busybox`, `*.ko`, and the kernel's version in `version`."""

    folder: Path

    @property
    def image(self) -> Path:
        """What the board boots."""
        return self.folder / "vmlinuz"

    @property
    def version(self) -> str:
        """As in `uname -r`."""
        return (self.folder / "version").read_text().strip()

    def initramfs(self) -> bytes:
        """What the board boots with."""
        files = {"bin/busybox": (self.folder / "busybox").read_bytes()}
        files |= {f"modules/{name}.ko": (self.folder / f"{name}.ko").read_bytes() for name in _MODULES}
        files["modules/order"] = "\n".join(_MODULES).encode()
        program = (resources.files(__package__) / "guest" / "init").read_bytes()
        return initramfs(_FOLDERS, files, {f"bin/{name}": "busybox" for name in _TOOLS}, program)


def kernel_folder() -> Path:
    """Where the kernel is kept."""
    recipe = repr((RELEASE, _MODULES))
    return cache_folder() / f"kernel-{hashlib.sha256(recipe.encode()).hexdigest()[:16]}"


def fetch_kernel() -> Kernel:
    """The kernel, from the cache if it was fetched before: 60 MB to fetch, 40 MB kept. Raises Unavailable."""
    folder = kernel_folder()
    if not folder.is_dir():
        cache_folder().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache_folder(), prefix="preparing-") as name:
            debian = Debian.open(Path(name) / "apt")
            package = debian.needed_by("linux-image-arm64", "linux-image-")
            debian.unpack([package, "busybox-static"], Path(name) / "all")
            fresh = _gather(Path(name) / "all", Path(name) / "kernel")
            with suppress(OSError):  # someone else may have been faster
                fresh.rename(folder)
    return Kernel(folder)


def _gather(unpacked: Path, folder: Path) -> Path:
    """What is needed of the packages."""
    folder.mkdir()
    (image,) = (unpacked / "boot").glob("vmlinuz-*")
    (folder / "version").write_text(image.name.removeprefix("vmlinuz-") + "\n")
    image.rename(folder / "vmlinuz")
    (unpacked / "bin" / "busybox").rename(folder / "busybox")
    for name in _MODULES:
        found = next((unpacked / "lib" / "modules").rglob(f"{name}.ko"), None)
        if found is None:
            raise Unavailable(f"the kernel of Debian {RELEASE} has no module {name}")
        shutil.copyfile(found, folder / found.name)
    return folder
