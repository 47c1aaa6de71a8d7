import sys
from configparser import ConfigParser
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

metadata = ConfigParser()
metadata.read(Path(__file__).parents[1] / "setup.cfg", encoding="utf-8")

project = metadata["metadata"]["name"]
author = metadata["metadata"]["author"]
copyright = f"2026, {author}"
release = version = metadata["metadata"]["version"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "package_reference", "tables"]
exclude_patterns = ["_build", "performance/results.md"]  # a part of a page
smartquotes_action = "D"  # dashes; quotes in texts are code

html_theme = "furo"
html_title = f"{project} {version}"
html_static_path = ["_static"]
html_css_files = ["wide.css"]

add_module_names = False
toc_object_entries_show_parents = "hide"
python_use_unqualified_type_names = True
maximum_signature_line_length = 180
autodoc_docstring_signature = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"

myst_heading_anchors = 3
