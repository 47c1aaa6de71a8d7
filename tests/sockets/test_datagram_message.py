"""What an event of a datagram socket brings: a datagram, or an error in its place."""

from __future__ import annotations

import socket as system
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winsockets.errors import MessageTooLongError
from winsockets.networking import HostName
from winsockets.sockets import DatagramSocketMessageReceivedEventArgs
from winsockets.sockets._datagram_message import Arrival
from winsockets.streams import InputStreamOptions, UnicodeEncoding
from winsockets.transports._packet_info import _IP_PKTINFO as IP_PKTINFO

FROM = ("192.0.2.1", 1234)
LOCAL = ("192.0.2.9", 5678)


def message(content, remote=FROM, local=LOCAL, ancillary=()):
    """What a handler gets."""
    return DatagramSocketMessageReceivedEventArgs._of(content, Arrival(remote, local, ancillary))


@given(st.binary(max_size=2000))
def test_every_reader_and_stream_sees_the_whole_datagram(data):
    """However often one asks; there is nothing to load and nothing to wait for."""
    args = message(data)
    for _ in range(2):
        reader = args.get_data_reader()
        assert reader.unconsumed_buffer_length == len(data)
        assert bytes(reader.detach_buffer()) == data
        assert args.get_data_stream().read(4000).get_results() == data
    assert args.data == data


def test_one_reader_may_count_and_another_read():
    """As the sample of WinRT does; text is UTF-8."""
    args = message("Grüße".encode())
    length = args.get_data_reader().unconsumed_buffer_length
    reader = args.get_data_reader()
    assert reader.unicode_encoding is UnicodeEncoding.UTF8
    assert reader.read_string(length) == "Grüße"


def test_a_stream_of_it_reads_into_buffers():
    """It is an input stream like any other, and it ends."""
    stream = message(b"abc").get_data_stream()
    buffer = stream.read_async(bytearray(10), 10, InputStreamOptions.NONE).get_results()
    assert bytes(buffer) == b"abc"
    assert stream.read().get_results() == b""


@pytest.mark.parametrize("ask", ["data", "get_data_reader", "get_data_stream"])
def test_an_error_is_raised_by_whoever_asks_for_the_data(ask):
    """The same one each time, with the place where it was asked for and nothing of earlier ones."""
    problem = MessageTooLongError("cut")
    args = message(problem)
    depths = []
    for _ in range(3):
        with pytest.raises(MessageTooLongError) as caught:
            getattr(args, ask)() if ask != "data" else args.data
        assert caught.value is problem
        depths.append(len(caught.traceback))
    assert len(set(depths)) == 1
    assert "cut" in repr(args)


def test_the_sender_is_named():
    """As a HostName and a decimal port."""
    args = message(b"abc")
    assert args.remote_address == HostName("192.0.2.1")
    assert args.remote_address is args.remote_address
    assert args.remote_port == "1234"
    assert repr(args) == "<datagram from 192.0.2.1 port 1234: 3 bytes>"
    assert repr(message(b"", ("::1", 7, 0, 0))) == "<datagram from ::1 port 7: 0 bytes>"


def test_a_scope_is_part_of_the_address():
    """For those that need one."""
    assert message(b"", ("fe80::1", 7, 0, 3)).remote_address == HostName("fe80::1%3")
    assert message(b"", ("2001:db8::1", 7, 5, 0)).remote_address == HostName("2001:db8::1")


def test_the_local_address_is_where_the_datagram_was_sent_to():
    """What the system tells of the datagram goes before what it tells of the socket."""
    told = [(system.IPPROTO_IP, IP_PKTINFO, struct.pack("=I4s4s", 1, bytes(4), bytes((192, 0, 2, 77))))]
    assert message(b"", FROM, ("0.0.0.0", 1), told).local_address == HostName("192.0.2.77")
    assert message(b"").local_address == HostName("192.0.2.9")
    assert message(b"", FROM, ("0.0.0.0", 1)).local_address is None
    assert message(b"", FROM, ("::", 1, 0, 0)).local_address is None


def test_what_came_from_nobody_has_no_address():
    """An error that concerns no peer."""
    args = message(MessageTooLongError("cut"), ())
    assert args.remote_address is None
    assert args.remote_port == ""
    assert repr(args).startswith("<datagram from nobody: MessageTooLongError")
