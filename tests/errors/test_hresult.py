"""HRESULTs: signed 32-bit numbers that take either spelling."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winsockets import errors
from winsockets.errors import HResult
from winsockets.errors._hresult import win32

CONSTANTS = {
    "S_OK": (0x00000000, 0),
    "E_BOUNDS": (0x8000000B, -2147483637),
    "E_CHANGED_STATE": (0x8000000C, -2147483636),
    "E_ILLEGAL_STATE_CHANGE": (0x8000000D, -2147483635),
    "E_ILLEGAL_METHOD_CALL": (0x8000000E, -2147483634),
    "RO_E_CLOSED": (0x80000013, -2147483629),
    "E_ILLEGAL_DELEGATE_ASSIGNMENT": (0x80000018, -2147483624),
    "E_NOTIMPL": (0x80004001, -2147467263),
    "E_POINTER": (0x80004003, -2147467261),
    "E_ABORT": (0x80004004, -2147467260),
    "E_FAIL": (0x80004005, -2147467259),
    "E_UNEXPECTED": (0x8000FFFF, -2147418113),
    "E_ACCESSDENIED": (0x80070005, -2147024891),
    "E_OUTOFMEMORY": (0x8007000E, -2147024882),
    "ERROR_INVALID_PASSWORD": (0x80070056, -2147024810),
    "E_INVALIDARG": (0x80070057, -2147024809),
    "ERROR_OPERATION_ABORTED": (0x800703E3, -2147023901),
    "ERROR_NO_UNICODE_TRANSLATION": (0x80070459, -2147023783),
    "ERROR_NOT_FOUND": (0x80070490, -2147023728),
    "ERROR_CANCELLED": (0x800704C7, -2147023673),
    "ERROR_INVALID_OPERATION": (0x800710DD, -2147020579),
}


@pytest.mark.parametrize("name", CONSTANTS)
def test_a_constant_has_the_documented_number(name: str) -> None:
    """The unsigned spelling is the documented one, the signed one is what programs compare."""
    unsigned, signed = CONSTANTS[name]
    constant = getattr(errors, name)
    assert isinstance(constant, HResult)
    assert constant == signed
    assert constant & 0xFFFFFFFF == unsigned


def test_every_public_constant_is_covered_by_that_table() -> None:
    """A constant added later needs its line there."""
    assert {name for name in errors.__all__ if isinstance(getattr(errors, name), HResult)} == CONSTANTS.keys()


@given(st.integers(-0x80000000, 0xFFFFFFFF))
def test_both_spellings_give_the_same_signed_number(number: int) -> None:
    """Whatever fits 32 bits is folded into the signed range, and only the bits count."""
    folded = HResult(number)
    assert -0x80000000 <= folded <= 0x7FFFFFFF
    assert folded & 0xFFFFFFFF == number & 0xFFFFFFFF
    assert HResult(folded) == folded


@given(st.integers().filter(lambda number: not -0x80000000 <= number <= 0xFFFFFFFF))
def test_a_number_of_more_than_32_bits_is_refused(number: int) -> None:
    """Nothing is cut silently."""
    with pytest.raises(ValueError, match="32-bit HRESULT"):
        HResult(number)


@pytest.mark.parametrize("value", ["0x8000000E", 1.0, None, b"\0\0\0\0"], ids=repr)
def test_what_is_not_a_whole_number_is_a_type_error(value: object) -> None:
    """A text or a float is a mistake of the caller, not a number to be guessed."""
    with pytest.raises(TypeError):
        HResult(value)  # type: ignore[arg-type]


def test_the_text_form_is_the_one_people_search_for() -> None:
    """Unsigned, hexadecimal, eight digits."""
    assert repr(HResult(-2147014835)) == "HResult(0x8007274d)"
    assert repr(HResult(0)) == "HResult(0x00000000)"
    assert f"{HResult(-2147014835):d}" == "-2147014835"


def test_copies_and_pickles_keep_the_number_and_the_type() -> None:
    """An HRESULT travels between processes."""
    original = HResult(0x8007274D)
    for twin in (copy.copy(original), copy.deepcopy(original), pickle.loads(pickle.dumps(original))):
        assert twin == original
        assert type(twin) is HResult


def test_a_windows_error_code_becomes_an_hresult_of_facility_7() -> None:
    """The wrapping that Windows itself applies."""
    assert win32(10061) == -2147014835
