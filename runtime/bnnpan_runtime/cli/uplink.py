"""`bnnpan bundle diff`, `apply`, `split` and `join`: updates over a thin link."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bnnpan_runtime.cli.options import echo_json, json_option
from bnnpan_runtime.cli.output_file import check_output
from bnnpan_runtime.cli.trust_options import trust_options
from bnnpan_runtime.errors import IncompleteError, VerificationError

if TYPE_CHECKING:
    from bnnpan_runtime.bundle import Bundle
    from bnnpan_runtime.trust.policy import Trust

__all__ = ["apply", "diff", "join", "split"]

_PATH = click.Path(path_type=Path)


@click.command("diff", short_help="Make a patch from one bundle to another.")
@click.argument("old")
@click.argument("new")
@click.option("--out", type=_PATH, required=True, metavar="PATCH", help="Patch to write.")
@click.option("--overwrite", is_flag=True, help="Replace an existing patch.")
@json_option
def diff(old: str, new: str, out: Path, overwrite: bool, as_json: bool) -> None:
    """Write PATCH, which makes bundle NEW of bundle OLD.

    \b
    Example:
      bnnpan bundle diff old.bnnpan new.bnnpan --out update.patch
    """
    from bnnpan_runtime.bundle import Bundle
    from bnnpan_runtime.uplink.install import diff_bundles

    check_output(out, overwrite)
    before, after = Bundle.open(old), Bundle.open(new)
    size_bytes = diff_bundles(before, after, out)
    new_bytes = after.path.stat().st_size
    if as_json:
        echo_json({"patch": str(out), "size_bytes": size_bytes, "bundle_bytes": new_bytes})
    else:
        share = 100 * size_bytes / new_bytes
        click.echo(f"{out}: {size_bytes} bytes, {share:.1f} % of the new bundle's {new_bytes}")


@click.command("apply", short_help="Make the new bundle of an old one and a patch.")
@click.argument("old")
@click.argument("patch", type=_PATH)
@click.option("--out", type=_PATH, required=True, metavar="BUNDLE", help="New bundle; may be OLD itself.")
@click.option("--overwrite", is_flag=True, help="Replace an existing bundle.")
@click.option("--self-test", is_flag=True, help="Compute the new golden tile, too, before OLD is replaced.")
@trust_options
@json_option
def apply(
    old: str, patch: Path, out: Path, overwrite: bool, self_test: bool, trust: Trust, as_json: bool
) -> None:
    """Make the bundle that PATCH was made for out of OLD, check it, then put it under its name in one step.

    Every hash is checked, and the new bundle's signature and rollback counter. Whatever fails, BUNDLE stays
    as it was.

    \b
    Example:
      bnnpan bundle apply old.bnnpan update.patch --out new.bnnpan
    """
    from bnnpan_runtime.bundle import Bundle
    from bnnpan_runtime.uplink.install import apply_patch

    opened = Bundle.open(old)
    check_output(out, overwrite or (out.exists() and out.samefile(opened.path)))

    def inspect(bundle: Bundle) -> None:
        trust.check(bundle)
        if self_test:
            _check_golden(bundle)

    applied = apply_patch(opened, patch, out, inspect)
    if as_json:
        echo_json(applied.to_json())
    else:
        packed = "the very file of the ground" if applied.identical else "packed by another zlib"
        digest = applied.manifest_sha256[:16]
        click.echo(f"{out}: {applied.id}, {applied.size_bytes} bytes, manifest {digest}...; {packed}")


@click.command("split", short_help="Split a file into packets.")
@click.argument("file", type=_PATH)
@click.option(
    "--packets",
    type=click.IntRange(128, 65535),
    default=1024,
    show_default=True,
    metavar="BYTES",
    help="Size of a packet.",
)
@click.option("--out", type=_PATH, required=True, metavar="DIR", help="Folder for the packets.")
@json_option
def split(file: Path, packets: int, out: Path, as_json: bool) -> None:
    """Split FILE, a patch or a bundle, into checksummed packets, one file each.

    They may arrive in any order, twice, or damaged: `bnnpan bundle join` says which to send again.

    \b
    Example:
      bnnpan bundle split update.patch --packets 1024 --out packets
    """
    from bnnpan_runtime.uplink.mailbox import split_file

    paths = split_file(file, packets, out)
    if as_json:
        echo_json({"packets": [str(path) for path in paths]})
    else:
        click.echo(f"{out}: {len(paths)} packets, numbers 0 to {len(paths) - 1}")


@click.command("join", short_help="Put a file together from its packets.")
@click.argument("folder", type=_PATH, metavar="DIR")
@click.option("--out", type=_PATH, required=True, metavar="FILE", help="File to write once all is there.")
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
@json_option
def join(folder: Path, out: Path, overwrite: bool, as_json: bool) -> None:
    """Put the file together whose packets are in DIR, whatever they are called there.

    While packets are missing nothing is written, the exit code is 11, and the message (with --json: `resend`)
    says which to send again.

    \b
    Example:
      bnnpan bundle join packets --out update.patch
    """
    from bnnpan_runtime.uplink.mailbox import join_packets, ranges

    check_output(out, overwrite)
    progress = join_packets(folder, out)
    if as_json:
        echo_json(progress.to_json())
    if not progress.complete:
        raise IncompleteError(
            f"{folder}: {len(progress.resend)} of {progress.packets} packets are missing; send again:"
            f" {ranges(progress.resend)}"
        )
    if not as_json:
        click.echo(f"{out}: {progress.file_bytes} bytes of {progress.packets} packets")


def _check_golden(bundle: Bundle) -> None:
    from bnnpan_runtime.verify import verify

    failed = [check for check in verify(bundle.path) if check.passed is False]
    if failed:
        raise VerificationError(f"the new bundle is not installed: {failed[0].name}: {failed[0].detail}")
