"""The Windows.Networking.Sockets programming model on Twisted.

Everything public is importable from here.
"""

from winsockets import certificates, errors, foundation, networking, sockets, streams, transports
from winsockets.certificates import *  # noqa: F403
from winsockets.errors import *  # noqa: F403
from winsockets.foundation import *  # noqa: F403
from winsockets.networking import *  # noqa: F403
from winsockets.sockets import *  # noqa: F403
from winsockets.streams import *  # noqa: F403
from winsockets.transports import *  # noqa: F403

# in the form that the typing specification has for it
__all__ = []
__all__ += certificates.__all__
__all__ += errors.__all__
__all__ += foundation.__all__
__all__ += networking.__all__
__all__ += sockets.__all__
__all__ += streams.__all__
__all__ += transports.__all__
