"""Tests of what the library offers to other people's tests."""
