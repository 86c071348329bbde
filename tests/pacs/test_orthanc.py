"""The same against a real archive: Orthanc from Debian's packages, on loopback."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import JPEG2000Lossless, RLELossless
from tests.pacs.conftest import ROOT, Archive, Papers, instance, running_orthanc, tls_front, write_study

from liverimg.core.errors import PeerError
from liverimg.pacs import dimse, web
from liverimg.pacs.config import read_config
from liverimg.pacs.door import Door, House
from liverimg.pacs.intake import SpoolReceiver
from liverimg.pacs.parcel import Fate, parcel
from liverimg.pacs.peer import Peer, server_context
from liverimg.pacs.pull import OwnDoor, pull
from liverimg.pacs.push import push
from liverimg.pacs.query import Level, Query
from liverimg.pacs.spool import Spool
from liverimg.pacs.wanted import Wanted
from liverimg.pipeline.listening import Worker
from liverimg.pipeline.waiting import Stop

pytestmark = pytest.mark.server


def by_uid(folder: Path) -> dict[str, pydicom.Dataset]:
    found = (pydicom.dcmread(p) for p in folder.rglob("*") if p.is_file())
    return {ds.SOPInstanceUID: ds for ds in found}


def pushed(archive: Archive, folder: Path, *, by_web: bool = False) -> list:
    send = web.push if by_web else push
    return send(archive.web if by_web else archive.dimse, parcel(folder).ready, folder=folder)


def fetched(archive: Archive, way: str, out: Path, study: str = f"{ROOT}.1") -> int:
    if way == "wado":
        return web.pull(archive.web, Wanted(study), out)
    door = OwnDoor("127.0.0.1", archive.move_port) if way == "move" else None
    return pull(archive.dimse, Wanted(study), out, door=door)


def test_it_answers(orthanc: Archive) -> None:
    dimse.echo(orthanc.dimse)
    web.echo(orthanc.web)


@pytest.mark.parametrize("way", ["get", "move", "wado"])
@pytest.mark.parametrize("by_web", [False, True])
def test_a_study_comes_back_as_it_went(orthanc: Archive, study: Path, tmp_path: Path, way: str, by_web: bool) -> None:
    assert {v.fate for v in pushed(orthanc, study, by_web=by_web)} == {Fate.STORED}
    assert fetched(orthanc, way, tmp_path / "back") == 8
    sent, back = by_uid(study), by_uid(tmp_path / "back")
    assert sent.keys() == back.keys()
    for uid, original in sent.items():
        assert back[uid].PixelData == original.PixelData
        assert back[uid] == original


@pytest.mark.parametrize("way", ["get", "move", "wado"])
@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_compressed_objects_stay_as_they_are(orthanc: Archive, tmp_path: Path, way: str, syntax: str) -> None:
    (tmp_path / "s").mkdir()
    original = instance(side_px=64)
    pixels = original.pixel_array.copy()
    original.compress(syntax)
    original.SOPInstanceUID = instance().SOPInstanceUID
    original.save_as(tmp_path / "s" / "a.dcm", enforce_file_format=True)
    assert [v.fate for v in pushed(orthanc, tmp_path / "s")] == [Fate.STORED]
    fetched(orthanc, way, tmp_path / "back")
    (back,) = by_uid(tmp_path / "back").values()
    assert back.file_meta.TransferSyntaxUID == syntax
    assert back.PixelData == original.PixelData
    assert np.array_equal(back.pixel_array, pixels)


@pytest.mark.parametrize(
    ("keys", "count"),
    [
        ({}, 2),
        ({"PatientID": "PHANTOM-4711"}, 2),
        ({"PatientID": "PHANTOM*"}, 2),
        ({"PatientID": "PHANTOM-471?"}, 2),
        ({"PatientID": "SOMEBODY"}, 0),
        ({"PatientName": "PHANTOM*"}, 2),
        ({"StudyDate": "20260101-20260131"}, 2),
        ({"StudyDate": "20260103-"}, 0),
        ({"ModalitiesInStudy": "CT"}, 2),
        ({"ModalitiesInStudy": "MR"}, 0),
        ({"StudyInstanceUID": f"{ROOT}.2"}, 1),
        ({"AccessionNumber": "ACC1"}, 2),
    ],
)
@pytest.mark.parametrize("by_web", [False, True])
def test_questions(orthanc: Archive, tmp_path: Path, keys: dict, count: int, by_web: bool) -> None:
    pushed(orthanc, write_study(tmp_path / "1", slices=2))
    pushed(orthanc, write_study(tmp_path / "2", study=2, slices=1))
    find = web.find if by_web else dimse.find
    peer = orthanc.web if by_web else orthanc.dimse
    assert len(find(peer, Query(Level.STUDY, keys))) == count


def test_both_ways_of_asking_say_the_same(orthanc: Archive, study: Path) -> None:
    pushed(orthanc, study)
    uid = f"{ROOT}.1"
    for query in (
        Query(Level.SERIES, {"StudyInstanceUID": uid}),
        Query(Level.SERIES, {"StudyInstanceUID": uid, "SeriesInstanceUID": f"{uid}.2"}),
        Query(Level.IMAGE, {"StudyInstanceUID": uid, "SeriesInstanceUID": f"{uid}.1"}),
    ):
        asked = [sorted(map(repr, find(peer, query))) for find, peer in (
            (dimse.find, orthanc.dimse), (web.find, orthanc.web))]  # fmt: skip
        assert asked[0] == asked[1]
        assert asked[0]


def test_it_refuses_strangers(orthanc: Archive) -> None:
    with pytest.raises(PeerError):
        dimse.echo(replace(orthanc.dimse, own_title="EVE"))
    with pytest.raises(PeerError):
        dimse.echo(replace(orthanc.dimse, ae_title="OTHER"))


@pytest.mark.parametrize("by_web", [False, True])
def test_an_object_that_it_cannot_keep_is_reported(orthanc: Archive, study: Path, by_web: bool) -> None:
    spoilt = pydicom.dcmread(study / "1-2.dcm")
    del spoilt.PatientID, spoilt.StudyInstanceUID
    spoilt.StudyInstanceUID = f"{ROOT}.1"
    spoilt.save_as(study / "1-2.dcm")
    verdicts = pushed(orthanc, study, by_web=by_web)
    assert len(verdicts) == 8
    stored = {v.sop_instance for v in verdicts if v.fate is Fate.STORED}
    assert {i["MainDicomTags"]["SOPInstanceUID"] for i in orthanc.rest("/instances?expand")} == stored


def test_a_wrong_url_is_one_sentence(orthanc: Archive) -> None:
    for url in (orthanc.web.url + "x", orthanc.web.url.replace("/dicom-web", "")):
        with pytest.raises(PeerError, match=r"status 40[04].*check the URL|no DICOMweb"):
            web.find(replace(orthanc.web, url=url), Query())


def fails(action: Callable, peer: Peer) -> None:
    with pytest.raises(PeerError):
        action(replace(peer, settings=replace(peer.settings, attempts=1, answer_s=5.0)))


def test_dimse_over_tls_both_ways(papers: Papers, tmp_path: Path, study: Path) -> None:
    settings = {
        "DicomTlsEnabled": True,
        "DicomTlsCertificate": str(papers.server),
        "DicomTlsPrivateKey": str(papers.server_key),
        "DicomTlsTrustedCertificates": str(papers.ca),
    }
    with running_orthanc(tmp_path / "orthanc", **settings) as archive:
        peer = replace(archive.dimse, tls=papers.client_tls)
        dimse.echo(peer)
        assert {v.fate for v in push(peer, parcel(study).ready, folder=study)} == {Fate.STORED}
        # C-MOVE: the archive calls us back, encrypted, and shows its certificate.
        door = OwnDoor("127.0.0.1", archive.move_port, papers.server_tls)
        assert pull(peer, Wanted(f"{ROOT}.1"), tmp_path / "move", door=door) == 8
        fails(dimse.echo, replace(peer, tls=None))
        fails(dimse.echo, replace(peer, tls=replace(papers.client_tls, ca=papers.stranger_ca)))
        stranger = replace(papers.client_tls, certificate=papers.stranger, key=papers.stranger_key)
        fails(dimse.echo, replace(peer, tls=stranger))


def test_dicomweb_over_tls_both_ways(orthanc: Archive, papers: Papers, tmp_path: Path, study: Path) -> None:
    (tmp_path / "token").write_text("Bearer abc\n")
    with tls_front(int(orthanc.web.url.split(":")[2].split("/")[0]), server_context(papers.server_tls)) as port:
        url = f"https://127.0.0.1:{port}/dicom-web"
        peer = replace(orthanc.web, url=url, tls=papers.client_tls, authorization=tmp_path / "token")
        web.echo(peer)
        assert {v.fate for v in web.push(peer, parcel(study).ready, folder=study)} == {Fate.STORED}
        assert web.pull(peer, Wanted(f"{ROOT}.1"), tmp_path / "wado") == 8
        fails(web.echo, replace(peer, tls=replace(papers.client_tls, certificate=None, key=None)))
        fails(web.echo, replace(peer, tls=replace(papers.client_tls, ca=papers.stranger_ca)))
        fails(web.echo, replace(peer, tls=None))


class Fake(Worker):
    """A worker whose run makes two results."""

    def _child(self, key: str, study: Path, held: int) -> int | None:
        (study.parent / "log.txt").touch()
        folder = write_study(self._config.out / key / "dicom", slices=2)
        for path in folder.iterdir():
            made = pydicom.dcmread(path)
            made.SeriesInstanceUID, made.SOPInstanceUID = f"{ROOT}.1.50", f"{ROOT}.1.50.{made.InstanceNumber}"
            made.save_as(path)
        return 0


def test_from_the_archive_to_the_listener_and_back(tmp_path: Path, study: Path, orthanc: Archive) -> None:
    """The archive sends a study, gets the results, and forwards those once more."""
    (tmp_path / "listen.toml").write_text(
        'spool = "spool"\nout = "out"\nrecipe = "pre_ablation"\npeers = { ORTHANC = ["127.0.0.1"] }\n'
        "settings = { quiet_s = 0 }\nquota = { floor_mib = 1 }\n"
        f'[push]\nhost = "127.0.0.1"\nport = {orthanc.dimse.port}\nae_title = "ORTHANC"\n'
    )
    config = read_config(tmp_path / "listen.toml")
    pushed(orthanc, study)
    spool = Spool(config.spool, quota=config.quota)
    house = House("LIVERIMG", "127.0.0.1", orthanc.move_port, config.peers)
    work = Fake(config, spool, Stop())

    def forward() -> None:
        (uid,) = orthanc.rest("/studies")
        answer = orthanc.rest("/modalities/us/store", method="POST", body=json.dumps([uid]).encode())
        assert answer["FailedInstancesCount"] == 0

    with Door(house, SpoolReceiver(spool)):
        forward()
        (key,) = spool.studies()
        assert spool.count(key) == 8
        work.step()
        assert len(orthanc.rest("/instances")) == 10
        assert set(spool.state(key).sent) == set(spool.state(key).results)
        forward()
        work.step()
        assert spool.count(key) == 8
        assert spool.state(key).starts == 1
    spool.close()


def test_the_commands(orthanc: Archive, study: Path, tmp_path: Path, liverimg: Callable) -> None:
    line = f"ORTHANC@127.0.0.1:{orthanc.dimse.port}"
    for peer, back in ((line, "a"), (orthanc.web.url, "b")):
        assert liverimg("pacs", "echo", peer).code == 0
        said = liverimg("pacs", "push", peer, study, "--json")
        assert said.code == 0
        assert {s["fate"] for s in json.loads(said.out)["sent"]} == {"stored"}
        said = liverimg("pacs", "find", peer, "--patient-id", "PHANTOM*")
        assert f"{ROOT}.1" in said.out
        said = liverimg("pacs", "find", peer, "--json")
        (match,) = json.loads(said.out)["matches"]
        said = liverimg("pacs", "pull", peer, match["study_instance_uid"], "--out", tmp_path / back)
        assert "8 objects" in said.out
        assert len(by_uid(tmp_path / back)) == 8
        orthanc.clear()
