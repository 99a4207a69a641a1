"""All of a Cloud Optimized GeoTIFF that is no pixel: directories first, the product's before its overviews'.

The product's is that of the mosaic, compression and statistics added; overviews have the part of it that
tells how pixels are stored. The layout is that of GDAL's COG driver, and says so in the same words
(https://gdal.org/drivers/raster/cog.html): a reader of the first kilobytes knows where every block is, and
one request brings a block together with its size.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from bnnpan_runtime.finishing.pyramid import Level
from bnnpan_runtime.finishing.statistics import BandStatistics
from bnnpan_runtime.finishing.tiff import Directory, Field, FieldType, encode_directories, read_directory

__all__ = ["CogFrame", "Places"]

_SUBFILE, _WIDTH, _HEIGHT, _OFFSETS, _SIZES = 254, 256, 257, 324, 325
_COMPRESSION, _PREDICTOR, _METADATA = 259, 317, 42112
_STORAGE = (258, _COMPRESSION, 262, 277, 284, _PREDICTOR, 322, 323, 338, 339, 42113)
"""Tags that overviews share with the product: samples, compression, predictor, tiles, NoData."""

_DEFLATE = 8
_REDUCED = 1
"""A subfile that is another one at lower resolution (TIFF 6.0, section 8)."""

_CLAIMS = (
    b"LAYOUT=IFDS_BEFORE_DATA\nBLOCK_ORDER=ROW_MAJOR\nBLOCK_LEADER=SIZE_AS_UINT4\n"
    b"BLOCK_TRAILER=LAST_4_BYTES_REPEATED\nKNOWN_INCOMPATIBLE_EDITION=NO\n "
)
"""The blank is room for GDAL to write YES over NO."""

_GHOST = b"GDAL_STRUCTURAL_METADATA_SIZE=%06d bytes\n" % len(_CLAIMS) + _CLAIMS

_END = b"</GDALMetadata>"


class Places:
    """Where the blocks of one level lie in a file, and how many bytes each takes."""

    def __init__(self, count: int) -> None:
        self.offsets, self.sizes = array("Q", bytes(8 * count)), array("I", bytes(4 * count))

    def put(self, block: int, offset: int, size: int) -> None:
        """Say where one lies."""
        self.offsets[block], self.sizes[block] = offset, size


class CogFrame:
    """Makes the frame of one product from that of its mosaic; its size is the same wherever blocks lie."""

    def __init__(
        self, plain: bytes, statistics: Sequence[BandStatistics], levels: Sequence[Level], predictor: int
    ) -> None:
        self._levels = levels
        fields, self._is_big = read_directory(plain)
        self._main = {
            **fields,
            _COMPRESSION: Field.of(FieldType.SHORT, [_DEFLATE]),
            _PREDICTOR: Field.of(FieldType.SHORT, [predictor]),
            _METADATA: _with_statistics(fields.get(_METADATA), statistics),
        }
        self.size = len(self.encode([Places(level.count) for level in levels]))

    def encode(self, places: Sequence[Places]) -> bytes:
        """The frame of a file whose blocks lie at these places, level by level."""
        directories = [
            self._of_level(level, where, is_overview=number > 0)
            for number, (level, where) in enumerate(zip(self._levels, places, strict=True))
        ]
        return encode_directories(directories, self._is_big, _GHOST)

    def _of_level(self, level: Level, where: Places, *, is_overview: bool) -> Directory:
        own = {tag: value for tag, value in self._main.items() if not is_overview or tag in _STORAGE}
        if is_overview:
            own[_SUBFILE] = Field.of(FieldType.LONG, [_REDUCED])
        own[_WIDTH] = Field.of(FieldType.LONG, [level.width])
        own[_HEIGHT] = Field.of(FieldType.LONG, [level.height])
        own[_OFFSETS] = Field.of(FieldType.LONG8 if self._is_big else FieldType.LONG, where.offsets)
        own[_SIZES] = Field.of(FieldType.LONG, where.sizes)
        return own


def _with_statistics(metadata: Field | None, statistics: Sequence[BandStatistics]) -> Field:
    """GDAL's metadata, which are XML, with the statistics of each band as GDAL has them there."""
    text = b"<GDALMetadata>\n" + _END if metadata is None else metadata.data.rstrip(b"\0")
    items = "".join(
        f'  <Item name="{name}" sample="{band}">{value}</Item>\n'
        for band, found in enumerate(statistics)
        for name, value in found.tags().items()
    )
    before, end, after = text.rpartition(_END)
    return Field.text(before + items.encode() + end + after)
