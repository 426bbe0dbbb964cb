"""How the pages are built: `make docs` writes them to `docs/_build/html`; warnings are errors."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import generated  # noqa: E402

generated.write(HERE / "reference")

project = "Champion"
copyright = "the Champion authors"  # noqa: A001 - Sphinx reads this name
version = release = importlib.metadata.version("champion")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["_build"]

html_theme = "pydata_sphinx_theme"
html_title = "Champion"
html_theme_options = {"show_prev_next": False, "show_toc_level": 2, "navigation_with_keys": False}
html_show_sphinx = False
html_copy_source = False

myst_heading_anchors = 3
default_role = "code"
autodoc_member_order = "bysource"
napoleon_numpy_docstring = False
copybutton_prompt_text = "$ "
