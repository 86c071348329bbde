"""The server: on the loopback address alone, behind a random word, and deaf to pages from anywhere else.

Every name that can be asked for stands in the :class:`~liverimg.viewer.site.Site`; a request never becomes a path.
"""

from __future__ import annotations

import hmac
import logging
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Final

from liverimg.core.errors import LiverimgError, UsageError
from liverimg.viewer.site import Answer, Site

_LOOPBACK: Final = "127.0.0.1"
_TOKEN_BYTES: Final = 24
# A browser asks at once; a socket that says nothing for so long is let go.
_PATIENCE_S: Final = 30
_LAST_PORT: Final = 65535
_TEXT: Final = "text/plain; charset=utf-8"

_log = logging.getLogger(__name__)


class ViewerServer(ThreadingHTTPServer):
    """Serves one site to browsers of this machine.

    A page elsewhere that guesses the port gets nothing: it lacks the word in the path; one that makes its own name
    point here (DNS rebinding) gives itself away by the Host header; and what a foreign page may send without being
    asked for leave, it sends with its own Origin.
    """

    daemon_threads = True
    allow_reuse_address = False

    def __init__(self, site: Site, port: int) -> None:
        if not 0 <= port <= _LAST_PORT:
            raise UsageError(f"--port {port}: expected a number from 0 to {_LAST_PORT}; 0 takes any free one")
        try:
            super().__init__((_LOOPBACK, port), _Handler)
        except OSError as error:
            raise UsageError(
                f"port {port} of this machine can't be listened on ({error.strerror or error}); leave --port out to "
                "take any free one"
            ) from error
        self.site = site
        self.token = secrets.token_urlsafe(_TOKEN_BYTES)
        port = int(self.server_address[1])
        self.hosts = (f"{_LOOPBACK}:{port}", f"localhost:{port}")

    @property
    def address(self) -> str:
        """Where the page is, the secret word in it."""
        return f"http://{self.hosts[0]}/{self.token}/"

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - as the standard library calls it
        """A browser that goes away in the middle is nothing to tell anyone; all else is a fault of ours."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            _log.error("a request failed", exc_info=True)


@contextmanager
def served(site: Site, port: int = 0) -> Iterator[ViewerServer]:
    """Serves the site in the background until the block ends.

    Args:
        site: What to serve.
        port: Of the loopback address; 0 takes any free one.

    Raises:
        UsageError: The port is no port, or taken.
    """
    with ViewerServer(site, port) as server:
        worker = Thread(target=server.serve_forever, name="viewer", daemon=True)
        worker.start()
        try:
            yield server
        finally:
            server.shutdown()
            worker.join()


class _Handler(BaseHTTPRequestHandler):
    server: ViewerServer
    timeout = _PATIENCE_S
    protocol_version = "HTTP/1.1"
    server_version = "liverimg"
    sys_version = ""

    def do_GET(self) -> None:
        """Gives what was asked for by name."""
        self._answer_get(with_body=True)

    def do_HEAD(self) -> None:
        """The same without its body."""
        self._answer_get(with_body=False)

    def do_PUT(self) -> None:
        """Keeps what the page sent, where the site has a place for it."""
        name = self._allowed_name()
        if name is None:
            return
        kept = self.server.site.keeps.get(name)
        if kept is None:
            self._refuse(HTTPStatus.METHOD_NOT_ALLOWED, "this can be looked at and not changed")
            return
        if self.headers.get("Origin") not in {f"http://{host}" for host in self.server.hosts}:
            self._refuse(HTTPStatus.FORBIDDEN, "only the page itself may send something")
            return
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or self.headers.get("Transfer-Encoding"):
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "its length has to be told")
            return
        if int(length) > kept.most_bytes:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {kept.most_bytes} bytes are taken")
            return
        body = self.rfile.read(int(length))
        if len(body) == int(length):
            self._made(lambda: kept.keep(body, self.headers.get("If-Match", "").strip('"')), with_body=True)

    def _answer_get(self, *, with_body: bool) -> None:
        name = self._allowed_name()
        if name is None:
            return
        make = self.server.site.gives.get(name)
        if make is None:
            self._refuse(HTTPStatus.NOT_FOUND, "there is nothing of that name")
            return
        self._made(make, with_body=with_body)

    def _allowed_name(self) -> str | None:
        """What is asked for, once it is clear that our own page asks; None after a refusal."""
        if self.headers.get("Host") not in self.server.hosts:
            self._refuse(HTTPStatus.FORBIDDEN, "this server answers to its own address alone")
            return None
        if self.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            self._refuse(HTTPStatus.FORBIDDEN, "another page may not ask")
            return None
        token, slash, name = self.path.removeprefix("/").partition("/")
        if not slash or not hmac.compare_digest(token.encode(), self.server.token.encode()):
            self._refuse(HTTPStatus.NOT_FOUND, "there is nothing of that name")
            return None
        return name

    def _made(self, make: Any, *, with_body: bool) -> None:
        try:
            answer: Answer = make()
        except LiverimgError as error:
            self._refuse(HTTPStatus.CONFLICT, str(error))
        except OSError as error:
            # The reason alone: a path is nothing that a page has to know.
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, f"it can't be read or written ({error.strerror})")
        else:
            self._send(HTTPStatus.OK, answer, with_body=with_body)

    def _refuse(self, status: HTTPStatus, sentence: str) -> None:
        # What was sent along and not read would be taken for the next request.
        self.close_connection = True
        self._send(status, Answer(f"{sentence}\n".encode(), _TEXT), with_body=self.command != "HEAD")

    def _send(self, status: HTTPStatus, answer: Answer, *, with_body: bool) -> None:
        self.send_response(status)
        headers = {
            "Content-Type": answer.kind,
            "Content-Length": str(len(answer.body)),
            "Content-Security-Policy": self.server.site.policy,
            "Cache-Control": "no-store",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            **({"ETag": f'"{answer.tag}"'} if answer.tag else {}),
            **({"Connection": "close"} if self.close_connection else {}),
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(answer.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's name
        """Keeps the word in the path out of every log."""
