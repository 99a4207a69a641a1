"""One job from beginning to end: what every scheduler has its workers do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bnnpan_archive import process
from bnnpan_archive.command import fuse_line, shown
from bnnpan_archive.identity import identity_of
from bnnpan_archive.job import Job
from bnnpan_archive.result import Result
from bnnpan_runtime.errors import BnnpanError, OutputError, one_line
from bnnpan_runtime.memory import MIB
from bnnpan_runtime.product.tags import sha256_of

__all__ = ["execute", "failure"]

_FIGURES = ("HQNR", "D_lambda", "D_s")


def execute(job: Job) -> Result:
    """Fuse a scene unless that is done, and record it. Whatever goes wrong is told by the result."""
    try:
        return _execute(job)
    except Exception as error:  # one scene's defect must not end the others
        return failure(job, error)


def failure(job: Job, error: BaseException) -> Result:
    """A scene without a product, because of an error around its run."""
    code = error.exit_code if isinstance(error, BnnpanError) else 1
    return Result(job.scene.name, {}, _command(job), exit_code=code, message=one_line(error))


def _execute(job: Job) -> Result:
    try:
        job.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{job.folder} cannot be made ({one_line(error)}); choose a writable --out"
        ) from error
    identity = identity_of(job)
    return _kept(job, identity) or _fused(job, identity)


def _kept(job: Job, identity: dict[str, Any]) -> Result | None:
    """What an earlier run recorded, if it holds: same inputs and options, and the product's very bytes."""
    result = None if job.again else Result.read(job)
    if result is None or result.failed or result.identity != identity:
        return None
    if not (
        job.product.is_file() and job.item.is_file() and (result.fuse["quality"] or not job.options.score)
    ):
        return None
    return replace(result, skipped=True) if sha256_of(job.product) == result.product_sha256 else None


def _fused(job: Job, identity: dict[str, Any]) -> Result:
    ended = process.run(fuse_line(job), job.options.directory)
    result = Result(
        scene=job.scene.name,
        identity=identity,
        command=_command(job),
        exit_code=ended.exit_code,
        message=ended.message if ended.exit_code else "",
        seconds=round(ended.seconds, 3),
        attempts=ended.attempts,
    )
    if not ended.exit_code:
        quality = ended.value["quality"] or {}
        result = replace(
            result,
            product=f"{job.scene.name}/{job.product.name}",
            product_sha256=ended.value["product_sha256"],
            peak_mib=round(ended.value["measured_peak_bytes"] / MIB, 1),
            resumed_tiles=ended.value["resumed_tiles"],
            scores={name: quality[name] for name in _FIGURES if quality.get(name) is not None},
            fuse=ended.value,
        )
    result.write(job)
    return result


def _command(job: Job) -> str:
    return shown([word for word in fuse_line(job) if word != "--json"], job.options.directory)
