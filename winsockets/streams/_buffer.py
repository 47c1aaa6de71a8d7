"""Buffer: bytes with a length and a capacity."""

from __future__ import annotations

from collections.abc import Iterable
from operator import index
from typing import TYPE_CHECKING, Any, Self, SupportsIndex, final, overload

from zope.interface import implementer

from winsockets.errors import InvalidArgumentError
from winsockets.streams._interfaces import IBuffer

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

__all__ = ["Buffer", "byte_view", "unsigned"]


def unsigned(value: SupportsIndex, name: str, bits: int = 32) -> int:
    """Check a count, a size or a position.

    Raises:
        InvalidArgumentError: it does not fit into an unsigned integer of so many bits.
        TypeError: it is not an integer.
    """
    number = index(value)
    if not 0 <= number < 1 << bits:
        raise InvalidArgumentError(f"{name}: {number} is not in the range 0 to {(1 << bits) - 1}")
    return number


def byte_view(buffer: ReadableBuffer) -> memoryview:
    """Look at any buffer object as a row of bytes, without copying it.

    Raises:
        InvalidArgumentError: it is None.
        TypeError: it is not a buffer object, or its memory is not contiguous.
    """
    # A null buffer is E_INVALIDARG in WinRT; the annotations do not keep it out.
    if buffer is None:
        raise InvalidArgumentError("the buffer is None; give bytes, a Buffer or another buffer object")
    view = memoryview(buffer)
    if view.ndim == 1 and view.format == "B" and view.contiguous:
        return view
    return view.cast("B")


@final
@implementer(IBuffer)
class Buffer(bytearray):
    """Bytes with a fixed capacity and a length that can be set up to it.

    ``len(buffer)`` is the length, and ``memoryview(buffer)`` and ``bytes(buffer)`` see exactly that many
    bytes. It is a ``bytearray``, because on Python 3.11 only a built-in type can export its memory; so it
    can be indexed, sliced and compared like one, and what changes a ``bytearray`` in place changes it too,
    up to the capacity. Growing the length adds zero bytes; bytes beyond the length are not kept.

    While a ``memoryview`` of it exists the length cannot change (``BufferError``, as for a ``bytearray``).

    Args:
        capacity: the most bytes it may hold, 0 to 4294967295. Memory is taken as the length grows.

    Raises:
        InvalidArgumentError: the capacity is out of range, or something would grow the length beyond it.

    Source: WinRT Buffer.
    """

    __slots__ = ("_capacity",)

    def __init__(self, capacity: SupportsIndex) -> None:
        self._capacity = unsigned(capacity, "capacity")
        super().__init__()

    @property
    def capacity(self) -> int:
        """The most bytes it may hold."""
        return self._capacity

    @property
    def length(self) -> int:
        """The bytes it holds; settable up to ``capacity``.

        Raises:
            InvalidArgumentError: more than the capacity; nothing has changed.
        """
        return len(self)

    @length.setter
    def length(self, value: SupportsIndex) -> None:
        length = unsigned(value, "length")
        self._check(length)
        if length < len(self):
            del self[length:]
        else:
            super().extend(bytes(length - len(self)))

    @staticmethod
    def create_copy_from_memory_buffer(input: ReadableBuffer) -> Buffer:
        """Make a buffer with a copy of ``input``.

        Args:
            input: any Python buffer object stands for WinRT's IMemoryBuffer.

        Source: WinRT Buffer.CreateCopyFromMemoryBuffer.
        """
        data = byte_view(input)
        buffer = Buffer(data.nbytes)
        bytearray.__iadd__(buffer, data)
        return buffer

    @staticmethod
    def create_memory_buffer_over_ibuffer(input: WriteableBuffer) -> memoryview:
        """Look at the bytes of ``input`` without copying them.

        Returns:
            A ``memoryview``, which stands for WinRT's MemoryBuffer.

        Source: WinRT Buffer.CreateMemoryBufferOverIBuffer.
        """
        return byte_view(input)

    # What would grow a bytearray beyond the capacity

    def append(self, item: SupportsIndex, /) -> None:
        """Add one byte."""
        self._check(len(self) + 1)
        super().append(item)

    def insert(self, at: SupportsIndex, item: SupportsIndex, /) -> None:
        """Insert one byte."""
        self._check(len(self) + 1)
        super().insert(at, item)

    def extend(self, items: Iterable[SupportsIndex], /) -> None:
        """Add bytes."""
        data = bytearray()
        data.extend(items)
        self._check(len(self) + len(data))
        super().extend(data)

    def __iadd__(self, data: ReadableBuffer, /) -> Self:  # type: ignore[override]  # as bytearray's own
        self._check(len(self) + byte_view(data).nbytes)
        return super().__iadd__(data)

    def __imul__(self, times: SupportsIndex, /) -> Self:
        self._check(len(self) * index(times))
        return super().__imul__(times)

    @overload
    def __setitem__(self, key: SupportsIndex, value: SupportsIndex, /) -> None: ...

    @overload
    def __setitem__(self, key: slice, value: Iterable[SupportsIndex] | bytes, /) -> None: ...

    def __setitem__(self, key: Any, value: Any, /) -> None:
        if isinstance(key, slice):
            data = bytearray()
            data[:] = value
            self._check(len(self) - len(range(*key.indices(len(self)))) + len(data))
            value = data
        super().__setitem__(key, value)

    def _check(self, length: int) -> None:
        if length > self._capacity:
            raise InvalidArgumentError(
                f"a length of {length} bytes is more than the buffer's capacity of {self._capacity}"
            )

    def __repr__(self) -> str:
        """Show the length and the capacity, not the bytes."""
        return f"<Buffer of {len(self)} bytes, capacity {self._capacity}>"
