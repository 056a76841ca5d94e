"""A Hub whose answers are garbage, cut short, of wrong types, or too long, drawn from a seed."""

import json
import random
import socket

from hub_protocol import Handler
from hub_server import HubServer
from mutations import mutate, mutate_json

# What an answer that is much longer than it should be holds.
LONG = 8_000_000
_STATUSES = (201, 204, 206, 301, 302, 304, 400, 401, 403, 404, 410, 416, 418, 429, 500, 503, 599)
_VALUES = ("", "x", "-1", "NaN", "99999999999999999999", "../../../evil", "é" * 9, "a" * 60_000)
_HEADERS = (
    *("ETag", "X-Repo-Commit", "X-Linked-Etag", "X-Linked-Size", "Location", "Content-Length"),
    *("Content-Range", "Content-Encoding", "Content-Type", "X-Error-Code"),
)
_PLACES = ("/evil", "http://", "http://127.0.0.1:9/x", "file:///etc/passwd", "//", "\\x00", "#")


class HostileHandler(Handler):
    """Answers as the Hub does, apart from those that it spoils."""

    timeout = 5

    def _send(self, status, body=b"", headers=None, length=None):
        rng = self.hub.rng
        if rng is None or rng.random() > self.hub.share:
            super()._send(status, body, headers, length)
            return
        headers = dict(headers or {})
        self.close_connection = True
        kind = rng.randrange(9)
        if kind == 0:
            body = rng.randbytes(rng.choice((0, 1, 100, 10_000)))
        elif kind == 1:
            body = mutate(body or b"{}", rng, [b"<html>", b"null"])
        elif kind == 2:
            body = self._other_json(body, rng)
        elif kind == 3:
            length = len(body) + rng.choice((1, 1000, 2**40))
        elif kind == 4:
            body, length = body + bytes(LONG), -1
        elif kind == 5:
            status = rng.choice(_STATUSES)
            if status in (301, 302):
                headers["Location"] = rng.choice((*_PLACES, self.path))
        elif kind == 6:
            headers[rng.choice(_HEADERS)] = rng.choice(_VALUES)
        elif kind == 7:
            for name in rng.sample(sorted(headers), min(len(headers), 2)):
                del headers[name]
        else:
            self._raw(rng)
            return
        try:
            self._write(status, body, headers, length)
        except (ConnectionError, TimeoutError):
            return

    def _write(self, status, body, headers, length):
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value.encode("utf-8").decode("latin-1"))
        if "Content-Length" not in headers and length != -1:
            self.send_header("Content-Length", str(len(body) if length is None else length))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.method != "HEAD":
            self.wfile.write(body)

    def _other_json(self, body, rng):
        try:
            value = json.loads(body)
        except ValueError:
            value = {"sha": "a" * 40, "siblings": [{"rfilename": "config.json"}]}
        if rng.random() < 0.3:
            return rng.choice((b"null", b"[]", b"3", b'"x"', b"[" * 99_999, b'{"a":' * 9_999))
        return json.dumps(mutate_json(value, rng)).encode()

    def _raw(self, rng):
        """Something that is no HTTP, or no answer."""
        content = rng.choice(
            (b"", b"HTTP/9.9 what\r\n\r\n", b"HTTP/1.1 200 OK\r\nA" + b"a" * 200_000, b"\x00" * 99)
        )
        try:
            self.connection.sendall(content)
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            return


class HostileHub(HubServer):
    """A `HubServer` that spoils a share of its answers.

    Attributes:
        rng: `random.Random`, or None to spoil nothing.
        share: float. Of the answers that are spoiled.
    """

    handler = HostileHandler
    rng = None
    share = 0.0

    def begin(self, seed):
        """Draws the next answers from a seed."""
        self.rng = random.Random(seed)
        self.share = self.rng.choice((0.1, 0.3, 1.0))
