"""Whole folders: empty, foreign, damaged, hostile, of two patients; and nobody's identity in anything said."""

from __future__ import annotations

import hashlib
import os
import random
import struct
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from liverimg.core.errors import DicomRefusedError, ExitCode, InputRefusedError, LiverimgError, NeedsPersonError
from liverimg.core.study import Modality
from liverimg.dicom.headers import read_folder
from liverimg.dicom.phase import PhaseRules
from liverimg.dicom.pixels import load_volume
from liverimg.dicom.study import StudyHeaders, read_study, require_usable


def test_no_folder(tmp_path: Path, rules: PhaseRules) -> None:
    with pytest.raises(InputRefusedError, match="does not exist"):
        read_study(tmp_path / "absent", phase_rules=rules)


def test_empty_folder(tmp_path: Path, rules: PhaseRules) -> None:
    (tmp_path / "deeper").mkdir()
    with pytest.raises(InputRefusedError, match="empty") as error:
        read_study(tmp_path, phase_rules=rules)
    assert error.value.exit_code is ExitCode.INPUT_REFUSED


def test_no_dicom_in_the_folder(tmp_path: Path, rules: PhaseRules) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "nothing.dcm").write_bytes(b"")
    (tmp_path / "head only.dcm").write_bytes(b"\0" * 128 + b"DICM")
    with pytest.raises(InputRefusedError, match="none of the 3 files"):
        read_study(tmp_path, phase_rules=rules)


def test_only_unusable_series_are_listed_and_then_refused(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    build.write_series(tmp_path, skip=(4,))
    build.write_series(tmp_path, series=2, edit=lambda d, k: setattr(d, "Modality", "PT"))
    study = read_study(tmp_path, phase_rules=rules).study
    assert {entry.code for entry in study.rejected} == {"missing_slices", "modality_not_supported"}
    with pytest.raises(InputRefusedError, match="missing_slices"):
        require_usable(study)


def test_usable_study_passes(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    build.write_series(tmp_path)
    study = read_study(tmp_path, phase_rules=rules).study
    require_usable(study)
    assert study.study_instance_uid == build.STUDY_UID
    assert study.study_date == "20260101"
    assert study.series[0].modality is Modality.CT


@pytest.mark.parametrize("where", ["another series", "the same series"])
@pytest.mark.parametrize("tag", ["PatientID", "PatientName"])
def test_two_patients(where: str, tag: str, tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    build.write_series(tmp_path)
    number = 2 if where == "another series" else 1
    build.write_series(tmp_path, series=number, first_instance=50, edit=lambda d, k: setattr(d, tag, "PHANTOM^OTHER"))
    with pytest.raises(DicomRefusedError, match="2 patients") as error:
        read_study(tmp_path, phase_rules=rules)
    assert error.value.code == "several_patients"
    assert "OTHER" not in str(error.value)


def test_one_patient_written_in_two_ways(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    build.write_series(tmp_path)
    build.write_series(tmp_path, series=2, edit=lambda d, k: setattr(d, "PatientName", "phantom^test^^"))
    assert len(read_study(tmp_path, phase_rules=rules).study.series) == 2


def test_no_patient_at_all(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    def edit(dataset: Any, k: int) -> None:
        del dataset.PatientID
        dataset.PatientName = ""

    build.write_series(tmp_path, edit=edit)
    assert len(read_study(tmp_path, phase_rules=rules).study.series) == 1


def test_two_studies_of_one_patient_need_a_person(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    build.write_series(tmp_path)
    build.write_series(tmp_path, series=2, edit=lambda d, k: setattr(d, "StudyInstanceUID", "1.2.3.4"))
    with pytest.raises(NeedsPersonError, match=r"2 studies .*1\.2\.3\.4") as error:
        read_study(tmp_path, phase_rules=rules)
    assert error.value.exit_code is ExitCode.NEEDS_A_PERSON


def test_missing_uids_are_made_up_and_flagged(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    def edit(dataset: Any, k: int) -> None:
        dataset.SeriesInstanceUID = dataset.SOPInstanceUID = dataset.StudyInstanceUID = ""

    build.write_series(tmp_path, edit=edit)
    (series,) = read_study(tmp_path, phase_rules=rules).study.series
    assert series.flags == ("series_uid_made_up",)
    assert series.series_instance_uid.startswith("2.25.")
    assert len(set(series.sop_instance_uids)) == 8  # from the file meta information


def test_objects_without_pixels_are_listed(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    build.write_series(tmp_path)

    def report(dataset: Any, k: int) -> None:
        del dataset.PixelData
        dataset.Modality, dataset.SOPClassUID = "SR", "1.2.840.10008.5.1.4.1.1.88.67"

    build.write_series(tmp_path, series=2, edit=report)
    found = read_study(tmp_path, phase_rules=rules)
    assert [(e.what, e.code) for e in found.study.rejected] == [(f"{build.ROOT}.2.2", "no_image")]
    assert "8 files" in found.study.rejected[0].reason


def test_a_damaged_header_is_named(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    path = build.write_series(tmp_path)[7]
    path.write_bytes(path.read_bytes()[:150])
    found = read_study(tmp_path, phase_rules=rules)
    assert found.study.series[0].grid.shape[0] == 7
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert [entry.what for entry in found.study.rejected] == [f"file of 150 bytes, SHA-256 {digest[:16]}"]


def test_no_name_of_a_patient_is_repeated(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    """Exports name folders after patients, and some people type names into descriptions."""

    def edit(dataset: Any, k: int) -> None:
        dataset.PatientName, dataset.PatientID = "Doe^Jane", "MRN-4711"
        dataset.SeriesDescription = "Portal venous DOE_jane MRN-4711"

    folder = tmp_path / "DOE_JANE"
    path = build.write_series(folder, edit=edit)[7]
    path.with_name("Jane Doe.dcm").write_bytes(path.read_bytes()[:150])
    study = read_study(tmp_path, phase_rules=rules).study
    said = repr(study).casefold()
    assert study.series[0].description.startswith("Portal venous [removed]")
    assert study.series[0].phase == "portal_venous"
    assert [entry.code for entry in study.rejected] == ["unreadable"]
    assert not [word for word in ("doe", "jane", "4711") if word in said]


def test_links_are_not_followed(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    outside, study = tmp_path / "outside", tmp_path / "study"
    build.write_series(study)
    build.write_series(outside, series=2, edit=lambda d, k: setattr(d, "PatientID", "ELSE"))
    (study / "folder").symlink_to(outside, target_is_directory=True)
    (study / "file").symlink_to(next(outside.iterdir()))
    os.mkfifo(study / "pipe")
    found = read_study(study, phase_rules=rules)
    assert len(found.study.series) == 1
    assert [(e.what, e.code) for e in found.study.rejected] == [("3 files", "not_dicom")]


HOSTILE = "<script>\x1b[31m\r\n=cmd|' /C calc'!A0 ../../etc/passwd \u202eevil\x00 " + "x" * 5000


def test_hostile_strings_are_tamed(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    def edit(dataset: Any, k: int) -> None:
        dataset.SpecificCharacterSet = "ISO_IR 192"
        dataset.SeriesDescription = HOSTILE[:60]

    for path in build.write_series(tmp_path, edit=edit):
        uid = f"{build.ROOT}.2.1".encode()
        evil = b"../../<b>1.2.3".ljust(len(uid), b"x")
        assert uid in path.read_bytes()
        path.write_bytes(path.read_bytes().replace(uid, evil))
    (series,) = read_study(tmp_path, phase_rules=rules).study.series
    assert series.description.isprintable()
    assert len(series.description) <= 120
    assert set(series.series_instance_uid) <= set("0123456789.")


@pytest.mark.parametrize(
    ("charset", "encoding", "text"),
    [
        ("ISO_IR 100", "latin-1", "Leber portalvenös"), ("ISO_IR 192", "utf-8", "肝臓 門脈相"),
        ("ISO_IR 144", "iso8859_5", "портальная"), ("GB18030", "gb18030", "门静脉期"), ("", "ascii", "PORTAL VENOUS"),
        ("NONSENSE", "ascii", "PORTAL VENOUS"), ("ISO 2022 IR 149", "euc_kr", "문맥기"),
    ],
)  # fmt: skip
def test_character_sets(
    charset: str, encoding: str, text: str, tmp_path: Path, build: ModuleType, rules: PhaseRules
) -> None:
    for path in build.write_series(tmp_path, description="@" * 40):
        raw = text.encode(encoding)
        if charset == "ISO 2022 IR 149":
            raw = b"\x1b$)C" + raw
        data = path.read_bytes().replace(b"@" * 40, raw + b" " * (40 - len(raw)))
        element = b"\x08\x00\x05\x00CS"
        value = charset.encode() + b" " * (len(charset) % 2)
        at = data.index(b"\x08\x00\x08\x00CS")
        data = data[:at] + element + struct.pack("<H", len(value)) + value + data[at:]
        path.write_bytes(data)
    (series,) = read_study(tmp_path, phase_rules=rules).study.series
    assert series.phase.value == "portal_venous"
    if charset != "ISO 2022 IR 149":
        assert series.description == text


def test_no_identity_in_what_is_kept(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    def edit(dataset: Any, k: int) -> None:
        dataset.PatientName, dataset.PatientID = "PHANTOM^SENTINEL", "SENTINEL-ID"
        dataset.PatientBirthDate, dataset.ReferringPhysicianName = "19610203", "SENTINEL^DOCTOR"
        dataset.InstitutionName = dataset.AccessionNumber = dataset.OperatorsName = "SENTINEL"

    build.write_series(tmp_path, edit=edit)
    build.write_series(tmp_path, series=2, skip=(4,), edit=edit)
    found = read_study(tmp_path, phase_rules=rules)
    assert isinstance(found, StudyHeaders)
    assert "SENTINEL" not in repr(found)
    assert "19610203" not in repr(found)
    assert "SENTINEL" not in repr(read_folder(tmp_path))


def test_progress_counts_files_and_slices(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    build.write_series(tmp_path)
    seen: list[tuple[int, int]] = []
    found = read_study(tmp_path, phase_rules=rules, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(n, 8) for n in range(1, 9)]
    seen.clear()
    load_volume(found.stacks[0], progress=lambda done, total: seen.append((done, total)))
    assert seen == [(n, 8) for n in range(1, 9)]


def test_a_header_of_megabytes_is_read(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    def edit(dataset: Any, k: int) -> None:
        if k == 2:
            dataset.private_block(0x0029, "LIVERIMG TEST", create=True).add_new(0x10, "OB", bytes(3_000_000))
        if k == 3:
            item = Dataset()
            item.private_block(0x0029, "LIVERIMG TEST", create=True).add_new(0x10, "OB", bytes(200_000))
            dataset.ReferencedStudySequence = Items([item])

    build.write_series(tmp_path, edit=edit)
    assert read_study(tmp_path, phase_rules=rules).study.series[0].grid.shape[0] == 8


def test_deep_nesting_is_survived(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    path = build.write_series(tmp_path)[0]
    data = path.read_bytes()
    at = data.index(b"\x08\x00\x60\x00CS")
    nest = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 3000
    (tmp_path / "deep").write_bytes(data[:at] + nest + data[at:])
    found = read_study(tmp_path, phase_rules=rules)
    assert len(found.study.series) == 1


def test_a_claim_of_four_gibibytes_is_survived(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    path = build.write_series(tmp_path)[0]
    data = path.read_bytes()
    at = data.index(b"\x08\x00\x60\x00CS")
    claim = b"\x08\x00\x55\x00UN\0\0" + struct.pack("<I", 0xFFFFFFF0)
    (tmp_path / "long").write_bytes(data[:at] + claim + data[at:])
    found = read_study(tmp_path, phase_rules=rules)
    assert len(found.study.series) == 1


@pytest.mark.parametrize("seed", range(4))
def test_mutated_files_end_in_a_result_or_one_of_our_errors(
    seed: int, tmp_path: Path, build: ModuleType, rules: PhaseRules
) -> None:
    rng = random.Random(seed)
    originals = [path.read_bytes() for path in build.write_series(tmp_path / "good")]
    build.save(
        build.enhanced(build.PLAIN_GRID, build.values_on(build.PLAIN_GRID), order=list(range(8))),
        tmp_path / "good" / "enhanced",
    )
    originals.append((tmp_path / "good" / "enhanced").read_bytes())
    for attempt in range(60):
        folder = tmp_path / f"bad{attempt}"
        folder.mkdir()
        for number in range(4):
            data = bytearray(rng.choice(originals))
            for _ in range(rng.randint(1, 12)):
                data[rng.randrange(130, len(data))] = rng.choice((0, 1, 0xFF, 0x7F, rng.randrange(256)))
            (folder / str(number)).write_bytes(data)
        try:
            for stack in read_study(folder, phase_rules=rules).stacks:
                load_volume(stack)
        except LiverimgError as error:
            assert error.exit_code in (ExitCode.INPUT_REFUSED, ExitCode.NEEDS_A_PERSON)
