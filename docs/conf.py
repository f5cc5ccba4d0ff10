"""The site: `make docs` builds it from the files of this folder, with every warning an error.

Sphinx reads the pages as they are (MyST Markdown) and the reference from the docstrings. Facts of
protocol.md (P-n) are links wherever they are named: see _extensions/facts.py.
"""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_extensions"))

project = "antiphon"
author = "The antiphon authors"
copyright = author
release = version_of("antiphon")
html_title = "antiphon"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinxcontrib.mermaid",
    "facts",
    "docstrings",
    "repository",
]
exclude_patterns = ["_build", "decisions/template.md"]
# `type` in backticks may be the field of several classes; it is then linked to none of them.
suppress_warnings = ["ref.python"]

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["antiphon.css"]
html_theme_options = {"sidebar_hide_name": False}

myst_heading_anchors = 4
myst_enable_extensions = ["attrs_inline"]
myst_fence_as_directive = ["mermaid"]
mermaid_height = "auto"  # as high as the diagram is at the page's width
mermaid_fullscreen = False  # antiphon.css lets a diagram scroll instead

# A name in backticks is a link where there is such a name, and code where there is not.
default_role = "py:obj"
autodoc_inherit_docstrings = False  # what LiveKit says of its own methods is on its own site
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 80
python_use_unqualified_type_names = True
autodoc_preserve_defaults = True
autodoc_default_options = {"members": True, "undoc-members": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True
