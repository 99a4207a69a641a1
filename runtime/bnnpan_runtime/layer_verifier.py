"""What other distributions add to `bnnpan verify`: a look into every layer, which needs the ground side.

A distribution names a `LayerVerifier` as an entry point "layers" of the group `bnnpan.verify`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.errors import BackendError, one_line

__all__ = ["LayerReport", "LayerVerifier", "layer_verifier"]

_GROUP, _NAME = "bnnpan.verify", "layers"


class LayerReport(Protocol):
    """Every form of a bundle against a reference, layer by layer."""

    @property
    def deviating(self) -> Mapping[str, str]:
        """The forms that are not the reference, and the first layer in which each is not."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        ...

    def text(self) -> str:
        """For people."""
        ...


class LayerVerifier(Protocol):
    """An entry point of the group."""

    def __call__(self, bundle: Bundle, run: Path | None, data: Path | None) -> LayerReport:
        """Look into a bundle; `run` is the network it is of, `data` a manifest of real imagery."""
        ...


def layer_verifier() -> LayerVerifier:
    """The installed one. Raises BackendError if there is none, or if it cannot be loaded."""
    found = list(entry_points(group=_GROUP, name=_NAME))
    if not found:
        raise BackendError(
            "layers can be looked into on the ground side only; install bnnpan[export] into this environment"
        )
    try:
        verifier: LayerVerifier = found[0].load()
    except Exception as error:  # whatever somebody else's module does must not look like a defect of ours
        raise BackendError(f"{found[0].value} cannot be loaded: {one_line(error)}") from error
    return verifier
