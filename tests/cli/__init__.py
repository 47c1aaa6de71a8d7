"""The specification of ``winsockets.cli``."""
