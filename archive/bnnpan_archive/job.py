"""What an archive run has been asked for: one order, of which every job is a part that can be done anywhere.

The order lies in the products' folder, so that a job of an array, or a report, finds it again:

    DIR/archive.json            the order
    DIR/NAME/NAME.tif           a product
    DIR/NAME/result.json        its record
    DIR/NAME/NAME.thumbnail.jpg
    DIR/NAME/NAME.stac.json     its STAC item
    DIR/collection.json         the collection of all items
    DIR/index.html              the page
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bnnpan_archive.scene import Scene
from bnnpan_runtime.durable_file import write_file
from bnnpan_runtime.errors import ConfigError, one_line
from bnnpan_runtime.finishing.order import item_path, thumbnail_path

__all__ = ["Job", "Options", "Order"]

ORDER_NAME = "archive.json"
_SCHEMA = 1


@dataclass(frozen=True)
class Options:
    """How every scene is fused.

    bundle        network: a file's absolute path or the name of a shipped one
    memory_bytes  budget of each run of `bnnpan fuse`
    threads       of each run
    arguments     further options of `bnnpan fuse`, as they are typed
    directory     that paths in `arguments` start from
    score         whether each product is measured while it is made
    """

    bundle: str
    memory_bytes: int
    threads: int
    arguments: tuple[str, ...]
    directory: str
    score: bool


@dataclass(frozen=True)
class Job:
    """One scene and all it takes to fuse it: a plain value that can be sent to another computer."""

    scene: Scene
    options: Options
    archive: str
    again: bool = False

    @property
    def folder(self) -> Path:
        """Where everything of this scene goes."""
        return Path(self.archive, self.scene.name)

    @property
    def product(self) -> Path:
        """The product's place."""
        return self.folder / f"{self.scene.name}.tif"

    @property
    def thumbnail(self) -> Path:
        """A small picture of the product."""
        return thumbnail_path(self.product)

    @property
    def item(self) -> Path:
        """The product's STAC item."""
        return item_path(self.product)

    @property
    def memory_bytes(self) -> int:
        """The scene's own budget, else that of all."""
        return self.scene.memory_bytes or self.options.memory_bytes


@dataclass(frozen=True)
class Order:
    """All scenes of one archive run.

    archive  absolute path of the products' folder
    catalog  what the scenes were read from
    again    whether products that are there are made again
    """

    archive: str
    catalog: str
    options: Options
    scenes: tuple[Scene, ...]
    again: bool = False

    def jobs(self) -> Sequence[Job]:
        """One for each scene, in the catalogue's order."""
        return [Job(scene, self.options, self.archive, self.again) for scene in self.scenes]

    def write(self) -> None:
        """Put it into the products' folder. Raises OutputError."""
        text = json.dumps({"schema": _SCHEMA, **asdict(self)}, indent=1)
        write_file(Path(self.archive, ORDER_NAME), f"{text}\n".encode())

    @classmethod
    def read(cls, archive: Path) -> Order:
        """The order of a products' folder, wherever that lies now. Raises ConfigError."""
        path = archive / ORDER_NAME
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
            if value["schema"] != _SCHEMA:
                raise ConfigError(f"{path}: of schema {value['schema']}, this program knows {_SCHEMA}")
            options = Options(**_tuples(value["options"], "arguments"))
            scenes = tuple(Scene(**_tuples(scene, "ms", "bands")) for scene in value["scenes"])
            return cls(str(archive.absolute()), value["catalog"], options, scenes, value["again"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"{path}: no order that can be read ({one_line(error)}); `bnnpan archive run` writes it"
            ) from error


def _tuples(value: dict[str, Any], *names: str) -> dict[str, Any]:
    """JSON has lists where our values have tuples."""
    return {**value, **{name: tuple(value[name]) for name in names}}
