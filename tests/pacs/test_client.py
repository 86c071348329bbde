"""Asking, fetching and sending, against an archive made of pynetdicom."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import UID, JPEG2000Lossless, RLELossless
from tests.pacs.archive import Shelf, archive
from tests.pacs.conftest import free_port, instance, quick, write_study

from liverimg.core.errors import InputRefusedError, PeerError, UsageError, WorkspaceError
from liverimg.pacs import dimse
from liverimg.pacs.parcel import Fate, parcel
from liverimg.pacs.peer import Peer, parse_peer
from liverimg.pacs.pull import OwnDoor, pull
from liverimg.pacs.push import push
from liverimg.pacs.query import Level, Query
from liverimg.pacs.retry import PassingError, tried, waits_s
from liverimg.pacs.settings import client_settings
from liverimg.pacs.wanted import Wanted

STUDY = instance().StudyInstanceUID


def shelf_of(series: int = 2, slices: int = 3) -> Shelf:
    return Shelf([instance(1, s, n) for s in range(1, series + 1) for n in range(1, slices + 1)])


def files_below(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file())


# ---- echo and find ----


def test_echo(study: Path) -> None:
    with archive(Shelf()) as peer:
        dimse.echo(peer)


def test_nobody_there_is_one_sentence_after_all_attempts() -> None:
    peer = quick(Peer(host="127.0.0.1", port=free_port(), ae_title="ARCHIVE"), attempts=3)
    with pytest.raises(PeerError, match=r"can't be reached.*tried 3 times"):
        dimse.echo(peer)


def test_an_unknown_host_is_one_sentence() -> None:
    with pytest.raises(PeerError, match="can't be"):
        dimse.echo(quick(Peer(host="archive.invalid", port=104, ae_title="ARCHIVE"), attempts=1))


def test_a_rejection_is_not_tried_again() -> None:
    with archive(Shelf(), reject=True) as peer, pytest.raises(PeerError, match="rejects") as error:
        dimse.echo(peer)
    assert "tried" not in str(error.value)


def test_find_asks_at_each_level() -> None:
    with archive(shelf_of()) as peer:
        (study,) = dimse.find(peer, Query(Level.STUDY, {"PatientID": "PHANTOM-4711"}))
        assert study["study_instance_uid"] == STUDY
        assert study["patient_name"] == "PHANTOM^SECRET"
        series = dimse.find(peer, Query(Level.SERIES, {"StudyInstanceUID": STUDY}))
        assert [s["series_number"] for s in series] == ["1", "2"]
        uid = series[0]["series_instance_uid"]
        images = dimse.find(peer, Query(Level.IMAGE, {"StudyInstanceUID": STUDY, "SeriesInstanceUID": uid}))
        assert len(images) == 3


@pytest.mark.parametrize(
    ("level", "keys"),
    [
        (Level.SERIES, {}),
        (Level.IMAGE, {"StudyInstanceUID": "1.2"}),
        (Level.SERIES, {"StudyInstanceUID": "1.2", "PatientName": "A"}),
        (Level.STUDY, {"SeriesInstanceUID": "1.2"}),
        (Level.SERIES, {"StudyInstanceUID": "../1.2"}),
    ],
)
def test_questions_that_no_archive_would_answer(level: Level, keys: dict) -> None:
    with pytest.raises(UsageError):
        Query(level, keys)


def test_an_archive_that_is_busy_is_asked_again() -> None:
    shelf = shelf_of()
    shelf.find_status = lambda n: 0xA700 if n < 3 else 0x0000
    with archive(shelf) as peer:
        assert len(dimse.find(peer, Query())) == 1
    assert shelf.calls == ["find"] * 3


def test_an_archive_that_refuses_is_not() -> None:
    shelf = shelf_of()
    shelf.find_status = lambda _n: 0xC001
    with archive(shelf) as peer, pytest.raises(PeerError, match="C001H"):
        dimse.find(peer, Query())
    assert shelf.calls == ["find"]


def test_answers_are_bounded() -> None:
    with archive(Shelf([instance(n) for n in range(1, 9)]), most_matches=5) as peer:
        assert len(dimse.find(peer, Query())) == 5


# ---- pull ----


@pytest.mark.parametrize("by_move", [False, True])
def test_pull_brings_every_object(tmp_path: Path, by_move: bool) -> None:
    shelf, port = shelf_of(), free_port()
    shelf.move_to = {"LIVERIMG": ("127.0.0.1", port)}
    with archive(shelf) as peer:
        count = pull(peer, Wanted(STUDY), tmp_path / "out", door=OwnDoor("127.0.0.1", port) if by_move else None)
    files = files_below(tmp_path / "out")
    assert count == len(files) == 6
    by_uid = {ds.SOPInstanceUID: ds for ds in shelf.objects}
    for path in files:
        kept = pydicom.dcmread(path)
        assert kept.PixelData == by_uid[kept.SOPInstanceUID].PixelData
        assert path.relative_to(tmp_path / "out").as_posix() == f"{kept.SeriesInstanceUID}/{kept.SOPInstanceUID}.dcm"
    assert shelf.calls[-1] == ("move" if by_move else "get")
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_pull_takes_one_series(tmp_path: Path) -> None:
    wanted = Wanted(STUDY, (instance(1, 2).SeriesInstanceUID,))
    with archive(shelf_of()) as peer:
        assert pull(peer, wanted, tmp_path / "out") == 3


def test_half_a_study_is_no_study(tmp_path: Path) -> None:
    shelf = shelf_of()
    shelf.leave_out = {shelf.objects[2].SOPInstanceUID}
    with archive(shelf, attempts=2) as peer, pytest.raises(PeerError, match=r"5 of 6 objects.*tried 2 times"):
        pull(peer, Wanted(STUDY), tmp_path / "out")
    assert not list(tmp_path.iterdir())
    assert shelf.calls.count("get") == 2


def test_an_unknown_study_is_one_sentence(tmp_path: Path) -> None:
    with archive(shelf_of()) as peer, pytest.raises(PeerError, match="lists no objects"):
        pull(peer, Wanted("1.2.3"), tmp_path / "out")


def test_pull_does_not_touch_a_folder_that_holds_something(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("x")
    with archive(shelf_of()) as peer, pytest.raises(WorkspaceError, match="not empty"):
        pull(peer, Wanted(STUDY), tmp_path / "out")
    assert (tmp_path / "out" / "mine").read_text() == "x"


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
@pytest.mark.parametrize("keyword", ["SeriesInstanceUID", "SOPInstanceUID"])
def test_hostile_uids_become_no_paths(tmp_path: Path, keyword: str) -> None:
    shelf = shelf_of(series=1, slices=2)
    setattr(shelf.objects[1], keyword, UID("../../evil", validation_mode=0))
    with archive(shelf, attempts=1) as peer, pytest.raises(PeerError):
        pull(peer, Wanted(STUDY), tmp_path / "deep" / "out")
    assert not files_below(tmp_path)


def test_objects_of_another_study_are_not_kept(tmp_path: Path) -> None:
    shelf = shelf_of(series=1, slices=2)
    listed, sent = shelf.objects[1], instance(2, 1, 2)
    sent.SOPInstanceUID = sent.file_meta.MediaStorageSOPInstanceUID = listed.SOPInstanceUID
    original = shelf.matching
    shelf.matching = lambda asked, level: [  # type: ignore[method-assign]
        sent if ds is listed and level == "IMAGE" and asked.get("QueryRetrieveLevel") == "STUDY" else ds
        for ds in original(asked, level)
    ]
    with archive(shelf, attempts=1) as peer, pytest.raises(PeerError):
        pull(peer, Wanted(STUDY), tmp_path / "out")
    assert not files_below(tmp_path)


def test_what_nobody_asked_for_is_not_kept(tmp_path: Path) -> None:
    shelf, port = shelf_of(series=1, slices=3), free_port()
    shelf.move_to = {"LIVERIMG": ("127.0.0.1", port)}
    extra = instance(1, 1, 99)
    original = shelf.matching
    shelf.matching = lambda asked, level: [  # type: ignore[method-assign]
        *original(asked, level),
        *([extra] if level == "IMAGE" and asked.get("QueryRetrieveLevel") == "STUDY" else []),
    ]
    with archive(shelf) as peer:
        assert pull(peer, Wanted(STUDY), tmp_path / "out", door=OwnDoor("127.0.0.1", port)) == 3
    assert extra.SOPInstanceUID not in {p.stem for p in files_below(tmp_path)}


def test_a_destination_that_the_archive_does_not_know(tmp_path: Path) -> None:
    with archive(shelf_of()) as peer, pytest.raises(UsageError, match="AE title LIVERIMG"):
        pull(peer, Wanted(STUDY), tmp_path / "out", door=OwnDoor("127.0.0.1", free_port()))


@pytest.mark.parametrize("uid", ["", "..", "1..2", "1.2/3", "1.2\n", "a", "1" * 65])
def test_only_uids_are_fetched(uid: str) -> None:
    with pytest.raises(UsageError):
        Wanted(uid)


# ---- push ----


def test_push_reports_each_object(study: Path) -> None:
    (study / "notes.txt").write_text("no DICOM")
    shelf = Shelf(store=lambda n: {2: 0xC123, 4: 0xB007}.get(n, 0))
    found = parcel(study)
    assert found.left_out == ("notes.txt",)
    with archive(shelf) as peer:
        verdicts = push(peer, found.ready, folder=study)
    fates = [v.fate for v in verdicts]
    assert fates == [Fate.STORED, Fate.REFUSED, Fate.STORED, Fate.STORED_WITH_WARNING, *[Fate.STORED] * 4]
    assert verdicts[1].words.startswith("C123H")
    assert verdicts[0].file == "1-1.dcm"
    assert len(shelf.received) == 7


def test_objects_go_out_as_they_lie_on_the_disk(study: Path) -> None:
    shelf = Shelf()
    with archive(shelf) as peer:
        push(peer, parcel(study).ready, folder=study)
    for kept in shelf.received:
        (original,) = (d for d in map(pydicom.dcmread, study.iterdir()) if d.SOPInstanceUID == kept.SOPInstanceUID)
        assert kept == original
        assert kept.PixelData == original.PixelData


def test_a_head_that_names_another_object_is_put_right(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "s", slices=1)
    changed = pydicom.dcmread(folder / "1-1.dcm")
    changed.SOPInstanceUID = "1.2.3"  # and not the head
    changed.save_as(folder / "1-1.dcm")
    shelf = Shelf()
    with archive(shelf) as peer:
        (verdict,) = push(peer, parcel(folder).ready, folder=folder)
    assert (verdict.fate, verdict.sop_instance) == (Fate.STORED, "1.2.3")
    assert shelf.commands == ["1.2.3"]


def test_a_lost_line_is_taken_up_again(study: Path) -> None:
    shelf = Shelf(drop=2)
    with archive(shelf) as peer:
        verdicts = push(peer, parcel(study).ready, folder=study)
    assert {v.fate for v in verdicts} == {Fate.STORED}
    assert len({d.SOPInstanceUID for d in shelf.received}) == 8


def test_no_room_is_tried_again_and_then_said(study: Path) -> None:
    shelf = Shelf(store=lambda n: 0xA700 if n <= 3 else 0)
    with archive(shelf) as peer:
        assert {v.fate for v in push(peer, parcel(study).ready, folder=study)} == {Fate.STORED}
    full = Shelf(store=lambda _n: 0xA700)
    with archive(full, attempts=2) as peer:
        verdicts = push(peer, parcel(study).ready, folder=study)
    assert {(v.fate, v.words) for v in verdicts} == {(Fate.NOT_SENT, "A700H")}
    assert full.stores == 16


def test_nobody_there_is_said_for_each_object(study: Path) -> None:
    peer = quick(Peer(host="127.0.0.1", port=free_port(), ae_title="ARCHIVE"), attempts=2)
    verdicts = push(peer, parcel(study).ready, folder=study)
    assert {v.fate for v in verdicts} == {Fate.NOT_SENT}
    assert all("can't be reached" in v.words for v in verdicts)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_compressed_objects_stay_compressed(tmp_path: Path, syntax: UID) -> None:
    (tmp_path / "s").mkdir()
    packed = instance(side_px=32)
    packed.compress(RLELossless)
    packed.file_meta.TransferSyntaxUID = syntax  # nobody unpacks it on the way
    packed.save_as(tmp_path / "s" / "a.dcm", enforce_file_format=True)
    shelf = Shelf()
    with archive(shelf) as peer:
        (verdict,) = push(peer, parcel(tmp_path / "s").ready, folder=tmp_path / "s")
    # The archive of the test takes uncompressed only: said, not silently converted.
    assert verdict.fate is Fate.REFUSED
    assert "transfer syntax" in verdict.words
    assert not shelf.received


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    inside = write_study(tmp_path / "in", slices=1)
    outside = write_study(tmp_path / "out", study=2, slices=1)
    (inside / "link.dcm").symlink_to(outside / "1-1.dcm")
    found = parcel(inside)
    assert [r.path.name for r in found.ready] == ["1-1.dcm"]
    assert found.left_out == ("link.dcm",)


def test_nothing_to_send_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(InputRefusedError, match="no DICOM"):
        parcel(tmp_path)
    with pytest.raises(UsageError, match="does not exist"):
        parcel(tmp_path / "nowhere")


# ---- peers, waits, logs ----


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("PACS@10.0.0.1:104", ("PACS", "10.0.0.1", 104)),
        ("MY PACS@pacs.example:11112", ("MY PACS", "pacs.example", 11112)),
        ("PACS@[::1]:104", ("PACS", "::1", 104)),
    ],
)
def test_peers_are_written_in_one_word(text: str, parts: tuple) -> None:
    peer = parse_peer(text)
    assert (peer.ae_title, peer.host, peer.port) == parts


@pytest.mark.parametrize(
    "text",
    ["", "pacs", "PACS@host", "@host:104", "PACS@host:0", "PACS@host:70000", "PACS@host:1o4", "SEVENTEEN-LETTERS@h:1",
     "BACK\\SLASH@h:1", "http://", "http://user:secret@h/x", "http://h:port/", "ftp://h"],
)  # fmt: skip
def test_other_words_are_no_peers(text: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_peer(text)
    assert "secret" not in str(error.value)


def test_waits_grow_and_are_bounded() -> None:
    settings = replace(client_settings(), attempts=8, first_wait_s=1.0, longest_wait_s=10.0)
    for wait_s, bound_s in zip(waits_s(settings), (1, 2, 4, 8, 10, 10, 10), strict=True):
        assert bound_s / 2 <= wait_s <= bound_s


def test_what_fails_for_good_is_not_tried_again() -> None:
    def done_at(n: int) -> tuple[Callable[[], bool], list[int]]:
        calls: list[int] = []

        def action() -> bool:
            calls.append(1)
            if len(calls) < n:
                raise PassingError("busy")
            return True

        return action, calls

    settings, slept = replace(client_settings(), attempts=4), []
    action, calls = done_at(3)
    assert tried(action, settings, sleep=slept.append) == ""
    assert (len(calls), len(slept)) == (3, 2)
    action, calls = done_at(9)
    assert tried(action, settings, sleep=slept.append) == "busy"
    assert len(calls) == 4


def test_no_library_logs_a_patient(study: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with archive(shelf_of()) as peer:
        push(peer, parcel(study).ready, folder=study)
        dimse.find(peer, Query())
    assert "PHANTOM" not in caplog.text
