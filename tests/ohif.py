"""A built OHIF on loopback, in front of an Orthanc: its files as they are, and the archive's DICOMweb beside them."""

from __future__ import annotations

import mimetypes
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

VARIABLE = "LIVERIMG_OHIF"
_ROOT = "/dicom-web"
_CONFIG = """window.config = {
  routerBasename: null, extensions: [], modes: [], customizationService: {}, showStudyList: true,
  disableConfirmationPrompts: true, investigationalUseDialog: { option: 'never' }, maxNumberOfWebWorkers: 2,
  showCPUFallbackMessage: false, strictZSpacingForVolumeViewport: true, defaultDataSourceName: 'orthanc',
  dataSources: [{
    namespace: '@ohif/extension-default.dataSourcesModule.dicomweb', sourceName: 'orthanc',
    configuration: {
      friendlyName: 'Orthanc', name: 'orthanc', imageRendering: 'wadors', thumbnailRendering: 'wadors',
      wadoUriRoot: location.origin + '/dicom-web', qidoRoot: location.origin + '/dicom-web',
      wadoRoot: location.origin + '/dicom-web', qidoSupportsIncludeField: false, enableStudyLazyLoad: true,
      supportsFuzzyMatching: false, supportsWildcard: true, bulkDataURI: { enabled: true },
      omitQuotationForMultipartRequest: true,
    },
  }],
};"""


def find_ohif() -> Path:
    """The folder ``dist`` of the npm package @ohif/app; the test is skipped without it."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        pytest.skip(f"{VARIABLE} names no built OHIF (npm pack @ohif/app, 50 MB; its folder package/dist)")
    return Path(folder)


@contextmanager
def ohif(dist: Path, archive: str) -> Iterator[str]:
    """Serves OHIF in front of the archive at that address, and gives its own address."""

    class Front(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            name = self.path.partition("?")[0]
            if name.startswith(_ROOT):
                self._send(*self._asked())
            elif name == "/app-config.js":
                self._send(200, "text/javascript", _CONFIG.encode())
            elif (dist / name.lstrip("/")).is_file():
                kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
                self._send(200, kind, (dist / name.lstrip("/")).read_bytes())
            else:
                self._send(200, "text/html", (dist / "index.html").read_bytes())

        def _asked(self) -> tuple[int, str, bytes]:
            request = urllib.request.Request(archive + self.path, headers={"Accept": self.headers.get("Accept", "*/*")})
            try:
                with urllib.request.urlopen(request, timeout=600) as answer:
                    return answer.status, answer.headers["Content-Type"], answer.read()
            except urllib.error.HTTPError as error:
                return error.code, "text/plain", error.read()

        def _send(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
            self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_said: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Front) as server:
        worker = Thread(target=server.serve_forever, daemon=True)
        worker.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            worker.join()
