"""docs/certificates.md gives the bounds that the code has, and the order that results have."""

from __future__ import annotations

import re

from tests.docs.blocks import ROOT
from winsockets import ChainValidationResult
from winsockets.certificates import _folder, _loading, _path
from winsockets.certificates._results import in_order

PAGE = (ROOT / "docs" / "certificates.md").read_text(encoding="utf-8")
DECISIONS = (ROOT / "docs" / "decisions.md").read_text(encoding="utf-8")


def test_bounds_are_those_of_the_code() -> None:
    """What is looked at in search of a chain, and how large a file may be."""
    words = " ".join(PAGE.split())
    assert f"At most {_path._MOST_SIGNATURES} signatures" in words
    assert f"most {_path._MOST_PATHS} ways looked at, of {_path._LONGEST_PATH} certificates each" in words
    assert f"larger than {_loading._LARGEST_FILE >> 20} MiB" in words


def test_the_endings_of_files_in_a_store_are_those_of_the_code() -> None:
    """Others are not read."""
    [listed] = re.findall(r"files that end in ([^:]*?), each with one", " ".join(PAGE.split()))
    assert set(re.findall(r"\.\w+", listed)) == _folder._ENDINGS
    assert _folder.FOLDER_VARIABLE in PAGE


def test_the_order_of_results_is_that_of_the_code() -> None:
    """As docs/decisions.md tells what `validate` returns."""
    [listed] = re.findall(
        r"`validate\(\)` returns the worst (.*?)\. `validate_all", " ".join(DECISIONS.split())
    )
    assert re.findall(r"`([A-Z_]+)`", listed) == [one.name for one in in_order(ChainValidationResult)]
