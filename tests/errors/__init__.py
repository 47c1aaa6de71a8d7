"""The specification of ``winsockets.errors``."""
