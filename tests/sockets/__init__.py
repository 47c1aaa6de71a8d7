"""Tests of stream sockets, listeners and datagram sockets."""
