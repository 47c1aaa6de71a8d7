"""Certificates: reading them, finding them, and validating their chains."""

from winsockets.certificates._attributes import (
    CertificateExtension,
    CertificateKeyUsages,
    SubjectAlternativeNameInfo,
)
from winsockets.certificates._certificate import Certificate
from winsockets.certificates._chain import (
    CertificateChain,
    CertificateChainPolicy,
    ChainBuildingParameters,
    ChainValidationParameters,
)
from winsockets.certificates._query import CertificateQuery
from winsockets.certificates._results import ChainValidationResult
from winsockets.certificates._stores import (
    CertificateStore,
    CertificateStores,
    StandardCertificateStoreNames,
    UserCertificateStore,
)

__all__ = [
    "Certificate",
    "CertificateChain",
    "CertificateChainPolicy",
    "CertificateExtension",
    "CertificateKeyUsages",
    "CertificateQuery",
    "CertificateStore",
    "CertificateStores",
    "ChainBuildingParameters",
    "ChainValidationParameters",
    "ChainValidationResult",
    "StandardCertificateStoreNames",
    "SubjectAlternativeNameInfo",
    "UserCertificateStore",
]
