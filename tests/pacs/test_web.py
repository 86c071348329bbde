"""DICOMweb against servers that misbehave; a real one is in test_orthanc."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.pacs.conftest import ROOT, instance, quick

from liverimg.core.errors import PeerError
from liverimg.pacs import web
from liverimg.pacs.parcel import Fate, parcel
from liverimg.pacs.peer import Peer
from liverimg.pacs.query import Level, Query
from liverimg.pacs.wanted import Wanted

Answer = tuple[int, dict[str, str], bytes]


@contextmanager
def serving(answer: Callable[[str, str, int], Answer], **settings: object) -> Iterator[tuple[Peer, list[str]]]:
    """A server whose answers are a function of method, path and number of the request."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked.append(f"{self.command} {self.path}")
            status, headers, body = answer(self.command, self.path, len(asked))
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = _answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield quick(Peer(url=f"http://127.0.0.1:{server.server_address[1]}/dicom-web"), **settings), asked
    finally:
        server.shutdown()
        server.server_close()


def found(*answers: dict, status: int = 200) -> Answer:
    return status, {"Content-Type": "application/dicom+json"}, json.dumps(answers).encode()


MATCH = {"0020000D": {"vr": "UI", "Value": ["1.2.3"]}, "00100010": {"vr": "PN", "Value": [{"Alphabetic": "A^B"}]}}


def test_wildcards_go_out_as_they_are() -> None:
    with serving(lambda *_: found(MATCH)) as (peer, asked):
        (row,) = web.find(peer, Query(Level.STUDY, {"PatientID": "A*?", "PatientName": "x&y=%"}))
    assert row["patient_name"] == "A^B"
    assert "PatientID=A*?" in asked[0]
    assert "PatientName=x%26y%3D%25" in asked[0]


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_service_is_asked_again(status: int) -> None:
    with serving(lambda _m, _p, n: found(MATCH) if n == 3 else (status, {}, b"")) as (peer, asked):
        assert len(web.find(peer, Query())) == 1
    assert len(asked) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500])
def test_a_refusal_is_not(status: int) -> None:
    with serving(lambda *_: (status, {}, b"")) as (peer, asked), pytest.raises(PeerError, match=str(status)):
        web.find(peer, Query())
    assert len(asked) == 1


@pytest.mark.parametrize(
    "answer",
    [
        (200, {"Content-Type": "text/html"}, b"<html>login</html>"),
        (200, {"Content-Type": "application/dicom+json"}, b"{"),
        (200, {"Content-Type": "application/dicom+json"}, b'[{"0020000D": 5}]'),
        (200, {"Content-Type": "application/dicom+json"}, b'{"a": 1}'),
    ],
)
def test_nonsense_is_one_sentence(answer: Answer) -> None:
    with serving(lambda *_: answer, attempts=1) as (peer, _), pytest.raises(PeerError):
        web.find(peer, Query())


def test_nobody_is_sent_elsewhere() -> None:
    with (
        serving(lambda *_: found(MATCH)) as (other, elsewhere),
        serving(lambda *_: (307, {"Location": f"{other.url}/studies"}, b"")) as (peer, _asked),
        pytest.raises(PeerError, match="sends us elsewhere"),
    ):
        web.find(peer, Query())
    assert not elsewhere


def listing(path: str) -> Answer:
    if path.partition("?")[0].endswith("/instances"):
        return found(*({"00080018": {"vr": "UI", "Value": [f"{ROOT}.1.1.{n}"]}} for n in (1, 2)))
    return found({"0020000E": {"vr": "UI", "Value": [f"{ROOT}.1.1"]}})


def multipart(*parts: bytes) -> Answer:
    body = b"".join(b"--x\r\nContent-Type: application/dicom\r\n\r\n" + part + b"\r\n" for part in parts) + b"--x--"
    return 200, {"Content-Type": 'multipart/related; type="application/dicom"; boundary=x'}, body


def file_of(tmp_path: Path, **change: int) -> bytes:
    instance(**change).save_as(tmp_path / "one.dcm", enforce_file_format=True)
    return (tmp_path / "one.dcm").read_bytes()


@pytest.mark.parametrize("second", [b"", b"junk", b"DICM" * 40, {"study": 2, "number": 2}, {"number": 3}])
def test_half_a_study_is_no_study(tmp_path: Path, second: bytes | dict) -> None:
    bad = file_of(tmp_path, **second) if isinstance(second, dict) else second
    parts = [file_of(tmp_path, number=1), *([bad] if bad else [])]

    def answer(_method: str, path: str, _n: int) -> Answer:
        return listing(path) if "?" in path else multipart(*parts)

    (tmp_path / "to").mkdir()
    with serving(answer, attempts=1) as (peer, _), pytest.raises(PeerError):
        web.pull(peer, Wanted(f"{ROOT}.1"), tmp_path / "to" / "out")
    assert not list((tmp_path / "to").iterdir())


def test_a_whole_study_is_kept(tmp_path: Path) -> None:
    parts = [file_of(tmp_path, number=n) for n in (1, 2)]

    def answer(_method: str, path: str, _n: int) -> Answer:
        return listing(path) if "?" in path else multipart(*parts)

    with serving(answer) as (peer, _):
        assert web.pull(peer, Wanted(f"{ROOT}.1"), tmp_path / "out") == 2
    assert sorted(p.read_bytes() for p in (tmp_path / "out").rglob("*.dcm")) == sorted(parts)


def stow(*, stored: tuple[int, ...] = (), failed: dict[int, int] | None = None, status: int = 200) -> Answer:
    def item(n: int, **more: object) -> dict:
        return {"00081155": {"vr": "UI", "Value": [f"{ROOT}.1.1.{n}"]}, **more}

    record = {"00081199": {"vr": "SQ", "Value": [item(n) for n in stored]}}
    if failed:
        reasons = [item(n, **{"00081197": {"vr": "US", "Value": [code]}}) for n, code in failed.items()]
        record["00081198"] = {"vr": "SQ", "Value": reasons}
    return status, {"Content-Type": "application/dicom+json"}, json.dumps(record).encode()


def test_stow_is_reported_for_each_object(study: Path) -> None:
    ready = [r for r in parcel(study).ready if r.path.name.startswith("1-")]

    def answer(_method: str, _path: str, n: int) -> Answer:
        return stow(stored=(1,), failed={2: 0xA900, 3: 0xA700}, status=202) if n == 1 else stow(stored=(3,))

    with serving(answer) as (peer, asked):
        verdicts = web.push(peer, ready, folder=study)
    # The first is stored, the second refused, the third had no room and was sent again, of the fourth nobody spoke.
    assert [v.fate for v in verdicts] == [Fate.STORED, Fate.REFUSED, Fate.STORED, Fate.REFUSED]
    assert verdicts[1].words == "A900H"
    assert len(asked) == 2


def test_a_batch_that_is_refused_is_sent_one_by_one(study: Path) -> None:
    ready = [r for r in parcel(study).ready if r.path.name.startswith("1-")]

    def answer(_method: str, _path: str, n: int) -> Answer:
        return {1: (409, {}, b""), 3: (409, {}, b"")}.get(n) or stow(stored=(1, 2, 3, 4))

    with serving(answer) as (peer, _):
        fates = [v.fate for v in web.push(peer, ready, folder=study)]
    assert fates == [Fate.STORED, Fate.REFUSED, Fate.STORED, Fate.STORED]


def test_a_service_that_is_away_is_said_for_each_object(study: Path) -> None:
    with serving(lambda *_: (503, {}, b""), attempts=2) as (peer, asked):
        verdicts = web.push(peer, parcel(study).ready, folder=study)
    assert {v.fate for v in verdicts} == {Fate.NOT_SENT}
    assert len(asked) == 2
