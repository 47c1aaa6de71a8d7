"""WebErrorStatus and the HRESULTs behind it: WinINet's numbers, HTTP statuses, and plain socket errors."""

from __future__ import annotations

from winsockets.errors._hresult import HResult, win32
from winsockets.errors._status import WebErrorStatus

__all__ = ["WebError", "web_hresult_of"]

_W = WebErrorStatus
_WEB: dict[HResult, WebErrorStatus] = {
    win32(12002): _W.TIMEOUT,
    win32(12007): _W.HOST_NAME_NOT_RESOLVED,
    win32(12017): _W.OPERATION_CANCELED,
    win32(995): _W.OPERATION_CANCELED,
    win32(1223): _W.OPERATION_CANCELED,
    HResult(0x80004004): _W.OPERATION_CANCELED,
    win32(12029): _W.CANNOT_CONNECT,
    win32(12030): _W.CONNECTION_ABORTED,
    win32(12031): _W.CONNECTION_RESET,
    win32(12037): _W.CERTIFICATE_EXPIRED,
    win32(12038): _W.CERTIFICATE_COMMON_NAME_IS_INCORRECT,
    win32(12039): _W.HTTP_TO_HTTPS_ON_REDIRECTION,
    win32(12040): _W.HTTPS_TO_HTTP_ON_REDIRECTION,
    win32(12045): _W.CERTIFICATE_IS_INVALID,
    win32(12169): _W.CERTIFICATE_IS_INVALID,
    win32(12055): _W.CERTIFICATE_CONTAINS_ERRORS,
    win32(12170): _W.CERTIFICATE_REVOKED,
    win32(12152): _W.ERROR_HTTP_INVALID_SERVER_RESPONSE,
    win32(12156): _W.REDIRECT_FAILED,
    win32(12163): _W.DISCONNECTED,
    win32(12164): _W.SERVER_UNREACHABLE,
    HResult(0x80190001): _W.UNEXPECTED_STATUS_CODE,
    HResult(0x80190003): _W.UNEXPECTED_REDIRECTION,
    HResult(0x80190004): _W.UNEXPECTED_CLIENT_ERROR,
    HResult(0x80190005): _W.UNEXPECTED_SERVER_ERROR,
    # Plain socket errors met below a WebSocket.
    win32(10061): _W.CANNOT_CONNECT,
    win32(10054): _W.CONNECTION_RESET,
    win32(10053): _W.CONNECTION_ABORTED,
    win32(10060): _W.TIMEOUT,
    win32(11001): _W.HOST_NAME_NOT_RESOLVED,
    win32(11002): _W.HOST_NAME_NOT_RESOLVED,
    win32(11003): _W.HOST_NAME_NOT_RESOLVED,
    win32(11004): _W.HOST_NAME_NOT_RESOLVED,
}
_HTTP_FACILITY = HResult(0x80190000)
_HTTP_CLASSES = {
    3: _W.UNEXPECTED_REDIRECTION,
    4: _W.UNEXPECTED_CLIENT_ERROR,
    5: _W.UNEXPECTED_SERVER_ERROR,
}
# The first HRESULT of each status, so from the last to the first.
_HRESULTS: dict[WebErrorStatus, HResult] = {status: code for code, status in reversed(_WEB.items())}


def web_hresult_of(status: WebErrorStatus) -> HResult | None:
    """Give the HRESULT that stands for a status; UNKNOWN and two others have none."""
    if status >= 100:
        return HResult(_HTTP_FACILITY + status)
    return _HRESULTS.get(status)


class WebError:
    """Turns the HRESULT of a failed web operation into a status."""

    @staticmethod
    def get_status(hresult: int, /) -> WebErrorStatus:
        """Look up the status of an HRESULT.

        Args:
            hresult: signed or unsigned 32-bit HRESULT.

        Returns:
            The status: an HTTP answer under its own number, or under its class (redirection, client,
            server) where the number has no name; UNKNOWN for anything else.

        Raises:
            TypeError: the number is not a whole number.
            ValueError: the number does not fit 32 bits.

        Source: WinRT WebError.GetStatus.
        """
        number = HResult(hresult)
        if number in _WEB:
            return _WEB[number]
        http_status = number - _HTTP_FACILITY
        if not 100 <= http_status < 600:
            return WebErrorStatus.UNKNOWN
        try:
            return WebErrorStatus(http_status)
        except ValueError:
            return _HTTP_CLASSES.get(http_status // 100, WebErrorStatus.UNEXPECTED_STATUS_CODE)
