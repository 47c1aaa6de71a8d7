"""The end of something, for several who wait."""

from __future__ import annotations

from winsockets.foundation import AsyncStatus
from winsockets.transports._ending import Ending


def test_everybody_who_waits_hears_of_the_end_in_the_order_of_asking():
    """And nobody before."""
    heard = []
    ending = Ending()
    for name in "abc":
        ending.wait().addCallback(lambda _, name=name: heard.append(name))
    assert heard == []
    ending.come()
    assert heard == ["a", "b", "c"]


def test_who_asks_after_the_end_knows_at_once():
    """The end stays."""
    ending = Ending()
    ending.come()
    assert ending.wait().status is AsyncStatus.COMPLETED
    assert ending.wait().get_results() is None


def test_an_end_without_anybody_waiting_comes_all_the_same():
    """It may come twice, too: the second time nothing happens."""
    ending = Ending()
    ending.come()
    ending.come()
    assert ending.wait().status is AsyncStatus.COMPLETED


def test_giving_up_waiting_concerns_nobody_else():
    """A cancelled one ends as CANCELED and the others hear of the end."""
    ending = Ending()
    one, other = ending.wait(), ending.wait()
    one.cancel()
    assert one.status is AsyncStatus.CANCELED
    ending.come()
    assert other.status is AsyncStatus.COMPLETED


def test_one_who_hears_of_the_end_may_cancel_another_who_waits():
    """That one ends once, and nothing is raised."""
    ending = Ending()
    ending.wait().addCallback(lambda _: other.cancel())
    other = ending.wait()
    ending.come()
    assert other.status is AsyncStatus.CANCELED
