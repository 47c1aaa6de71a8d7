"""The specification of ``winsockets.foundation``."""
