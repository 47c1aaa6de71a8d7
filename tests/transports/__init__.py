"""Tests of winsockets.transports."""
