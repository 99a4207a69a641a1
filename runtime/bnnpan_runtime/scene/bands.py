"""Which band is which: bands of files put into the order that a bundle wants, and what was taken for granted.

Said by the user, else by the bands' descriptions, else by the names of files with one band each, else by
their colours, else by the bundle's order.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bnnpan_runtime.errors import MismatchError, SceneError

__all__ = ["SKIP", "BandName", "Choice", "choose_bands", "role_of"]

SKIP = "-"
"""Stands for a band without a role."""

_ROLES = {
    **{"b": "blue", "g": "green", "r": "red", "n": "nir"},
    **{"nir1": "nir", "nearinfrared": "nir", "infrared": "nir", "nearir": "nir"},
}
"""Other words for a role; letters are joined and lower case."""


@dataclass(frozen=True)
class BandName:
    """What is known of one band.

    file         name of its file without folder and extension, if it is the only band there
    description  the band's own
    colour       its colour interpretation
    """

    description: str | None
    colour: str
    file: str | None = None


@dataclass(frozen=True)
class Choice:
    """Bands to be used, counted from 0, in their new order; `how` they were found.

    roles      their names, None where nothing says them
    is_doubtful  whether the user should know
    """

    order: tuple[int, ...]
    roles: tuple[str | None, ...]
    how: str
    is_doubtful: bool = False


def choose_bands(
    bands: Sequence[BandName],
    wanted: Sequence[str] | None,
    said: Sequence[str] | None,
    where: str,
    taker: str,
) -> Choice:
    """The bands of the `wanted` roles, or all of them if any will do, in the given order.

    `said` names the bands one by one; `where` and `taker` are for messages. Raises SceneError if it does not
    fit the number of bands, MismatchError if roles cannot be found.
    """
    if said is not None:
        return _as_said(len(bands), wanted, said, where)
    if wanted is None:
        return Choice(tuple(range(len(bands))), (None,) * len(bands), "in the order of the file")
    roles = tuple(map(_canonical, wanted))
    for how, names in (
        ("by their descriptions", [role_of(band.description, roles) for band in bands]),
        ("by the names of their files", [role_of(band.file, roles) for band in bands]),
        ("by their colours", _colours(bands, roles)),
    ):
        if all(names.count(role) == 1 for role in roles):
            return Choice(tuple(map(names.index, roles)), tuple(wanted), how)
    if len(bands) != len(wanted):
        raise MismatchError(
            f"{where}: MS has {len(bands)} bands, {taker} takes {len(wanted)} ({', '.join(wanted)});"
            " say with --bands which band is which, or use a bundle made for these bands"
        )
    # GDAL calls a fourth band of bytes transparency where nobody says what it is.
    doubtful = {band.colour for band in bands} >= {"red", "green", "blue"}
    return Choice(tuple(range(len(bands))), (None,) * len(bands), "in the bundle's order", doubtful)


def role_of(text: str | None, roles: Sequence[str]) -> str | None:
    """The one role that a text names; None if it names none or several."""
    words = re.findall(r"[a-z0-9]+", (text or "").lower())
    whole = _ROLES.get("".join(words), "".join(words))
    if whole in roles:
        return whole
    named = {_ROLES.get(word, word) for word in words if len(word) > 1} & set(roles)
    return named.pop() if len(named) == 1 and "edge" not in words else None


def _as_said(count: int, wanted: Sequence[str] | None, said: Sequence[str], where: str) -> Choice:
    if len(said) != count:
        raise SceneError(
            f"{where}: {len(said)} bands are named ({', '.join(said)}), MS has {count};"
            f" name each, with {SKIP} for one that has no role"
        )
    names = [name if name == SKIP else _canonical(name) for name in said]
    twice = sorted({name for name in names if name != SKIP and names.count(name) > 1})
    if twice:
        raise SceneError(f"{where}: two bands are named {twice[0]}; each role belongs to one band")
    roles = [name for name in names if name != SKIP] if wanted is None else list(map(_canonical, wanted))
    missing = [role for role in roles if role not in names]
    if missing or not roles:
        raise MismatchError(
            f"{where}: no band is named {', '.join(missing) or 'at all'}, and the bundle takes"
            f" {', '.join(roles)}; use a bundle made for these bands"
        )
    return Choice(tuple(map(names.index, roles)), tuple(wanted or roles), "as said with --bands")


def _colours(bands: Sequence[BandName], roles: Sequence[str]) -> list[str | None]:
    """Roles by colours; of as many bands as roles, the one without a colour has the role left over."""
    names: list[str | None] = [band.colour if band.colour in roles else None for band in bands]
    left = [role for role in roles if role not in names]
    uncoloured = [place for place, band in enumerate(bands) if band.colour in ("undefined", "gray")]
    if len(bands) == len(roles) and len(left) == len(uncoloured) == 1 and len(roles) > 1:
        names[uncoloured[0]] = left[0]
    return names


def _canonical(role: str) -> str:
    letters = "".join(re.findall(r"[a-z0-9]+", role.lower()))
    return _ROLES.get(letters, letters)
