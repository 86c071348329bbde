"""The server gives away what it was told to, to its own page on this machine, and to nobody else."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liverimg.core.errors import InputRefusedError, UsageError
from liverimg.files import nifti
from liverimg.stages.view import site_of
from liverimg.viewer.server import ViewerServer, served
from liverimg.workspace import Artefact, Workspace

from .conftest import CODES, FRAME, tilted_grid, with_zones

PASSWORDS = "/etc/passwd"


@pytest.fixture
def server(studied: Path) -> Iterator[ViewerServer]:
    with served(site_of(studied)) as started:
        yield started


def ask(
    server: ViewerServer, path: str, *, method: str = "GET", body: bytes | None = None, **headers: str
) -> tuple[int, bytes, dict[str, str]]:
    """What the server says to a raw request."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=60)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.putrequest(method, path, skip_host="Host" in named)
    for name, value in named.items():
        connection.putheader(name, value)
    if body is not None and "Content-Length" not in named:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    answer = connection.getresponse()
    said = answer.status, answer.read(), dict(answer.getheaders())
    connection.close()
    return said


def own(server: ViewerServer, name: str = "") -> str:
    return f"/{server.token}/{name}"


def origin(server: ViewerServer) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}"


def test_it_listens_on_the_loopback_address_alone(server: ViewerServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert server.address == f"{origin(server)}/{server.token}/"
    assert len(server.token) >= 32


def test_everything_that_the_page_names_is_there(server: ViewerServer) -> None:
    status, body, headers = ask(server, own(server))
    assert status == 200 and b"<canvas" in body
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store" and headers["X-Content-Type-Options"] == "nosniff"
    scene = json.loads(ask(server, own(server, "scene.json"))[1])
    names = [row["file"] for row in scene["series"]]
    surfaces = json.loads(ask(server, own(server, "surfaces.json"))[1])
    assert {row["key"] for row in surfaces} == {"liver", "tumour", "hepatic_vein"}
    names += [row["file"] for row in surfaces]
    for name in (
        *names,
        "labels.nii.gz",
        "viewer.js",
        "pictures.js",
        "viewer.css",
        "niivue.umd.js",
        "NIIVUE-LICENSES.txt",
    ):
        assert ask(server, own(server, name))[0] == 200, name
    assert ask(server, own(server, "surface-63.mz3"))[0] == 409


@pytest.mark.parametrize(
    "path",
    ["/", "/wrong/", "/{token}", "/{token}/../", "/{token}/..%2f..%2fetc%2fpasswd", "/{token}/../../../../etc/passwd",
     "/{token}//etc/passwd", "/{token}/study.json", "/{token}/volumes/01.nii.gz", "/{token}/?x=1",
     "/{token}/scene.json/", "/{token}/provenance/view.json", "/{token}/%2e%2e/study.json",
     "/{token}/correct.js\x00.html"],
)  # fmt: skip
def test_no_path_leads_anywhere_else(server: ViewerServer, path: str) -> None:
    connection = socket.create_connection(server.server_address[:2], timeout=60)
    asked = path.format(token=server.token)
    connection.sendall(f"GET {asked} HTTP/1.0\r\nHost: 127.0.0.1:{server.server_address[1]}\r\n\r\n".encode())
    answer = b""
    while more := connection.recv(1 << 16):
        answer += more
    connection.close()
    assert answer.split()[1] in (b"400", b"404")
    assert b"root:" not in answer


def test_another_name_for_this_machine_is_refused(server: ViewerServer) -> None:
    port = server.server_address[1]
    assert ask(server, own(server), Host=f"localhost:{port}")[0] == 200
    for host in (
        "evil.example",
        f"evil.example:{port}",
        "127.0.0.1",
        f"127.0.0.1:{port + 1}",
        f"127.0.0.1.:{port}",
        "",
    ):
        status, body, _ = ask(server, own(server), Host=host)
        assert status == 403 and server.token.encode() not in body


def test_pages_from_elsewhere_are_refused(server: ViewerServer) -> None:
    for site in ("cross-site", "same-site"):
        assert ask(server, own(server, "scene.json"), Sec_Fetch_Site=site)[0] == 403
    look = b'{"hidden": [], "opacity": 0.5, "outline": true}'
    for given in ({}, {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:1"}):
        assert ask(server, own(server, "look.json"), method="PUT", body=look, **given)[0] == 403
    assert ask(server, own(server, "look.json"), method="POST", body=look, Origin=origin(server))[0] == 501


def test_how_the_page_was_left_is_remembered_and_nothing_else_is_written(server: ViewerServer, studied: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in studied.rglob("*") if path.is_file()}
    good = {"hidden": ["liver", "no_such_layer"], "opacity": 0.25, "outline": True}
    put = {"method": "PUT", "Origin": origin(server)}
    assert ask(server, own(server, "look.json"), body=json.dumps(good).encode(), **put)[0] == 200
    scene = json.loads(ask(server, own(server, "scene.json"))[1])
    assert scene["look"] == {"hidden": ["liver"], "opacity": 0.25, "outline": True}
    for bad in (b"no", b"[]", b"{}", b'{"hidden": [1], "opacity": 0.5, "outline": true}',
                b'{"hidden": [], "opacity": 7, "outline": true}', b'{"hidden": [], "opacity": NaN, "outline": true}',
                json.dumps({**good, "more": 1}).encode()):  # fmt: skip
        assert ask(server, own(server, "look.json"), body=bad, **put)[0] == 409
    assert ask(server, own(server, "look.json"), body=b"x", Content_Length="99999999", **put)[0] == 413
    assert ask(server, own(server, "labels.nii.gz"), body=b"", **put)[0] == 405
    after = {path: path.stat().st_mtime_ns for path in studied.rglob("*") if path.is_file()}
    assert set(after) - set(before) == {studied / "provenance" / "view.json"}
    assert all(after[path] == time for path, time in before.items())


def test_a_link_out_of_the_folder_is_not_followed(studied: Path, server: ViewerServer) -> None:
    volume = studied / "volumes" / "01.nii.gz"
    volume.unlink()
    volume.symlink_to(PASSWORDS)
    status, body, _ = ask(server, own(server, "volume-1.nii.gz"))
    assert status == 409 and b"root:" not in body and b"instead of a link" in body
    with pytest.raises(InputRefusedError, match="instead of a link"):
        site_of(studied)


@pytest.mark.parametrize("name", ["../../../../etc/passwd", PASSWORDS, "volumes/../../labels.nii.gz"])
def test_a_study_that_names_a_file_elsewhere_is_refused(studied: Path, name: str) -> None:
    record = json.loads((studied / "study.json").read_text())
    record["volumes"][0]["file"] = name
    (studied / "study.json").write_text(json.dumps(record))
    with pytest.raises(InputRefusedError):
        site_of(studied)


@pytest.mark.parametrize("missing", ["study.json", "labels.nii.gz", "labels.json", "measurements.json"])
def test_a_folder_that_is_no_finished_study_is_told(studied: Path, missing: str) -> None:
    (studied / missing).unlink()
    with pytest.raises(UsageError, match=rf"no finished study \(no {missing}.*run 'liverimg pre"):
        site_of(studied)


def test_a_wrong_or_taken_port_is_told(server: ViewerServer, studied: Path) -> None:
    for port in (server.server_address[1], 99_999):
        with pytest.raises(UsageError, match="port"), served(site_of(studied), port):
            pass


def test_labels_can_be_corrected_only_where_that_was_asked_for(studied: Path) -> None:
    workspace, grid = Workspace(studied), tilted_grid(FRAME)
    labels = nifti.read_labels(studied / "labels.nii.gz", CODES, lesions={}, on=grid).array.copy()
    first = workspace.hash_of(Artefact.LABELS) or ""
    labels[3, 4, 5] = 1
    with served(site_of(studied, editable=True)) as server:
        put = {"method": "PUT", "Origin": origin(server)}
        name = own(server, "labels.nii.gz")
        assert ask(server, name)[2]["ETag"] == f'"{first}"'
        good = nifti.label_bytes(labels, grid)
        assert ask(server, name, body=good, If_Match='"older"', **put)[0] == 409
        nameless = labels.copy()
        nameless[0, 0, 0] = 77
        status, body, _ = ask(server, name, body=nifti.label_bytes(nameless, grid), If_Match=f'"{first}"', **put)
        assert status == 409 and b"value 77 has no name" in body
        elsewhere = nifti.label_bytes(labels, tilted_grid(FRAME, (22, 60, 68)))
        for bad in (elsewhere, labels[:5].tobytes(), b"\x1f\x8b damaged", b""):
            assert ask(server, name, body=bad, If_Match=f'"{first}"', **put)[0] in (409, 413)
        assert workspace.hash_of(Artefact.LABELS) == first
        said = json.loads(ask(server, name, body=good, If_Match=f'"{first}"', **put)[1])
        assert said == {"changed": 1, "tag": workspace.hash_of(Artefact.LABELS)}
        scene = json.loads(ask(server, own(server, "scene.json"))[1])
    kept = nifti.read_labels(studied / "labels.nii.gz", CODES, lesions={}, on=grid).array
    assert np.array_equal(kept, labels)
    assert any("changed after they were measured" in notice for notice in scene["notices"])
    assert not list(studied.glob(".draft*"))


def test_a_run_at_work_keeps_its_labels(studied: Path) -> None:
    with served(site_of(studied, editable=True)) as server, Workspace(studied).locked():
        put = {"method": "PUT", "Origin": origin(server), "If_Match": "x"}
        status, body, _ = ask(server, own(server, "labels.nii.gz"), body=b"x", **put)
    assert status == 409 and b"another run is at work" in body


def test_zones_and_foci_of_a_study_after_ablation(studied: Path) -> None:
    with_zones(studied)
    with served(site_of(studied)) as server:
        scene: dict[str, Any] = json.loads(ask(server, own(server, "scene.json"))[1])
        assert ask(server, own(server, "zones.nii.gz"))[0] == 200
        surfaces = json.loads(ask(server, own(server, "surfaces.json"))[1])
    assert scene["has_zones"] and scene["kind"] == "After ablation"
    zones = {row["key"]: row["value"] for row in scene["layers"] if row["layer"] == "zones"}
    assert zones == {"zone:Z1": 1, "focus:R1": 101}
    assert [(p["kind"], p["id"]) for p in scene["places"]] == [("lesion", "L1"), ("zone", "Z1"), ("focus", "R1")]
    assert {"zone:Z1", "focus:R1"} <= {row["key"] for row in surfaces}


def test_a_folder_that_cannot_be_written_is_still_shown(studied: Path) -> None:
    (studied / "provenance").rmdir()
    (studied / "provenance").write_text("in the way")
    with served(site_of(studied)) as server:
        look = b'{"hidden": [], "opacity": 0.5, "outline": true}'
        status, body, _ = ask(server, own(server, "look.json"), method="PUT", body=look, Origin=origin(server))
        assert status == 500 and str(studied).encode() not in body
        assert ask(server, own(server, "scene.json"))[0] == 200
