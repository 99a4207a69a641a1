"""Backends: one protocol, one file per engine. Engines are imported only when asked for."""

from __future__ import annotations

from bnnpan_runtime.graph.protocol import Backend, BackendMemory
from bnnpan_runtime.graph.select import BACKENDS, open_backend

__all__ = ["BACKENDS", "Backend", "BackendMemory", "open_backend"]
