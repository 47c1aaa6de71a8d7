"""Control properties that are lists, every element of which is checked."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, MutableSequence, Sequence
from typing import Any, Generic, TypeVar, overload

from winsockets.errors import IllegalMethodCallError
from winsockets.sockets._settings import Control, Setting

__all__ = ["ListSetting", "SettingList"]

_T = TypeVar("_T")


class SettingList(MutableSequence[_T], Generic[_T]):
    """The list behind a property of a control.

    It is changed like any list, or as a whole by assigning to the property. Each change is checked: what the
    property does not take is refused, and so is a change that comes too late. A refused change changes
    nothing.

    Args:
        setting: the property.
        control: whose property it is.
    """

    __slots__ = ("_control", "_items", "_setting")

    def __init__(self, setting: ListSetting[_T], control: Control) -> None:
        self._setting = setting
        # The control has the list.
        self._control = weakref.ref(control)
        self._items: tuple[_T, ...] = ()

    def _replace(self, items: Iterable[Any]) -> None:
        self._items = self._setting._checked(self._control(), items)

    @overload
    def __getitem__(self, index: int) -> _T: ...

    @overload
    def __getitem__(self, index: slice) -> list[_T]: ...

    def __getitem__(self, index: int | slice) -> _T | list[_T]:
        """Return an element, or several as a list."""
        return list(self._items[index]) if isinstance(index, slice) else self._items[index]

    @overload
    def __setitem__(self, index: int, value: _T) -> None: ...

    @overload
    def __setitem__(self, index: slice, value: Iterable[_T]) -> None: ...

    def __setitem__(self, index: Any, value: Any) -> None:
        """Replace an element or several."""
        items = list(self._items)
        items[index] = value
        self._replace(items)

    def __delitem__(self, index: int | slice) -> None:
        """Take out an element or several."""
        items = list(self._items)
        del items[index]
        self._replace(items)

    def __len__(self) -> int:
        """Count the elements."""
        return len(self._items)

    def insert(self, index: int, value: _T) -> None:
        """Put an element in."""
        items = list(self._items)
        items.insert(index, value)
        self._replace(items)

    def extend(self, values: Iterable[_T]) -> None:
        """Add elements, all or none."""
        self._replace([*self._items, *values])

    def clear(self) -> None:
        """Take everything out, or nothing."""
        self._replace(())

    def __eq__(self, other: object) -> bool:
        """Compare the elements with those of another sequence."""
        if not isinstance(other, Sequence):
            return NotImplemented
        return self._items == tuple(other)

    __hash__ = None  # type: ignore[assignment]  # as every mutable sequence

    def __repr__(self) -> str:
        """Show the elements."""
        return repr(list(self._items))


class ListSetting(Setting[SettingList[_T]]):
    """A property that is a list, empty until the program puts something in.

    Args:
        check: turns an element that is put in into the one to keep; raises when it is not acceptable.
        doc: the property's description.
        late: as for Setting.
        changing: called with the control and all elements before a change; what it raises prevents it.
    """

    def __init__(
        self,
        check: Callable[[str, Any], _T],
        doc: str,
        late: str = "error",
        changing: Callable[[Any, tuple[_T, ...]], None] | None = None,
    ) -> None:
        self._check_element = check
        self._late = late
        self._changing = changing
        self.__doc__ = doc

    @overload
    def __get__(self, control: None, owner: type) -> ListSetting[_T]: ...

    @overload
    def __get__(self, control: Control, owner: type) -> SettingList[_T]: ...

    def __get__(self, control: Control | None, owner: type) -> ListSetting[_T] | SettingList[_T]:
        """Return the list."""
        if control is None:
            return self
        made: SettingList[_T] | None = control._values.get(self._name)
        if made is None:
            made = control._values[self._name] = SettingList(self, control)
        return made

    def __set__(self, control: Control, value: Iterable[_T]) -> None:
        """Replace all elements."""
        if isinstance(value, str | bytes | bytearray):
            raise TypeError(f"{self._owner}.{self._name} is a list; put {value[:40]!r} in brackets")
        self.__get__(control, type(control))._replace(value)

    def _values_of(self, control: Control) -> tuple[_T, ...]:
        """Return the elements, without making a list for a control that has none."""
        made: SettingList[_T] | None = control._values.get(self._name)
        return made._items if made is not None else ()

    def _checked(self, control: Control | None, items: Iterable[Any]) -> tuple[_T, ...]:
        name = f"{self._owner}.{self._name}"
        kept = tuple(self._check_element(name, item) for item in items)
        if control is not None:
            reason = control._refusal(self._late)
            if reason is not None:
                raise IllegalMethodCallError(f"{name} cannot be set {reason}")
            if self._changing is not None:
                self._changing(control, kept)
        return kept
