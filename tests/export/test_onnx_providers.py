"""What ONNX Runtime computes with: chosen by name, in order, and never silently something else."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxruntime as ort
import pytest
from click.testing import CliRunner

from bnnpan_export.assemble import Exported
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.cli import main
from bnnpan_runtime.errors import BackendError
from bnnpan_runtime.graph import open_backend
from bnnpan_runtime.graph.onnx import OnnxBackend
from bnnpan_runtime.graph.providers import PROVIDER_VARIABLE, open_session, parse_providers


@pytest.fixture
def bundle(small_export: Exported, tmp_path: Path) -> Bundle:
    path = tmp_path / "small.bnnpan"
    path.write_bytes(small_export.content)
    return Bundle.open(path)


def only_on_the_processor() -> bool:
    return "CUDAExecutionProvider" not in ort.get_available_providers()


no_cuda = pytest.mark.skipif(not only_on_the_processor(), reason="this ONNX Runtime has CUDA")


@no_cuda
def test_a_provider_that_is_not_there_is_refused(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PROVIDER_VARIABLE, "cuda")
    with pytest.raises(BackendError, match="built without cuda; it has cpu"):
        OnnxBackend(bundle)


@no_cuda
def test_the_next_provider_is_taken_with_a_warning_and_reported(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(PROVIDER_VARIABLE, "tensorrt,cuda,cpu")
    with caplog.at_level(logging.WARNING):
        backend = open_backend("onnx", bundle, self_test=True)
    assert isinstance(backend, OnnxBackend) and backend.provider == "cpu"
    assert backend.kernels and "on cpu" not in backend.isa
    assert [record.message[:34] for record in caplog.records] == [
        "backend onnx goes on without tenso",
        "backend onnx goes on without cuda:",
    ]


@dataclass
class SilentFallback:
    """An ONNX Runtime that offers CUDA, cannot load it, and says nothing, as the real one does."""

    InferenceSession: Any = None

    def __post_init__(self) -> None:
        class Session:
            def __init__(self, *arguments: object, providers: list[tuple[str, dict[str, str]]]) -> None:
                self.asked = [name for name, _ in providers]

            def get_providers(self) -> list[str]:
                return ["CPUExecutionProvider"]

        self.InferenceSession = Session

    def get_available_providers(self) -> list[str]:
        return ["CUDAExecutionProvider", "CPUExecutionProvider"]


def test_falling_back_in_silence_is_an_error() -> None:
    with pytest.raises(BackendError, match="cuda does not start here"):
        open_session(SilentFallback(), b"", ort.SessionOptions(), "cuda")


def test_names_are_checked_and_tried_once() -> None:
    assert parse_providers("cuda,cpu,cuda") == ("cuda", "cpu")
    with pytest.raises(BackendError, match="no provider 'gpu'; there are cpu, cuda, tensorrt"):
        parse_providers("gpu")


def test_the_option_is_for_the_onnx_backend(tmp_path: Path) -> None:
    scene = ["--pan", "p", "--ms", "m", "--out", str(tmp_path / "o.tif"), "--memory", "64MiB"]
    result = CliRunner().invoke(main, ["fuse", *scene, "--provider", "cuda"])
    assert result.exit_code == 2 and "--backend onnx" in result.output
    result = CliRunner().invoke(main, ["fuse", *scene, "--backend", "onnx", "--provider", "gpu"])
    assert result.exit_code == 7 and "no provider 'gpu'" in result.output
