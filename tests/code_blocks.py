"""Code on the pages of the documentation: blocks with their languages, and commands wherever they stand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ELSEWHERE", "RUN", "WAYS", "Block", "blocks", "commands", "pages"]

ROOT = Path(__file__).resolve().parents[1]

WAYS = {
    "from a scene to a product": ("docs/start.md", "docs/guides/fly.md"),
    "from data to a bundle": ("docs/guides/train.md", "docs/guides/export.md"),
    "emulated boards": ("docs/guides/prove.md",),
    "files beside the product": ("docs/product.md",),
    "telemetry": ("docs/telemetry.md",),
    "trust": ("docs/trust.md",),
    "updates": ("docs/uplink.md",),
}
"""Pages whose blocks are run, in the order in which a reader would follow them."""

ELSEWHERE = {"docs/python.md": "tests/runtime/test_python_api.py"}
"""Pages whose blocks another test runs."""

RUN = {"README.md", *(page for way in WAYS.values() for page in way), *ELSEWHERE}

_BLOCK = re.compile(
    r"""^(?:<!--\ not\ run:\ (?P<reason>[^\n]+?)\ -->\n+)?
    (?P<fence>`{3,})(?P<language>[^\n]*)\n
    (?P<text>.*?)^(?P=fence)$""",
    re.DOTALL | re.MULTILINE | re.VERBOSE,
)
_INLINE = re.compile(r"`(bnnpan [^`\n]+)`")
_INDENTED = re.compile(r"^(?: {4}|\t)((?:\S*/)?bnnpan .+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block; `not_run` is why no test runs it, as the comment above it on the page says."""

    language: str
    text: str
    not_run: str | None

    def lines(self) -> list[str]:
        """Commands, one per line: continued lines are joined, comments and empty lines left out."""
        joined = re.sub(r"\\\n\s*", "", self.text)
        lines = [line.partition("  # ")[0].partition("   #")[0].strip() for line in joined.splitlines()]
        return [line for line in lines if line]


def pages() -> list[str]:
    """README and every page of the documentation, as paths from the root of the repository."""
    found = (path.relative_to(ROOT) for path in (ROOT / "docs").rglob("*.md"))
    return ["README.md", *sorted(str(path) for path in found)]


def blocks(page: str, *languages: str) -> list[Block]:
    """Blocks of a page, of these languages or of any."""
    text = (ROOT / page).read_text()
    found = [Block(m["language"].strip(), m["text"], m["reason"]) for m in _BLOCK.finditer(text)]
    return [block for block in found if not languages or block.language in languages]


def commands(page: str) -> Iterator[str]:
    """Every command line of `bnnpan` on a page, in blocks, in indented lines and in the running text."""
    for block in blocks(page):
        yield from (line for line in block.lines() if re.match(r"(?:\S*/)?bnnpan ", line))
    outside = _BLOCK.sub("", (ROOT / page).read_text())
    yield from _INDENTED.findall(outside)
    yield from _INLINE.findall(outside)
