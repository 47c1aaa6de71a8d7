"""HRESULTs: the signed 32-bit numbers behind every failure."""

from __future__ import annotations

import operator
from typing import SupportsIndex

__all__ = [
    "ERROR_CANCELLED",
    "ERROR_INVALID_OPERATION",
    "ERROR_INVALID_PASSWORD",
    "ERROR_NOT_FOUND",
    "ERROR_NO_UNICODE_TRANSLATION",
    "ERROR_OPERATION_ABORTED",
    "E_ABORT",
    "E_ACCESSDENIED",
    "E_BOUNDS",
    "E_CHANGED_STATE",
    "E_FAIL",
    "E_ILLEGAL_DELEGATE_ASSIGNMENT",
    "E_ILLEGAL_METHOD_CALL",
    "E_ILLEGAL_STATE_CHANGE",
    "E_INVALIDARG",
    "E_NOTIMPL",
    "E_OUTOFMEMORY",
    "E_POINTER",
    "E_UNEXPECTED",
    "RO_E_CLOSED",
    "S_OK",
    "HResult",
]


class HResult(int):
    """A signed 32-bit HRESULT.

    Args:
        value: the number, signed (-2147483634) or unsigned (0x8000000E): both spellings give the same
            object value.

    Raises:
        TypeError: the value is not a whole number.
        ValueError: the number does not fit 32 bits.

    Source: WinRT HResult.
    """

    __slots__ = ()

    def __new__(cls, value: SupportsIndex) -> HResult:
        """Fold the unsigned spelling into the signed one."""
        number = operator.index(value)
        if not -0x80000000 <= number <= 0xFFFFFFFF:
            raise ValueError(f"{number:#x} does not fit a 32-bit HRESULT")
        return super().__new__(cls, number - 0x100000000 if number > 0x7FFFFFFF else number)

    def __repr__(self) -> str:
        """Show the unsigned hexadecimal form, the one people search for."""
        return f"HResult({self & 0xFFFFFFFF:#010x})"


def win32(code: int) -> HResult:
    """Wrap a Win32 or Winsock error code into its HRESULT (facility 7)."""
    return HResult(0x80070000 | code)


S_OK = HResult(0)
E_NOTIMPL = HResult(0x80004001)
E_POINTER = HResult(0x80004003)
E_ABORT = HResult(0x80004004)
E_FAIL = HResult(0x80004005)
E_UNEXPECTED = HResult(0x8000FFFF)
E_BOUNDS = HResult(0x8000000B)
E_CHANGED_STATE = HResult(0x8000000C)
E_ILLEGAL_STATE_CHANGE = HResult(0x8000000D)
E_ILLEGAL_METHOD_CALL = HResult(0x8000000E)
RO_E_CLOSED = HResult(0x80000013)
E_ILLEGAL_DELEGATE_ASSIGNMENT = HResult(0x80000018)
E_ACCESSDENIED = win32(5)
E_OUTOFMEMORY = win32(14)
ERROR_INVALID_PASSWORD = win32(86)
E_INVALIDARG = win32(87)
ERROR_OPERATION_ABORTED = win32(995)
ERROR_NO_UNICODE_TRANSLATION = win32(1113)
ERROR_NOT_FOUND = win32(1168)
ERROR_CANCELLED = win32(1223)
ERROR_INVALID_OPERATION = win32(4317)
