"""The contracts of Windows.Foundation: what they ask for, and that our classes keep them."""

from __future__ import annotations

import pytest
from zope.interface.verify import verifyClass, verifyObject

from winsockets import foundation
from winsockets.foundation import (
    AsyncOperation,
    AsyncOperationWithProgress,
    AsyncStatus,
    Deferral,
    IAsyncAction,
    IAsyncActionWithProgress,
    IAsyncInfo,
    IAsyncOperation,
    IAsyncOperationWithProgress,
    IClosable,
    IStringable,
)

MEMBERS = {
    IAsyncInfo: {"id", "status", "error_code", "cancel", "close"},
    IAsyncAction: {"completed", "get", "wait", "get_results"},
    IAsyncActionWithProgress: {"progress"},
    IAsyncOperation: set(),
    IAsyncOperationWithProgress: {"progress"},
    IClosable: {"close"},
    IStringable: {"to_string"},
}


def test_the_statuses_are_numbered_as_in_winrt() -> None:
    """A program may store the number."""
    assert [(status.name, status.value) for status in AsyncStatus] == [
        ("STARTED", 0),
        ("COMPLETED", 1),
        ("CANCELED", 2),
        ("ERROR", 3),
    ]


@pytest.mark.parametrize("interface", MEMBERS, ids=lambda interface: interface.__name__)
def test_an_interface_asks_for_its_members(interface) -> None:
    """Those, and those of the interfaces it extends; each is described."""
    assert set(interface.names()) == MEMBERS[interface]
    assert all(interface[name].__doc__ for name in interface)


def test_the_interfaces_extend_each_other_as_in_winrt() -> None:
    """Whoever takes an IAsyncInfo takes every operation."""
    for interface in (IAsyncAction, IAsyncActionWithProgress, IAsyncOperation, IAsyncOperationWithProgress):
        assert interface.extends(IAsyncInfo)
    assert IAsyncActionWithProgress.extends(IAsyncAction)
    assert IAsyncOperationWithProgress.extends(IAsyncOperation)


def test_every_public_interface_is_covered_here() -> None:
    """A new one needs its line in the table above."""
    public = {name for name in foundation.__all__ if name.startswith("I")}
    assert public == {interface.__name__ for interface in MEMBERS}


@pytest.mark.parametrize(
    ("kind", "interface"),
    [
        (AsyncOperation, IAsyncOperation),
        (AsyncOperationWithProgress, IAsyncOperationWithProgress),
        (Deferral, IClosable),
    ],
)
def test_our_classes_keep_their_contracts(kind: type, interface) -> None:
    """Members, and signatures of the methods."""
    verifyClass(interface, kind)
    verifyObject(interface, kind(lambda _: None))
