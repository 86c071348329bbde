"""De-identification leaves nothing of a person in any output, and the images as they were."""

from __future__ import annotations

import io
import json
import stat
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels import pixel_array
from pydicom.uid import UID
from tests.dicom.sentinels import REAL_LOOKING_ROOT, Sentinels, filled, survivors

from liverimg.core.errors import ExitCode
from liverimg.dicom.deidentify_names import Pseudonyms, shift_moment
from liverimg.dicom.deidentify_rules import DeidentifyRules
from liverimg.dicom.identity import identity_pattern
from liverimg.dicom.phase import PhaseRules
from liverimg.dicom.pixels import load_volume
from liverimg.dicom.study import read_study
from liverimg.files import records


@pytest.fixture(scope="session")
def deid_rules(repository: Path) -> DeidentifyRules:
    text = (repository / "src" / "liverimg" / "data" / "deidentify.toml").read_text(encoding="utf-8")
    return DeidentifyRules(tomllib.loads(text))


def outputs(folder: Path) -> Iterator[pydicom.FileDataset]:
    for path in sorted(folder.rglob("*.dcm")):
        yield pydicom.dcmread(path)


# ---- sentinels ----


@pytest.fixture
def hostile_study(build: ModuleType, deid_rules: DeidentifyRules, tmp_path: Path) -> tuple[Path, Sentinels]:
    """One CT slice with sentinels in every attribute of the table, at three depths and in every other hiding place."""
    sentinels = Sentinels()
    tags = deid_rules.tags_of_the_table
    folder = tmp_path / "Sentinel00000X_Jane"

    def edit(made: Any, k: int) -> None:
        keep = {e.tag: e for e in made if e.tag.group in (0x0028, 0x7FE0, 0x0020) or e.keyword in KEEP}
        made.update(filled(tags, sentinels))
        nested, deeper = filled(tags, sentinels), filled(tags, sentinels)
        deeper.PatientID = sentinels.value("LO")
        nested.SharedFunctionalGroupsSequence = [deeper]
        made.PerFrameFunctionalGroupsSequence = [nested]
        made.ContentSequence = [content_item(sentinels)]
        for element in keep.values():
            made[element.tag] = element
        made.add_new(0x00090010, "LO", sentinels.value("LO"))
        made.add_new(0x00091001, "UT", sentinels.value("UT"))
        made.add_new(0x20050010, "LO", "Philips MR Imaging DD 001")
        made.add_new(0x2005100D, "LO", sentinels.value("LO"))
        for group in (0x6000, 0x6002, 0x5000, 0x501E):
            made.add_new(group << 16 | 0x4000, "LT", sentinels.value("LT"))
            made.add_new(group << 16 | 0x3000, "OW", sentinels.value("OW"))
        made.add_new(0x00187FFE, "LO", sentinels.value("LO"))  # in no dictionary
        made.Rows = made.Rows
        made.PixelData = made.PixelData + sentinels.value("OB")
        made.DataSetTrailingPadding = sentinels.value("OB")
        made.InstitutionalDepartmentName = sentinels.value("LO")
        made.SegmentLabel = sentinels.value("LO")
        made.Manufacturer = "Maker"
        made.PatientID = "Sentinel00000X"
        made.PatientName = "Sentinel00000X^Jane"
        made.SoftwareVersions = "V1 Sentinel00000X"
        made.file_meta.SourceApplicationEntityTitle = "SENTI99999X"
        made.file_meta.PrivateInformationCreatorUID = f"{REAL_LOOKING_ROOT}.77"
        made.file_meta.PrivateInformation = b"Sentinel77777X  "
        made.preamble = b"Sentinel88888X".ljust(128, b"\0")

    path = build.write_series(folder, edit=edit, names=["Sentinel00000X"] * 8, skip=range(1, 8))[0]
    sentinels.texts += ["SENTI99999X", "Sentinel77777X", "Sentinel88888X", f"{REAL_LOOKING_ROOT}.77", "Jane"]
    assert path.read_bytes().count(b"Sentinel") > 1000
    return folder, sentinels


KEEP = ("SOPClassUID", "SOPInstanceUID", "Modality", "ImageType", "PatientID", "PatientName")


def content_item(sentinels: Sentinels) -> Dataset:
    """What a radiologist dictated."""
    item = Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", "TEXT"
    name = Dataset()
    name.CodeValue, name.CodingSchemeDesignator = sentinels.value("SH"), "99LOCAL"
    name.CodeMeaning = sentinels.value("LO")
    item.ConceptNameCodeSequence = [name]
    item.TextValue, item.PersonName = sentinels.value("UT"), sentinels.value("PN")
    item.UID, item.Date, item.DateTime = sentinels.value("UI"), sentinels.value("DA"), sentinels.value("DT")
    return item


@pytest.mark.parametrize(("dates", "uids"), [("shifted", "mapped"), ("removed", "replaced")])
def test_no_sentinel_survives(
    dates: str, uids: str, hostile_study: tuple[Path, Sentinels], tmp_path: Path, liverimg: Callable[..., Any]
) -> None:
    folder, sentinels = hostile_study
    out = tmp_path / "clean"
    said = liverimg("deidentify", folder, "--out", out, "--keep-dates", dates, "--keep-uids", uids)
    assert said.code == 0, said.err
    assert len(sentinels.texts) >= 3 * 531
    assert survivors(tmp_path / "clean", sentinels.texts, said.out.replace(str(out), "") + said.err) == []
    (made,) = outputs(out)
    assert made.preamble == bytes(128)
    assert not any(tag.is_private for tag in made.keys())  # noqa: SIM118
    assert made.PatientIdentityRemoved == "YES"
    # Too short to be looked for among bytes: date by date. A moved one may well fall on another one's day.
    (original,) = (pydicom.dcmread(path) for path in folder.iterdir())
    before = {(path, str(e.value)) for path, e in flat(original) if e.VR in ("DA", "AS")}
    assert len(before) > 100
    assert [place for place in before if place in {(path, str(e.value)) for path, e in flat(made)}] == []
    assert pixel_array(made).shape == (14, 16)


def flat(dataset: Dataset, path: str = "") -> Iterator[tuple[str, pydicom.DataElement]]:
    """Every element that holds a value, with the way that leads there."""
    for element in dataset:
        here = f"{path}/{element.tag}"
        if element.VR != "SQ":
            yield here, element
            continue
        for number, item in enumerate(element.value):
            yield from flat(item, f"{here}[{number}]")


def test_the_table_is_the_whole_table(deid_rules: DeidentifyRules) -> None:
    """Those that dicom-anonymizer by itself left behind, and enough of the others."""
    assert len(deid_rules.tags_of_the_table) >= 640
    for keyword in (
        "IssuerOfClinicalTrialProtocolID", "IssuerOfClinicalTrialSubjectID", "IssuerOfClinicalTrialSiteID",
        "IssuerOfClinicalTrialSubjectReadingID", "IssuerOfClinicalTrialTimePointID", "IssuerOfClinicalTrialSeriesID",
        "ROIDateTime", "ROIObservationDateTime",
    ):  # fmt: skip
        assert pydicom.datadict.tag_for_keyword(keyword) in deid_rules.tags_of_the_table, keyword


def test_attributes_that_no_table_knows_go_by_their_kind(
    build: ModuleType, tmp_path: Path, liverimg: Callable[..., Any]
) -> None:
    """Every text attribute of the dictionary, not only those of table E.1-1."""
    sentinels = Sentinels()

    def edit(made: Any, k: int) -> None:
        for tag, (vr, _, _, retired, keyword) in pydicom.datadict.DicomDictionary.items():
            wanted = vr in ("LO", "SH", "LT", "ST", "UT", "UC", "UR", "AE", "PN", "OB", "DT") and tag not in made
            if wanted and keyword and tag >> 16 > 6 and tag >> 16 != 0x7FE0 and keyword not in MAKERS and not retired:
                made.add_new(tag, vr, sentinels.value(vr))

    build.write_series(tmp_path / "study", edit=edit, skip=range(1, 8))
    assert liverimg("deidentify", tmp_path / "study", "--out", tmp_path / "out").code == 0
    assert len(sentinels.texts) > 600
    assert survivors(tmp_path / "out", sentinels.texts) == []


_TABLE = Path(__file__).parents[2] / "src" / "liverimg" / "data" / "deidentify.toml"
MAKERS = (
    *tomllib.loads(_TABLE.read_text(encoding="utf-8"))["keep_text"],
    "ICCProfile", "LUTData", "BurnedInAnnotation",
)  # fmt: skip


# ---- what must stay ----


def study_of_two_phases(build: ModuleType, folder: Path) -> None:
    """Two phases that only times tell apart, one of them past midnight."""
    for series, time, date in ((1, "235940", "20260101"), (2, "000040", "20260102")):

        def edit(made: Any, k: int, time: str = time, date: str = date) -> None:
            made.AcquisitionDate, made.AcquisitionTime = date, time
            made.StudyTime = "235000"
            made.ContrastBolusAgent, made.ContrastBolusStartTime = "Iomeprol for DOE", "235910"
            made.PatientName, made.PatientID = "DOE^JANE", "4711"
            made.SeriesDescription = "Liver arterial DOE 1.0 B30f 4711" if made.SeriesNumber else ""
            made.ReferencedImageSequence = [Dataset()]
            made.ReferencedImageSequence[0].ReferencedSOPInstanceUID = f"{build.ROOT}.9.1.1"
            made.ReferencedImageSequence[0].ReferencedSOPClassUID = made.SOPClassUID

        def numbered(made: Any, k: int, series: int = series, edit: Any = edit) -> None:
            made.SeriesNumber = series
            edit(made, k)

        build.write_series(folder, series=series, edit=numbered)


def test_volumes_and_phases_are_what_they_were(
    build: ModuleType, rules: PhaseRules, tmp_path: Path, liverimg: Callable[..., Any]
) -> None:
    study_of_two_phases(build, tmp_path / "study")
    assert liverimg("deidentify", tmp_path / "study", "--out", tmp_path / "out").code == 0
    before = read_study(tmp_path / "study", phase_rules=rules)
    after = read_study(tmp_path / "out", phase_rules=rules)
    assert [s.phase for s in after.study.series] == [s.phase for s in before.study.series]
    for first, second in zip(before.stacks, after.stacks, strict=True):
        a, b = load_volume(first), load_volume(second)
        np.testing.assert_array_equal(a.array, b.array)
        np.testing.assert_array_equal(a.grid.affine, b.grid.affine)
    uids = {s.series_instance_uid for s in before.study.series}
    assert not uids & {s.series_instance_uid for s in after.study.series}
    made = list(outputs(tmp_path / "out"))
    descriptions = {m.get("SeriesDescription") for m in made}
    assert descriptions == {"liver arterial 1.0"}
    assert {m.ContrastBolusAgent for m in made} == {"iomeprol"}
    # References within the study still lead to their targets.
    known = {m.SOPInstanceUID for m in made}
    assert all(m.ReferencedImageSequence[0].ReferencedSOPInstanceUID in known for m in made)
    assert len({m.FrameOfReferenceUID for m in made}) == 1


def test_a_study_without_uids_passes(build: ModuleType, tmp_path: Path, liverimg: Callable[..., Any]) -> None:
    def edit(made: Any, k: int) -> None:
        for keyword in ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
            delattr(made, keyword)
        made.file_meta = pydicom.dataset.FileMetaDataset()
        made.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"

    (tmp_path / "study").mkdir()
    values = build.values_on(build.PLAIN_GRID)
    for k in range(3):
        made = build.slice_dataset(build.PLAIN_GRID, values[k], k, series=1, instance=k + 1, modality="CT")
        edit(made, k)
        made.save_as(tmp_path / "study" / str(k))
    assert liverimg("deidentify", tmp_path / "study", "--out", tmp_path / "out").code == 0
    assert len({m.SOPInstanceUID for m in outputs(tmp_path / "out")}) == 3


def test_intervals_stay_and_dates_do_not(build: ModuleType, tmp_path: Path, liverimg: Callable[..., Any]) -> None:
    study_of_two_phases(build, tmp_path / "study")
    assert liverimg("deidentify", tmp_path / "study", "--out", tmp_path / "out").code == 0
    made = {m.SeriesNumber: m for m in outputs(tmp_path / "out")}
    assert made[1].LongitudinalTemporalInformationModified == "MODIFIED"

    def moment(m: Any) -> np.datetime64:
        d, t = m.AcquisitionDate, m.AcquisitionTime
        return np.datetime64(f"{d[:4]}-{d[4:6]}-{d[6:]}T{t[:2]}:{t[2:4]}:{t[4:6]}")

    assert moment(made[2]) - moment(made[1]) == np.timedelta64(60, "s")
    assert moment(made[1]) < np.datetime64("2025-12-05")
    assert made[1].AcquisitionTime != "235940"
    assert liverimg("deidentify", tmp_path / "study", "--out", tmp_path / "no", "--keep-dates", "removed").code == 0
    for m in outputs(tmp_path / "no"):
        assert m.LongitudinalTemporalInformationModified == "REMOVED"
        assert not [e for _, e in flat(m) if e.VR in ("DA", "DT", "TM") and e.value and "1900" not in str(e.value)]


@pytest.mark.parametrize(
    ("date", "time", "wanted", "expected"),
    [
        ("20260301", "000010.25", "TM", "235910.25"),
        ("20260301", "000010.25", "DA", "20260227"),
        ("20260301", "120000", "DA", "20260228"),
        ("2026.03.01", "12:00:00", "DA", "20260228"),
        ("20260301", "12", "TM", "11"),
        ("20260301", "1200", "TM", "1159"),
        ("20260301120000.5+0100", "", "DT", "20260228115900.5"),
        ("20260301", "", "DT", "20260228"),
        ("2026", "", "DA", ""),
        ("20261399", "", "DA", ""),
        ("SENTINEL", "", "DA", ""),
        ("20260301", "later", "TM", ""),
    ],
)
def test_moving_a_moment(date: str, time: str, wanted: str, expected: str) -> None:
    from datetime import timedelta

    assert shift_moment(date, time, -timedelta(days=1, seconds=60), wanted) == expected


def test_the_number_that_philips_signal_needs_is_kept(
    build: ModuleType, tmp_path: Path, liverimg: Callable[..., Any]
) -> None:
    def edit(made: Any, k: int) -> None:
        made.add_new(0x20050010, "LO", "Philips MR Imaging DD 001")
        made.add_new(0x2005100E, "FL", 0.25)
        made.add_new(0x20051035, "CS", "PIXEL")

    build.write_series(tmp_path / "study", modality="MR", edit=edit, skip=range(1, 8))
    assert liverimg("deidentify", tmp_path / "study", "--out", tmp_path / "out").code == 0
    (made,) = outputs(tmp_path / "out")
    assert made[0x2005100E].value == 0.25
    assert 0x20051035 not in made
    assert "113111" in [item.CodeValue for item in made.DeidentificationMethodCodeSequence]


def test_pseudonyms_follow_the_salt(build: ModuleType, tmp_path: Path, liverimg: Callable[..., Any]) -> None:
    study_of_two_phases(build, tmp_path / "study")
    runs = {
        "a": ("--salt-file", tmp_path / "salt"),
        "b": ("--salt-file", tmp_path / "salt"),
        "c": ("--salt-file", tmp_path / "other"),
        "d": (),
        "e": ("--salt-file", tmp_path / "salt", "--keep-uids", "replaced"),
    }
    found = {}
    for name, more in runs.items():
        assert liverimg("deidentify", tmp_path / "study", "--out", tmp_path / name, *more).code == 0
        made = next(outputs(tmp_path / name))
        found[name] = (str(made.StudyInstanceUID), str(made.PatientID), str(made.StudyDate))
    assert stat.S_IMODE((tmp_path / "salt").stat().st_mode) == 0o600
    assert found["a"] == found["b"]
    assert len({f[0] for f in found.values()}) == 4
    assert found["e"][1:] == found["a"][1:], "the person stays the same person"
    assert found["c"][1] != found["a"][1] != found["d"][1]


# ---- refused ----


def left_out(out: Path) -> dict[str, int]:
    manifest = json.loads((out / "manifest.json").read_text())
    assert records.problems(manifest, "deidentification") == []
    found: dict[str, int] = {}
    for row in manifest["left_out"]:
        found[row["code"]] = found.get(row["code"], 0) + row["files"]
    return found


RISKY: list[tuple[str, dict[str, Any]]] = [
    ("secondary capture", {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7", "Modality": "OT"}),
    ("dose screen", {"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}),
    ("said so", {"BurnedInAnnotation": "YES"}),
    ("protocol page", {"ImageType": ["ORIGINAL", "SECONDARY", "PATIENT PROTOCOL"]}),
    ("digitised film", {"ConversionType": "DF"}),
    ("endoscopy", {"Modality": "ES", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.77.1.1"}),
    ("ultrasound without regions", {"Modality": "US", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.6.1"}),
]


@pytest.mark.parametrize(("kind", "tags"), RISKY, ids=[kind for kind, _ in RISKY])
def test_pictures_that_may_show_writing_are_refused(
    kind: str, tags: dict[str, Any], build: ModuleType, tmp_path: Path, liverimg: Callable[..., Any]
) -> None:
    def edit(made: Any, k: int) -> None:
        for keyword, value in tags.items() if k == 0 else ():
            setattr(made, keyword, value)

    build.write_series(tmp_path / "study", edit=edit)
    said = liverimg("deidentify", tmp_path / "study", "--out", tmp_path / "out")
    assert said.code == 0
    assert "burned_in_text" in said.out
    assert left_out(tmp_path / "out") == {"burned_in_text": 1}
    assert len(list(outputs(tmp_path / "out"))) == 7
    assert liverimg("deidentify", tmp_path / "study", "--out", tmp_path / "all", "--accept-burned-in").code == 0
    assert len(list(outputs(tmp_path / "all"))) == 8


def test_a_localiser_passes(build: ModuleType, tmp_path: Path, liverimg: Callable[..., Any]) -> None:
    def edit(made: Any, k: int) -> None:
        made.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]

    build.write_series(tmp_path / "study", edit=edit, skip=range(1, 8))
    assert liverimg("deidentify", tmp_path / "study", "--out", tmp_path / "out").code == 0


def test_documents_directories_and_foreign_files_stay_behind(
    build: ModuleType, tmp_path: Path, liverimg: Callable[..., Any]
) -> None:
    def edit(made: Any, k: int) -> None:
        if k == 0:
            made.SOPClassUID = "1.2.840.10008.5.1.4.1.1.104.1"
            made.EncapsulatedDocument = b"%PDF DOE JANE "
        if k == 1:
            made.SOPClassUID = "1.2.840.10008.1.3.10"
        if k == 2:
            made.SOPClassUID = "1.2.3.4.5"

    (tmp_path / "elsewhere").write_bytes(b"secret")
    build.write_series(tmp_path / "study", edit=edit)
    (tmp_path / "study" / "notes DOE.txt").write_text("DOE JANE")
    (tmp_path / "study" / "link").symlink_to(tmp_path / "elsewhere")
    assert liverimg("deidentify", tmp_path / "study", "--out", tmp_path / "out").code == 0
    assert left_out(tmp_path / "out") == {"encapsulated_document": 1, "not_dicom": 3, "unreadable": 1}
    assert survivors(tmp_path / "out", ["DOE JANE ", "notes DOE", "elsewhere"]) == []


def test_nothing_to_pass_on_is_refused_and_leaves_nothing(
    build: ModuleType, tmp_path: Path, liverimg: Callable[..., Any]
) -> None:
    build.write_series(tmp_path / "study", edit=lambda made, k: setattr(made, "BurnedInAnnotation", "YES"))
    said = liverimg("deidentify", tmp_path / "study", "--out", tmp_path / "out")
    assert said.code == ExitCode.INPUT_REFUSED
    assert sorted(path.name for path in tmp_path.iterdir()) == ["study"]


def test_two_patients_are_refused(build: ModuleType, tmp_path: Path, liverimg: Callable[..., Any]) -> None:
    build.write_series(tmp_path / "study", edit=lambda made, k: setattr(made, "PatientID", f"P{k}"))
    assert liverimg("deidentify", tmp_path / "study", "--out", tmp_path / "out").code == 3


@pytest.mark.parametrize(
    "options",
    [
        ("--keep-dates", "some"), ("--keep-uids", "all"), ("--patient-id", "a\\b"), ("--patient-id", " "),
        ("--salt-file", "study/salt"), ("--salt-file", "short"), ("--mapping", "out/map"), ("--mapping", "short"),
        ("--mapping", "nowhere/map"),
    ],
)  # fmt: skip
def test_wrong_options_leave_by_2_and_leave_nothing(
    options: tuple[str, str], build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    liverimg: Callable[..., Any],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "short").write_text("abc")
    build.write_series(tmp_path / "study", skip=range(1, 8))
    assert liverimg("deidentify", "study", "--out", "out", *options).code == ExitCode.USAGE
    assert sorted(path.name for path in tmp_path.iterdir()) == ["short", "study"]


def test_a_folder_with_something_in_it_is_not_touched(
    build: ModuleType, tmp_path: Path, liverimg: Callable[..., Any]
) -> None:
    build.write_series(tmp_path / "study", skip=range(1, 8))
    (tmp_path / "out").mkdir()
    assert liverimg("deidentify", tmp_path / "study", "--out", tmp_path / "out").code == 0
    before = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert liverimg("deidentify", tmp_path / "study", "--out", tmp_path / "out").code == 2
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == before == ["manifest.json", "series01"]


def test_what_a_killed_run_left_behind_is_cleared(
    build: ModuleType, tmp_path: Path, liverimg: Callable[..., Any]
) -> None:
    build.write_series(tmp_path / "study", skip=range(1, 8))
    (tmp_path / ".out.part" / "series01").mkdir(parents=True)
    (tmp_path / ".out.part" / "series01" / "00009.dcm").write_bytes(b"half")
    assert liverimg("deidentify", tmp_path / "study", "--out", tmp_path / "out").code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "study"]
    assert [path.name for path in (tmp_path / "out" / "series01").iterdir()] == ["00001.dcm"]


def test_a_full_disk_is_no_damaged_file(
    build: ModuleType, tmp_path: Path, liverimg: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    build.write_series(tmp_path / "study", skip=range(1, 8))
    monkeypatch.setattr("os.fsync", full)
    said = liverimg("deidentify", tmp_path / "study", "--out", tmp_path / "out")
    assert said.code == ExitCode.INTERNAL and "No space left" in said.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["study"]


def test_the_mapping_is_written_only_when_asked_for(
    build: ModuleType, tmp_path: Path, liverimg: Callable[..., Any]
) -> None:
    study_of_two_phases(build, tmp_path / "study")
    told = ("--mapping", tmp_path / "map.json", "--patient-id", "CASE-7")
    assert liverimg("deidentify", tmp_path / "study", "--out", tmp_path / "out", *told).code == 0
    assert stat.S_IMODE((tmp_path / "map.json").stat().st_mode) == 0o600
    mapping = json.loads((tmp_path / "map.json").read_text())
    assert mapping["patient_id"] == {"4711": "CASE-7"}
    made = next(outputs(tmp_path / "out"))
    assert made.StudyInstanceUID in mapping["uids"].values()
    assert (made.PatientID, str(made.PatientName)) == ("CASE-7", "CASE-7")
    assert survivors(tmp_path / "out", ["jane^doe^", "doe^jane^", build.STUDY_UID]) == []


# ---- pixels ----


def test_comments_in_a_codestream_are_cut_out(build: ModuleType, tmp_path: Path, liverimg: Callable[..., Any]) -> None:
    stream = io.BytesIO()
    picture = (np.arange(48 * 40) % 251).astype(np.uint8).reshape(40, 48)
    Image.fromarray(picture).save(stream, "JPEG", quality=90, comment=b"Sentinel00001X", exif=b"Exif\0\0Sentinel00002X")

    def edit(made: Any, k: int) -> None:
        made.Rows, made.Columns, made.BitsAllocated, made.BitsStored, made.HighBit = 40, 48, 8, 8, 7
        made.PixelData = encapsulate([stream.getvalue()])
        made["PixelData"].is_undefined_length = True
        made.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.4.50")

    path = tmp_path / "study" / "a"
    path.parent.mkdir()
    values = build.values_on(build.PLAIN_GRID)[0]
    made = build.slice_dataset(build.PLAIN_GRID, values, 0, series=1, instance=1, modality="CT")
    edit(made, 0)
    made.save_as(path, enforce_file_format=True)
    assert b"Sentinel00001X" in path.read_bytes() and b"Sentinel00002X" in path.read_bytes()
    assert liverimg("deidentify", tmp_path / "study", "--out", tmp_path / "out").code == 0
    assert survivors(tmp_path / "out", ["Sentinel00001X", "Sentinel00002X"]) == []
    (after,) = outputs(tmp_path / "out")
    np.testing.assert_array_equal(pixel_array(after), pixel_array(pydicom.dcmread(path)))


def test_overlays_in_unused_bits_are_cleared(build: ModuleType, tmp_path: Path, liverimg: Callable[..., Any]) -> None:
    def edit(made: Any, k: int) -> None:
        values = np.frombuffer(made.PixelData, "<u2") & 0x0FFF
        made.BitsStored, made.HighBit, made.PixelRepresentation = 12, 11, 0
        made.PixelData = (values | 0xA000).astype("<u2").tobytes()
        made.add_new(0x60000102, "US", 13)

    (path,) = build.write_series(tmp_path / "study", edit=edit, skip=range(1, 8))
    assert liverimg("deidentify", tmp_path / "study", "--out", tmp_path / "out").code == 0
    (after,) = outputs(tmp_path / "out")
    before = np.frombuffer(pydicom.dcmread(path).PixelData, "<u2")
    np.testing.assert_array_equal(np.frombuffer(after.PixelData, "<u2"), before & 0x0FFF)


def letters(shape: tuple[int, int]) -> np.ndarray:
    """A block of strokes as large as a line of writing."""
    made = np.zeros(shape, dtype=bool)
    made[::2, ::3] = True
    made[0] = made[-1] = True
    return made


@pytest.mark.parametrize("colour_space", ["RGB", "YBR_FULL", "MONOCHROME2", "MONOCHROME1", "PALETTE COLOR", "JPEG"])
def test_ultrasound_keeps_its_picture_and_loses_its_writing(
    colour_space: str, build_us: ModuleType, tmp_path: Path, liverimg: Callable[..., Any]
) -> None:
    """Writing beside the region, in the corner of the region beside the fan, and still on the moving picture."""
    fan = build_us.speckle(12, 120, seed=1)
    grey = np.zeros((12, 80, 110), dtype=np.uint8)
    grey[:, 20:, 20:92] = fan
    grey[:, 2:9, 5:60] = letters((7, 55)) * np.uint8(230)
    grey[:, 24:31, 22:40] = np.maximum(grey[:, 24:31, 22:40], letters((7, 18)) * np.uint8(230))
    grey[:, 50:55, 52:60] = 240
    rgb = np.repeat(grey[..., None], 3, -1)
    path = build_us.write_loop(
        tmp_path / "study", rgb, colour_space=colour_space, regions=[build_us.region((20, 20, 91, 79))]
    )
    assert liverimg("deidentify", tmp_path / "study", "--out", tmp_path / "out").code == 0
    (after,) = outputs(tmp_path / "out")
    shown = shown_levels(after)
    before = shown_levels(pydicom.dcmread(path))
    near_black = 3
    assert shown[:, :20].max() <= near_black, "beside the region"
    assert shown[:, 24:31, 22:38].max() <= near_black, "in its corner"
    assert shown[:, 50:55, 52:60].max() <= near_black, "on the picture"
    inside = build_us.fan()[15:25, 26:46]
    kept, original = shown[:, 35:45, 46:66][:, inside], before[:, 35:45, 46:66][:, inside]
    assert np.abs(kept.astype(int) - original).max() <= 1, "the picture itself"
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["files"][0]["pixels"] == "masked"
    assert after.BurnedInAnnotation == "NO"
    assert "113101" in [item.CodeValue for item in after.DeidentificationMethodCodeSequence]


def shown_levels(dataset: pydicom.FileDataset) -> np.ndarray:
    """Frames as they are shown, in grey."""
    array = pixel_array(dataset)
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        array = pydicom.pixels.apply_color_lut(array, dataset) >> 8
    if array.ndim == 4:
        return array[..., 0].astype(np.uint8)
    return 255 - array if dataset.PhotometricInterpretation == "MONOCHROME1" else array


def test_a_still_keeps_its_fan_and_loses_the_corner(
    build_us: ModuleType, tmp_path: Path, liverimg: Callable[..., Any]
) -> None:
    grey = build_us.speckle(1, 120, seed=1)[0]
    grey[2:7, 1:18] = letters((5, 17)) * np.uint8(230)
    region = build_us.region((0, 0, 71, 59))
    build_us.write_still(tmp_path / "study", np.repeat(grey[..., None], 3, -1), 1, regions=[region])
    assert liverimg("deidentify", tmp_path / "study", "--out", tmp_path / "out").code == 0
    (after,) = outputs(tmp_path / "out")
    shown = pixel_array(after)[..., 0]
    assert shown[2:7, 1:16].max() == 0
    np.testing.assert_array_equal(shown[15:40, 30:42], grey[15:40, 30:42])


def test_regions_that_do_not_fit_are_no_regions(
    build_us: ModuleType, tmp_path: Path, liverimg: Callable[..., Any]
) -> None:
    rgb = np.repeat(build_us.speckle(12, 120, seed=1)[..., None], 3, -1)
    build_us.write_loop(tmp_path / "study", rgb, regions=[build_us.region((0, 0, 640, 480))])
    assert liverimg("deidentify", tmp_path / "study", "--out", tmp_path / "out").code == 3


def test_the_real_loop_loses_its_writing(shared_data: Path, tmp_path: Path, liverimg: Callable[..., Any]) -> None:
    """The number of the patient stands in the corner of the region, its institution above it."""
    study = shared_data / "dicom_real" / "us_loop"
    assert liverimg("deidentify", study, "--out", tmp_path / "out").code == 0
    assert survivors(tmp_path / "out", ["12975-20-2", "Univ of Michigan", "1.2.840.113680.1.103.64715"]) == []
    (after,) = outputs(tmp_path / "out")
    frame, original = pixel_array(after, index=30), pixel_array(study / "DIRW0007", index=30)
    writing = [(slice(0, 34), slice(0, 576)), (slice(34, 190), slice(446, 576)), (slice(430, 456), slice(0, 576))]
    for place in writing:
        assert original[place].max() > 150
        # What is left there is the dim edge of the sector.
        assert frame[place].max() < 16
    np.testing.assert_array_equal(frame[120:230, 260:330], original[120:230, 260:330])


# ---- names ----


def test_identity_is_found_as_whole_words() -> None:
    found = identity_pattern({"Doe^Jane", "4711-20-2", "A"})
    assert found.search("liver of doe") and found.search("id 4711-20-2.") and not found.search("does it")
    assert identity_pattern(set()).search("anything") is None


def test_pseudonyms_are_one_way_and_far_apart() -> None:
    made = {
        Pseudonyms.of_patient(b"s" * 32, str(n), uid_salt=b"u" * 32, patient_id=None, keep_dates=True)
        for n in range(200)
    }
    assert len({m.patient_id for m in made}) == 200
    days = [-(m.offset.days) for m in made]
    assert min(days) >= 30 and max(days) <= 3651 and len(set(days)) > 150
    assert all(m.uid("1.2.3").startswith("2.25.") and len(m.uid("1.2.3")) <= 64 for m in made)
    assert "ssss" not in repr(next(iter(made))) and "uuuu" not in repr(next(iter(made)))
