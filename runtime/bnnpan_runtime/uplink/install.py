"""Patches between bundle files: made on the ground, applied on a board or nothing changed there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.container import MAX_FILE_BYTES, read_entry
from bnnpan_runtime.container_writer import pack_entries
from bnnpan_runtime.contract import MANIFEST_NAME
from bnnpan_runtime.durable_file import replacing, write_file
from bnnpan_runtime.errors import BundleError, one_line
from bnnpan_runtime.uplink.patch import PatchHeader, make_patch, patched, read_header

__all__ = ["Applied", "Inspect", "apply_patch", "diff_bundles"]

Inspect = Callable[[Bundle], None]
"""Raises what is wrong with a bundle before it gets its name."""


@dataclass(frozen=True)
class Applied:
    """What a patch made.

    id               name of the network
    manifest_sha256  what identifies the bundle
    identical        whether the container, too, is the one on the ground; with another zlib it may differ,
                     its content never
    """

    bundle: str
    id: str
    manifest_sha256: str
    size_bytes: int
    identical: bool

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        return asdict(self)


def diff_bundles(old: Bundle, new: Bundle, out: Path) -> int:
    """Write the patch from `old` to `new`; its size in bytes. Raises BundleError or OutputError."""
    container = hashlib.sha256(_bytes_of(new.path, MAX_FILE_BYTES)).hexdigest()
    before, after = _content(old), _content(new)
    patch = make_patch(before, after, (old.sha256, new.sha256, container))
    if patched(before, patch) != after:
        raise AssertionError("a patch does not make what it was made for")
    write_file(out, patch)
    return len(patch)


def apply_patch(old: Bundle, patch: Path, out: Path, inspect: Inspect = lambda bundle: None) -> Applied:
    """Make the new bundle of an old one, check all of it, and only then put it under its name.

    `out` may be the old bundle's own file. Whatever fails, it is as it was before.

    Raises BundleError if the patch is damaged, is for another bundle, or makes anything but the bundle it was
    made for; what `inspect` raises; OutputError if `out` cannot be written.
    """
    content = _bytes_of(patch, MAX_FILE_BYTES)
    try:
        header = read_header(content)
        if header.old_manifest != old.sha256:
            raise ValueError(
                f"it is for the bundle {header.old_manifest[:16]}..., not for {old.sha256[:16]}...; ask for"
                " the patch from this one"
            )
        new = patched(_content(old), content)
        if hashlib.sha256(new.get(MANIFEST_NAME, b"")).hexdigest() != header.new_manifest:
            raise ValueError("it makes another manifest than it says")
    except ValueError as error:
        raise BundleError(f"{patch}: cannot apply the patch: {one_line(error)}") from error
    return _installed(new, header, out, inspect)


def _installed(new: dict[str, bytes], header: PatchHeader, out: Path, inspect: Inspect) -> Applied:
    container = pack_entries(new)
    with replacing(out, container) as partial:
        bundle = Bundle.open(partial)
        _content(bundle)
        inspect(bundle)
    return Applied(
        bundle=str(out),
        id=bundle.manifest.id,
        manifest_sha256=bundle.sha256,
        size_bytes=len(container),
        identical=hashlib.sha256(container).hexdigest() == header.new_container,
    )


def _content(bundle: Bundle) -> dict[str, bytes]:
    """All entries, the hashes of those in the manifest checked."""
    content = {name: read_entry(bundle.path, entry) for name, entry in bundle.entries.items()}
    content[MANIFEST_NAME] = bundle.manifest_bytes()
    return content | {name: bundle.read(name) for name in bundle.manifest.files}


def _bytes_of(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise BundleError(f"{path}: cannot read: {error.strerror or error}") from error
    if len(content) > most:
        raise BundleError(f"{path}: more than {most} bytes")
    return content
