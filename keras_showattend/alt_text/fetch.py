"""Downloads images of strangers' pages, from public addresses only and within limits."""

from __future__ import annotations

import functools
import http.client
import ipaddress
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

MAX_BYTES = 20_000_000
MAX_SECONDS = 20.0
_PIECE = 1 << 16


class FetchError(OSError):
    """An image that was not downloaded, with the reason."""


def fetch(url: str, allows: Callable[[str], bool] | None = None) -> bytes:
    """Downloads an image.

    The address that a name leads to is checked when the connection is made, also after a
    redirection, so that a page cannot make this machine ask its own network. Proxies are not
    used.

    Args:
        url: http or https.
        allows: function of an IP address; by default whether it is a public one.

    Raises:
        FetchError: if it cannot be reached, is not public, is larger than 20 MB or takes longer
            than 20 seconds.
    """
    deadline = time.monotonic() + MAX_SECONDS
    connect = functools.partial(_connect, allows or is_public, deadline)
    opener = urllib.request.OpenerDirector()
    for handler in (
        _Http(connect),
        _Https(connect),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    request = urllib.request.Request(url, headers={"User-Agent": "keras-showattend"})
    try:
        with opener.open(request, timeout=MAX_SECONDS) as answer:
            return _read(answer, deadline)
    except FetchError:
        raise
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise FetchError(f"it cannot be downloaded ({reason})") from error


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet."""
    ip = ipaddress.ip_address(address)
    mapped = getattr(ip, "ipv4_mapped", None)
    return (mapped or ip).is_global and not ip.is_multicast


def _read(answer: Any, deadline: float) -> bytes:
    parts, size = [], 0
    while part := answer.read1(_PIECE):
        parts.append(part)
        size += len(part)
        if size > MAX_BYTES:
            raise FetchError(f"it is larger than {MAX_BYTES // 1_000_000} MB")
        if time.monotonic() > deadline:
            raise FetchError(f"it takes longer than {MAX_SECONDS:.0f} seconds")
    return b"".join(parts)


def _connect(allows: Callable[[str], bool], deadline: float, host: str, port: int) -> socket.socket:
    """Connects to the first address of a host, if every one of them is allowed."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for *_, address in found:
        if not allows(str(address[0])):
            raise FetchError(f"its host {host} is not on the public internet")
    family, kind, protocol, _, address = found[0]
    connection = socket.socket(family, kind, protocol)
    try:
        connection.settimeout(max(0.1, deadline - time.monotonic()))
        connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection


class _HttpConnection(http.client.HTTPConnection):
    reach: Callable[[str, int], socket.socket]

    def connect(self) -> None:
        self.sock = self.reach(self.host, self.port)


class _HttpsConnection(http.client.HTTPSConnection):
    reach: Callable[[str, int], socket.socket]

    def connect(self) -> None:
        plain = self.reach(self.host, self.port)
        context = ssl.create_default_context()
        self.sock = context.wrap_socket(plain, server_hostname=self.host)


def _connection(kind: Any, reach: Callable[[str, int], socket.socket]) -> Callable[..., Any]:
    def make(host: str, **options: Any) -> Any:
        connection = kind(host, **options)
        connection.reach = reach
        return connection

    return make


class _Http(urllib.request.HTTPHandler):
    def __init__(self, reach: Callable[[str, int], socket.socket]) -> None:
        super().__init__()
        self._make = _connection(_HttpConnection, reach)

    def http_open(self, request: urllib.request.Request) -> Any:
        return self.do_open(self._make, request)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, reach: Callable[[str, int], socket.socket]) -> None:
        super().__init__()
        self._make = _connection(_HttpsConnection, reach)

    def https_open(self, request: urllib.request.Request) -> Any:
        return self.do_open(self._make, request)
