"""The command line of a job: what `bnnpan fuse` is told about one scene."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import click

from bnnpan_archive.job import Job
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.classical import CLASSICAL
from bnnpan_runtime.cli.fuse import command as fuse_command
from bnnpan_runtime.memory import format_size, parse_size

__all__ = ["check_arguments", "files_named", "fuse_line", "shown"]

_OURS = {
    "pan", "ms", "out", "bundle", "memory", "threads", "overwrite", "resume", "preview", "mask",
    "thumbnail", "stac", "acquired", "quality", "events", "packets", "heartbeat", "deadline",
    "as_json",
}  # fmt: skip
"""Options of `bnnpan fuse` that the archive says, or that mean one file for all scenes or half a product."""


def fuse_line(job: Job) -> list[str]:
    """`bnnpan fuse` of the scene, as words after `bnnpan`."""
    scene, options = job.scene, job.options
    line = ["fuse", "--pan", scene.pan, *(word for path in scene.ms for word in ("--ms", path))]
    line += [
        "--bundle",
        options.bundle,
        "--memory",
        _size(job.memory_bytes),
        "--threads",
        str(options.threads),
    ]
    # The user's word comes before the catalogue's.
    if scene.bands and "bands" not in _given(options.arguments):
        line += ["--bands", ",".join(scene.bands)]
    if scene.acquired is not None:
        line += ["--datetime", scene.acquired]
    line += ["--stac", "--thumbnail", *(["--quality"] if options.score else []), *options.arguments]
    return [*line, "--out", str(job.product), "--overwrite", "--json"]


def check_arguments(bundle: str, arguments: Sequence[str]) -> None:
    """See before any scene is begun that `bnnpan fuse` would take them all, and has its bundle.

    Raises click.UsageError or BundleError.
    """
    given = _given(arguments)
    if ours := [name for name in given if name in _OURS]:
        option = next(item.opts[0] for item in fuse_command.params if item.name == ours[0])
        raise click.UsageError(f"{option} is for the archive to say, not behind --")
    needed = ["--pan", "pan", "--ms", "ms", "--out", "out", "--memory", "1GiB"]
    fuse_command.make_context("bnnpan fuse", [*needed, *arguments])
    if "fallback" not in given and given.get("backend") != CLASSICAL:
        Bundle.open(bundle)


def files_named(arguments: Sequence[str], directory: str) -> list[str]:
    """Files that these words name and the product depends on, as paths."""
    kinds = {option.name: option.type for option in fuse_command.params}
    values = {name: value for name, value in _given(arguments).items() if value is not None}
    named = [value for name, value in values.items() if isinstance(kinds[name], click.Path)]
    return [os.path.join(directory, str(value)) for value in named]


def shown(line: Sequence[str], directory: str) -> str:
    """A command that somebody can paste into a shell."""
    return f"cd {shlex.quote(directory)} && {shlex.join(['bnnpan', *line])}"


def _size(size_bytes: int) -> str:
    """For people, unless that would round it."""
    text = format_size(size_bytes)
    return text if parse_size(text) == size_bytes else str(size_bytes)


def _given(arguments: Sequence[str]) -> Mapping[str, Any]:
    """Names of the options among these words, with their values as typed."""
    context = click.Context(fuse_command, info_name="bnnpan fuse")
    values, rest, _ = fuse_command.make_parser(context).parse_args(list(arguments))
    if rest:
        raise click.UsageError(f"{rest[0]!r} is no option of `bnnpan fuse`")
    return values
