"""Options of Larq's convolution, which come out of a file, damaged in every way."""

from __future__ import annotations

import re
from pathlib import Path

import native_builds
from litert_graphs import convolution_options, custom_options
from native_builds import SANITIZED
from requirements import require_package

require_package("flatbuffers")

LITERT = native_builds.NATIVE / "doors" / "litert"
DRIVERS = [Path(__file__).parent / "damaged_options.c", LITERT / "lce.c", LITERT / "flexbuffer.c"]


def test_damaged_options_are_refused_or_run_without_a_step_outside_memory(tmp_path: Path) -> None:
    options = tmp_path / "options"
    options.write_bytes(custom_options(convolution_options(40)).tobytes())
    driver = native_builds.build(
        native_builds.compiler(), tmp_path / "driver", "-O1", *SANITIZED, drivers=DRIVERS
    )
    count = 100_000
    printed = native_builds.output_of(driver, options, str(count))
    found = re.fullmatch(r"read (\d+) ran (\d+)", printed)
    assert found is not None
    read, ran = (int(number) for number in found.groups())
    assert count / 20 < read < count and ran > count / 100
