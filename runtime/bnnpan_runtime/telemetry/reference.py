"""The tables of `docs/telemetry.md`, made from the dictionary and from the errors' exit codes.

    python -m bnnpan_runtime.telemetry.reference docs/telemetry.md

writes them between the page's markers; a test fails while the page says something else.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from bnnpan_runtime.errors import exit_codes
from bnnpan_runtime.telemetry.table import CHANNELS, DICTIONARY, EVENTS, Argument

__all__ = ["updated"]

_MARKED = re.compile(r"(<!-- (\w+): made from the code -->\n).*?(<!-- end -->)", re.DOTALL)


def updated(page: str) -> str:
    """The page with its generated parts as they should be. Raises KeyError for an unknown part."""
    return _MARKED.sub(lambda match: f"{match[1]}\n{_PARTS[match[2]]()}\n{match[3]}", page)


def _events() -> str:
    rows = (
        (
            f"`{event.id:#06x}`",
            f"`{event.name}`",
            event.severity.name.lower(),
            "<br>".join(map(_argument, event.arguments)),
        )
        for event in EVENTS
    )
    return f"Dictionary {DICTIONARY}.\n\n" + _table(("id", "event", "severity", "arguments"), rows)


def _channels() -> str:
    rows = ((f"`{c.id:#06x}`", f"`{c.name}`", c.kind, c.unit, c.meaning) for c in CHANNELS)
    return _table(("id", "channel", "type", "unit", "meaning"), rows)


def _exit_codes() -> str:
    return _table(("code", "meaning"), ((str(code), meaning) for code, meaning in exit_codes().items()))


def _argument(argument: Argument) -> str:
    unit = f", {argument.unit}" if argument.unit else ""
    return f"`{argument.name}` ({argument.kind}{unit})"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = (head, ["---"] * len(head), *rows)
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


_PARTS = {"events": _events, "channels": _channels, "exit_codes": _exit_codes}


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(updated(path.read_text(encoding="utf-8")), encoding="utf-8")
