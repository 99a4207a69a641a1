"""The documentation as a site: `make docs` builds it into build/docs/html and refuses warnings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import bnnpan_runtime

project = "bnnpan"
author = "the bnnpan authors"
project_copyright = "the bnnpan authors"
release = version = bnnpan_runtime.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode", "sphinx_click"]
exclude_patterns = ["ci-example"]

# Headings are link targets down to the third level, as on the pages of a code host.
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]

default_role = "code"
smartquotes = False  # two hyphens are two hyphens
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"

# Types of other libraries, and our own that no page describes: shown as they are written, without a link.
nitpick_ignore_regex = [(r"py:.*", r".*")]

html_theme = "furo"
html_title = f"bnnpan {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {"sidebar_hide_name": False, "navigation_with_keys": True}
html_show_copyright = False
html_copy_source = False
pygments_style = "friendly"
pygments_dark_style = "monokai"

# Links out of the site are listed, not visited: `make docs` writes them to build/docs/links/output.txt.
linkcheck_ignore = [r"https?://.*"]

_AS_ON_A_CODE_HOST = {
    "../models/bgrn-x4/MODEL_CARD.md": "/project/model-card.md",
    "SECURITY.md": "/project/security.md",
    "CONTRIBUTING.md": "/project/contributing.md",
    "CHANGELOG.md": "/project/changelog.md",
}
"""Links out of this folder, as pages and files of the root have them, and what they lead to on the site."""

_INCLUDED = re.compile(r"^```\{include\} (?P<file>\S+)\n```$", re.MULTILINE)

_ENTRY = re.compile(r"^(?P<names>[a-z_]\w*(, [a-z_]\w*)*)  +(?P<text>\S.*)$")
"""A line of a table in a docstring: names, two spaces or more, text; indented lines continue it."""


HERE = Path(__file__).resolve().parent


def setup(app: Any) -> None:
    """Make our plain docstrings and links such that Sphinx reads them."""
    app.connect("autodoc-process-docstring", _lists_from_tables)
    app.connect("sphinx-click-process-description", _examples_as_code)
    app.connect("source-read", _links_within_the_site)


def _lists_from_tables(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    made: list[str] = []
    within = False
    for line in lines:
        entry = _ENTRY.match(line)
        if entry:
            made += ([] if within else [""]) + [f"- ``{entry['names']}``: {entry['text']}"]
        elif within and line.startswith("  "):
            made.append(f"  {line.strip()}")
        else:
            made += [""] if within and line else []
            made.append(line)
        within = bool(entry) or (within and line.startswith("  "))
    lines[:] = made


def _examples_as_code(app: Any, context: Any, lines: list[str]) -> None:
    """Turn the line block under "Example:" into a block of code."""
    for place, line in enumerate(lines):
        if re.fullmatch(r"\|? *Examples?:", line):
            code = [re.sub(r"^\| ? ?", "    ", each) for each in lines[place + 1 :]]
            lines[place:] = ["Example:", "", ".. code-block:: sh", "", *code, ""]
            return


def _links_within_the_site(app: Any, name: str, source: list[str]) -> None:
    source[0] = _INCLUDED.sub(lambda found: _of_the_root(HERE / name, found["file"]), source[0])
    for link, page in _AS_ON_A_CODE_HOST.items():
        source[0] = source[0].replace(f"]({link})", f"]({page})")


def _of_the_root(page: Path, file: str) -> str:
    """A file of the repository's root as a page: its links into this folder begin at the site's top."""
    return (page.parent / file).read_text().replace("](docs/", "](/")
