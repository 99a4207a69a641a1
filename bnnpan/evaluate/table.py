"""Scores as the field prints them: a row per method, a column per metric and which way is better."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from bnnpan.evaluate.methods import INTERPOLATION
from bnnpan.evaluate.scores import Values

__all__ = ["Column", "columns", "filled", "ranks", "text_table"]


@dataclass(frozen=True)
class Column:
    """A metric."""

    metric: str
    label: str
    lower_is_better: bool

    @property
    def heading(self) -> str:
        """Label and direction."""
        return self.label + ("↓" if self.lower_is_better else "↑")


_LOWER = {
    "SAM": True,
    "ERGAS": True,
    "Q2n": False,
    "SCC": False,
    "PSNR": False,
    "SSIM": False,
    "Q_avg": False,
    "D_lambda": True,
    "D_s": True,
    "HQNR": False,
    "D_lambda_QNR": True,
    "QNR": False,
}
"""Metrics in the order of the columns, and whether lower is better."""

_LABELS = {"D_lambda": "Dλ", "D_s": "Ds", "D_lambda_QNR": "Dλ(QNR)", "Q_avg": "Qavg"}
_NAME_WIDTH, _WIDTH = 16, 9


def columns(tables: Iterable[Values], band_counts: Iterable[int]) -> list[Column]:
    """Columns for all metrics in any of these tables. Q2n takes the name for its number of bands, if there is
    only one: Q4, Q8."""
    present = {metric for table in tables for values in table.values() for metric in values}
    components = {1 << (bands - 1).bit_length() for bands in band_counts}
    labels = dict(_LABELS)
    if len(components) == 1:
        labels["Q2n"] = f"Q{components.pop()}"
    return [
        Column(metric, labels.get(metric, metric), lower)
        for metric, lower in _LOWER.items()
        if metric in present
    ]


def filled(shown: Iterable[Column], values: Values) -> list[Column]:
    """The columns that have a value."""
    return [column for column in shown if any(column.metric in of_method for of_method in values.values())]


def ranks(values: Values, column: Column) -> dict[str, int]:
    """1 for the best methods of a column and 2 for the second best; interpolation does not compete."""
    competing = {
        method: of_method[column.metric]
        for method, of_method in values.items()
        if method != INTERPOLATION and isfinite(of_method.get(column.metric, float("nan")))
    }
    order = sorted(set(competing.values()), reverse=not column.lower_is_better)[:2]
    return {method: order.index(value) + 1 for method, value in competing.items() if value in order}


def text_table(title: str, values: Values, shown: Sequence[Column]) -> str:
    """One block of aligned text; a value that could not be had is a dash."""
    width = max([_NAME_WIDTH, *(len(method) + 1 for method in values)])
    lines = [title, "method".ljust(width) + "".join(column.heading.rjust(_WIDTH) for column in shown)]
    lines += [
        method.ljust(width) + "".join(cell(of_method, column).rjust(_WIDTH) for column in shown)
        for method, of_method in values.items()
    ]
    return "\n".join(lines)


def cell(values: Mapping[str, float], column: Column) -> str:
    """A value with four decimals, a dash if there is none."""
    value = values.get(column.metric, float("nan"))
    return f"{value:.4f}" if isfinite(value) else "-"
