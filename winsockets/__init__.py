"""The Windows.Networking.Sockets programming model on Twisted.

Everything public is importable from here.
"""

from winsockets import errors, foundation, networking, sockets, streams, transports
from winsockets.errors import *  # noqa: F403
from winsockets.foundation import *  # noqa: F403
from winsockets.networking import *  # noqa: F403
from winsockets.sockets import *  # noqa: F403
from winsockets.streams import *  # noqa: F403
from winsockets.transports import *  # noqa: F403

__all__ = [  # noqa: PLE0604
    *errors.__all__,
    *foundation.__all__,
    *networking.__all__,
    *sockets.__all__,
    *streams.__all__,
    *transports.__all__,
]
