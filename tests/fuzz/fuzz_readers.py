"""Fuzz one reader, guided by coverage.

    PYTHONPATH=tests python tests/fuzz/fuzz_readers.py journal -max_total_time=600

Options after the name of the target are libFuzzer's; what it finds it writes to the working folder. The
process may grow by `SPARE_BYTES` only, so that a reader that allocates what an input merely says fails with
MemoryError, which no reader documents.
"""

from __future__ import annotations

import resource
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["bnnpan_runtime"]):
    from fuzz.readers import TARGETS

SPARE_BYTES = 192 * 2**20
"""Two and a half times the largest file that any reader takes, and room for the fuzzer itself."""


def main() -> None:
    """Write the seeds of the target, then fuzz from them on."""
    target = TARGETS[sys.argv[1]]
    with tempfile.TemporaryDirectory(prefix="bnnpan-fuzz-") as work:
        corpus, folder = Path(work) / "corpus", Path(work) / "files"
        corpus.mkdir()
        folder.mkdir()
        for number, seed in enumerate(target.seeds()):
            target.run(seed, folder)  # libraries that load on first use are no growth
            (corpus / f"seed-{number}").write_bytes(seed)
        _limit_growth()
        limits = [
            f"-max_len={target.longest_bytes}",
            "-timeout=10",
            f"-artifact_prefix={Path.cwd()}/",
            "-verbosity=1",
        ]
        atheris.Setup(
            [sys.argv[0], *limits, *sys.argv[2:], str(corpus)], lambda data: target.run(data, folder)
        )
        atheris.Fuzz()


def _limit_growth() -> None:
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[0])
    limit = pages * resource.getpagesize() + SPARE_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    main()
