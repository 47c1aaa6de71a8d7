"""Twisted's own tests of endpoints and TCP transports, over ours, on every reactor; run by ``trial``."""
