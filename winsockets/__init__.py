"""The Windows.Networking.Sockets programming model on Twisted."""

from winsockets.errors import *  # noqa: F403
from winsockets.errors import __all__ as _errors
from winsockets.foundation import *  # noqa: F403
from winsockets.foundation import __all__ as _foundation

__all__ = [*_errors, *_foundation]  # noqa: PLE0604
