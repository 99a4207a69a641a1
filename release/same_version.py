"""Let the ground side require the runtime of its own version, so that the number stands in one place."""

from __future__ import annotations

from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class SameVersion(MetadataHookInterface):
    """Hatchling's hook behind `dynamic = ["dependencies"]`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the runtime to the other dependencies, which stand in the hook's own table."""
        metadata["dependencies"] = [f"bnnpan-runtime=={metadata['version']}", *self.config["dependencies"]]
