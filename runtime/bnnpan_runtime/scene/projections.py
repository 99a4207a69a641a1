"""Watch over PROJ: without its database of coordinate systems it goes on, and says something else of them.

GDAL then drops the code of a coordinate system, or replaces it by parameters of its own, and every call
succeeds. The only sign is a message in the log.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from rasterio._err import CPLE_BaseError  # some failures come as one, and it is no RasterioError
from rasterio.errors import RasterioError

from bnnpan_runtime.errors import BnnpanError, OutputError, SceneError, one_line

__all__ = ["intact_projections"]

_GDAL = logging.getLogger("rasterio._env")
"""Where rasterio puts what GDAL and PROJ say."""

_SIGNS = ("proj.db", "SQLite")
"""In a message of PROJ's, one of these tells that it is about the database."""


@contextmanager
def intact_projections(path: str, error: type[SceneError | OutputError]) -> Iterator[None]:
    """Raise `error` about a file if PROJ could not read its database while the file was dealt with.

    It takes precedence over other errors, which then are its consequences.
    """
    listener = _Listener(logging.WARNING)
    _GDAL.addHandler(listener)
    consequence: Exception | None = None
    try:
        yield
    except (BnnpanError, RasterioError, CPLE_BaseError) as raised:
        listener.hear(one_line(raised))  # rasterio raises in a later call what it was told in an earlier one
        if not listener.complaints:
            raise
        consequence = raised
    finally:
        _GDAL.removeHandler(listener)
    if listener.complaints:
        raise error(_message(path, listener.complaints[0])) from consequence


class _Listener(logging.Handler):
    """Keeps what PROJ says about its database."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.complaints: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.hear(record.getMessage())

    def hear(self, message: str) -> None:
        _, is_proj, said = message.partition("PROJ: ")
        if is_proj and any(sign in said for sign in _SIGNS):
            self.complaints.append(said)


def _message(path: str, complaint: str) -> str:
    return (
        f"{path}: its coordinate system cannot be told, as PROJ cannot read its database ({complaint}); check"
        " the disk it lies on, and PROJ_DATA or PROJ_LIB if they are set"
    )
