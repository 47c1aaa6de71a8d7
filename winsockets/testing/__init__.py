"""What test suites need: connections in memory, faults on demand, contracts to check, names, certificates."""

from winsockets.testing._certificates import CertificateAuthority, certificate_pem
from winsockets.testing._check_input import check_input_stream
from winsockets.testing._check_output import check_output_stream
from winsockets.testing._check_pair import check_stream_pair
from winsockets.testing._fault_proxy import FaultProxy
from winsockets.testing._faults import Faults
from winsockets.testing._memory_transport import MemoryTransport, connect_protocols
from winsockets.testing._pair import stream_socket_pair
from winsockets.testing._resolver import MemoryResolver, install_resolver

__all__ = [
    "CertificateAuthority",
    "FaultProxy",
    "Faults",
    "MemoryResolver",
    "MemoryTransport",
    "certificate_pem",
    "check_input_stream",
    "check_output_stream",
    "check_stream_pair",
    "connect_protocols",
    "install_resolver",
    "stream_socket_pair",
]
