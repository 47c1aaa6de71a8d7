"""Installing the reactor: by its function, by its name, and where it cannot be."""

from __future__ import annotations

import sys
from importlib import import_module

import pytest
from twisted.application.reactors import getReactorTypes

import winsockets.reactor
from tests.reactor.programs import on_linux, run
from winsockets import E_NOTIMPL, SocketException


@on_linux
def test_install_makes_it_the_reactor() -> None:
    """Importing the library installs none, so there is room for it."""
    assert run("""
        import winsockets.reactor
        winsockets.reactor.install()
        from twisted.internet import reactor
        print(type(reactor).__name__, reactor.running)
    """) == ["DirectEPollReactor False"]


@on_linux
def test_it_is_installed_by_its_name() -> None:
    """As ``--reactor=winsockets`` of ``twistd`` and ``trial`` does it."""
    assert run("""
        from twisted.application.reactors import installReactor
        print(type(installReactor("winsockets")).__name__)
    """) == ["DirectEPollReactor"]


@on_linux
def test_a_child_finds_its_reactor_by_the_module_of_the_parents() -> None:
    """Programs start children on their own reactor with the install of its class's module."""
    assert run("""
        from importlib import import_module
        import winsockets.reactor
        winsockets.reactor.install()
        from twisted.internet import reactor
        module = type(reactor).__module__
        del __import__("sys").modules["twisted.internet.reactor"]
        import_module(module).install()
        from twisted.internet import reactor as another
        print(type(another).__module__ == module, another is reactor)
    """) == ["True False"]


@on_linux
def test_it_does_not_replace_a_reactor() -> None:
    """Twisted's own error says so, and the reactor that is there stays."""
    assert run("""
        from twisted.internet import reactor
        from twisted.internet.error import ReactorAlreadyInstalledError
        import winsockets.reactor
        try:
            winsockets.reactor.install()
        except ReactorAlreadyInstalledError:
            from twisted.internet import reactor as still
            print(still is reactor)
    """) == ["True"]


def test_twisted_knows_it_by_name() -> None:
    """The plugin only names the module."""
    (plugin,) = [found for found in getReactorTypes() if found.shortName == "winsockets"]
    assert import_module(plugin.moduleName).install is winsockets.reactor.install
    assert "Linux" in plugin.description


@pytest.mark.parametrize("system", ["darwin", "win32", "freebsd14"])
def test_other_systems_are_told_what_it_needs_and_what_to_use(
    monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    """A refusal before anything is installed, so that the program can go on with the default reactor."""
    monkeypatch.setattr(sys, "platform", system)
    with pytest.raises(SocketException) as refusal:
        winsockets.reactor.install()
    assert refusal.value.hresult == E_NOTIMPL
    for word in ("Linux", "epoll", system, "default reactor"):
        assert word in str(refusal.value)


def test_importing_needs_no_epoll() -> None:
    """Where Python has none, everything but `install` is as everywhere."""
    assert run("""
        import select, sys
        if hasattr(select, "epoll"):
            del select.epoll
        import winsockets.reactor
        print("twisted.internet.reactor" in sys.modules, callable(winsockets.reactor.install))
    """) == ["False True"]


def test_twistd_passes_the_refusal_on() -> None:
    """The operator reads it, not a traceback."""
    (refusal, *_hint) = run("""
        import sys
        from twisted.application.app import ReactorSelectionMixin
        from twisted.python.usage import Options, UsageError

        class Command(ReactorSelectionMixin, Options):
            pass

        sys.platform = "elsewhere"
        try:
            Command().parseOptions(["--reactor=winsockets"])
        except UsageError as refusal:
            print(refusal)
    """)
    assert "needs Linux's epoll, and this is elsewhere" in refusal
