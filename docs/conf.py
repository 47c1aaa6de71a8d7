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

extensions = ["myst_parser", "sphinx.ext.autodoc", "package_reference"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"{project} {version}"

autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"

myst_heading_anchors = 3
