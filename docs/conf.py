"""How Sphinx builds the documentation: `sphinx-build -W --keep-going -n docs docs/_build`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from docstrings import from_markdown, link_public_name

import hestiaos

project = "HestiaOS SDK"
author = "HestiaOS Team"
project_copyright = author
version = release = hestiaos.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["attrs_inline"]
myst_heading_anchors = 3
suppress_warnings = ["misc.highlighting_failure"]  # `…` in a block stands for what is left out

html_theme = "furo"
html_title = f"HestiaOS SDK {version}"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_theme_options = {
    "source_repository": "https://github.com/hestiaos/hestiaos/",
    "source_branch": "main",
    "source_directory": "docs/",
}

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_class_signature = "mixed"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
add_module_names = False

# Types of other projects, whose documentation a build does not fetch; type variables; and types that a signature of
# ours names but that no user makes.
nitpick_ignore_regex = [
    ("py:class", r"hestiaos(_\w+)?\.[\w.]+\.[A-Z]"),
    ("py:class", r"hestiaos\.batches\._schedule\.Schedule"),  # of the constructors, which are `batch`'s alone
    (
        "py:class",
        r"hestiaos_\w+\.[\w.]*_executor\.Executor|hestiaos_proto\._calls\.Call|Judge|Resources|RuleSet|"
        r"hestiaos_local\.(\w+\._\w+\.\w+|_\w+\.AsyncEvents)",
    ),
    (
        "py:.*",
        r"(collections|contextlib|ssl|threading|logging|typing|types|os|re|enum|abc|pathlib|httpx|anyio|attrs)\..*",
    ),
    ("py:.*", r"(str|int|float|bool|bytes|dict|list|tuple|None|object|type|Any|Self|T|C|S|Callable|Iterable|Iterator)"),
]


def setup(app: Any) -> None:
    app.connect("autodoc-process-docstring", from_markdown)
    app.connect("missing-reference", link_public_name)
