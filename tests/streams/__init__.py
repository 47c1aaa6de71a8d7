"""Tests of buffers, streams, readers and writers."""
