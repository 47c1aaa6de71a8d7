"""Twisted's own tests of reactors, on the winsockets reactor; run by ``trial``."""
