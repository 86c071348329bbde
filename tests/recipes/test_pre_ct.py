"""The main job on the sample study, with exact labels: numbers against closed-form truth, files against their word."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
from benchmarks.truth import pairs, read
from tests.conftest import Slab

from liverimg.core.catalogue import row_of
from liverimg.core.labels import Structure
from liverimg.files import records
from liverimg.files.catalogue import vocabulary
from liverimg.stages.artefacts import read_labels, read_quality
from liverimg.workspace import Workspace

FILES = {"study", "labels", "label_quality", "measurements", "assessment"}


def test_every_promised_file_is_there_and_keeps_its_schema(assessed: Path) -> None:
    for kind in FILES:
        assert records.problems(read(assessed / f"{kind}.json"), kind) == []
    assert (assessed / "report.html").is_file()
    assert not list(assessed.glob(".draft-*"))


def test_phases_are_right_and_the_scout_is_refused(assessed: Path) -> None:
    study = read(assessed / "study.json")
    assert [v["phase"] for v in study["volumes"]] == ["unenhanced", "arterial", "portal_venous", "delayed"]
    assert all(v["phase_evidence"] for v in study["volumes"])
    assert [r["code"] for r in study["rejected"]] == ["localiser"]
    reference = next(v for v in study["volumes"] if v["file"] == study["reference_volume"])
    assert reference["phase"] == "portal_venous"


def test_volumes_are_in_hounsfield_units_at_the_place_of_the_header(assessed: Path, sample: Path) -> None:
    study = read(assessed / "study.json")
    image = nibabel.load(assessed / study["reference_volume"])
    labels = np.asarray(nibabel.load(sample / "truth" / "pre_ct_labels.nii.gz").dataobj)
    values = np.asarray(image.dataobj)
    assert np.median(values[labels == 0]) < -900, "air"
    assert 60 < np.median(values[labels == 1]) < 140, "liver in the portal venous phase"
    row = next(v for v in study["volumes"] if v["file"] == study["reference_volume"])
    affine = np.array(row["grid"]["affine_kji_to_lps_mm"])
    kji = np.array([3, 5, 7, 1])
    ras = image.affine @ kji[[2, 1, 0, 3]]
    assert ras[:3] == pytest.approx((affine @ kji)[:3] * (-1, -1, 1), abs=1e-3)


def test_every_number_is_within_one_voxel_of_the_truth(assessed: Path, sample: Path) -> None:
    measured = read(assessed / "measurements.json")
    voxel_mm = max(measured["study"]["spacing_kji_mm"])
    compared = list(pairs(measured, read(sample / "truth" / "pre_ct.json")))
    assert len(compared) >= 20
    for pair in compared:
        if pair.name == "volume":
            assert pair.error == pytest.approx(0, abs=0.05 * pair.truth), pair
        else:
            assert abs(pair.error) <= voxel_mm, pair


def test_every_number_is_inside_its_own_band(assessed: Path, sample: Path) -> None:
    compared = list(pairs(read(assessed / "measurements.json"), read(sample / "truth" / "pre_ct.json")))
    assert len(compared) == 22
    for pair in compared:
        assert pair.inside_its_band, pair


def test_liver_volume_is_right(assessed: Path, sample: Path) -> None:
    organs = {q["name"]: q for q in read(assessed / "measurements.json")["organs"]}
    truth = read(sample / "truth" / "pre_ct.json")["liver"]["volume_ml"]
    assert organs["liver_volume"]["value"] == pytest.approx(truth, rel=0.01)
    assert organs["tumour_count"]["value"] == 2


def test_every_number_says_where_it_was_measured(assessed: Path) -> None:
    measured = read(assessed / "measurements.json")
    for lesion in measured["lesions"]:
        for quantity in lesion["quantities"]:
            if "value" in quantity:
                # A state, a share or an angle has no place of its own; neither has a contact of no length.
                is_length = quantity["unit"] == "mm" and not quantity["name"].startswith("contact_length")
                assert quantity["evidence_lps_mm"] or not is_length, quantity["name"]
                assert len(quantity["evidence_lps_mm"]) == len(quantity["evidence_roles"])


def test_every_quantity_is_in_the_reference(assessed: Path, repository: Path) -> None:
    rows = vocabulary().quantities
    page = (repository / "docs" / "reference" / "quantities.md").read_text(encoding="utf-8")
    measured = read(assessed / "measurements.json")
    names = {q["name"] for lesion in measured["lesions"] for q in lesion["quantities"]}
    names |= {q["name"] for q in measured["organs"]}
    assert [n for n in sorted(names) if row_of(n, rows) is None] == []
    assert [n for n in sorted(names) if n in rows and f"`{n}`" not in page] == []


def test_verdicts_follow_from_the_numbers(assessed: Path) -> None:
    findings = {(f["criterion_id"], f["target"]): f for f in read(assessed / "assessment.json")["findings"]}
    assert findings["hifu.size", "L1"]["verdict"] == "MET", "32 mm"
    assert findings["hifu.size_single_session", "L1"]["verdict"] == "NOT_MET", "above 30 mm"
    assert findings["hifu.depth_centre", "L1"]["verdict"] == "UNDETERMINED", "9.1 cm: no rule between 8 and 10"
    assert findings["hifu.child_pugh", "study"]["verdict"] == "UNDETERMINED", "not given"


def test_the_report_is_one_page_without_requests_and_says_what_it_is(assessed: Path) -> None:
    page = (assessed / "report.html").read_text(encoding="utf-8")
    assert "research" in page.lower()
    without_scripts = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert not re.findall(r"""(?:src|href)=["'](?:https?:)?//""", without_scripts)
    for name in ("PHANTOM^", "PHANTOM-"):
        assert name not in page


def test_no_identity_leaves_the_study_folder(assessed: Path) -> None:
    for path in assessed.rglob("*"):
        if path.is_file():
            assert b"PHANTOM" not in path.read_bytes(), path.name


def test_a_second_run_finds_everything_fresh(assessed: Path, sample: Path, exact_labels: Path, liverimg) -> None:
    said = liverimg("pre", sample / "pre_ct", "--out", assessed, "--labels", exact_labels)
    assert said.code == 0
    assert "up to date already: ingest, segment, measure, assess, report" in said.out


@pytest.fixture
def own_copy(assessed_slab: Path, tmp_path: Path) -> Path:
    """Results, for tests that change them."""
    return Path(shutil.copytree(assessed_slab, tmp_path / "out"))


def enlarge_tumour(out: Path) -> None:
    """What a reader would do: one lesion drawn larger by hand."""
    path = out / "labels.nii.gz"
    image = nibabel.load(path)
    array = np.asarray(image.dataobj).copy()
    i, j, k = (int(c.mean()) for c in np.nonzero(array == 2))
    block = array[i : i + 25, j - 3 : j + 3, k - 1 : k + 2]
    assert (block == 1).any(), "the block reaches beyond the tumour"
    block[block == 1] = 2
    nibabel.save(nibabel.Nifti1Image(array, image.affine, image.header), path)


def test_a_hand_edit_survives_and_is_reported(own_copy: Path, slab: Slab, liverimg: Callable) -> None:
    enlarge_tumour(own_copy)
    edited = (own_copy / "labels.nii.gz").read_bytes()
    assert liverimg("measure", own_copy).code == 0
    assert (own_copy / "labels.nii.gz").read_bytes() == edited
    assert read(own_copy / "measurements.json")["labels"]["origin"] == "edited"
    assert "corrected by hand" in (own_copy / "report.html").read_text(encoding="utf-8")

    said = liverimg("pre", slab.study, "--out", own_copy, "--labels", slab.labels)
    assert said.code == 0
    assert "corrected by hand and is kept" in " ".join(said.out.split())
    assert (own_copy / "labels.nii.gz").read_bytes() == edited


def test_redo_discards_the_edit_aloud(own_copy: Path, assessed_slab: Path, slab: Slab, liverimg: Callable) -> None:
    enlarge_tumour(own_copy)
    said = liverimg("pre", slab.study, "--out", own_copy, "--labels", slab.labels, "--redo", "segment")
    assert "discarded" in said.out
    for name in ("labels.nii.gz", "measurements.json", "report.html"):
        assert (own_copy / name).read_bytes() == (assessed_slab / name).read_bytes()


def test_a_misspelt_clinical_item_is_refused_and_not_passed_over(
    own_copy: Path, tmp_path: Path, liverimg: Callable
) -> None:
    clinical = tmp_path / "clinical.toml"
    clinical.write_text("child_pugh = 6\n")
    refused = liverimg("measure", own_copy, "--clinical", clinical)
    assert refused.code == 3
    assert "child_pugh', which no rule knows" in refused.err


def test_clinical_data_settle_what_they_can(own_copy: Path, tmp_path: Path, liverimg: Callable) -> None:
    clinical = tmp_path / "clinical.toml"
    clinical.write_text("child_pugh_score = 6\ninr = 1.1\n")
    assert liverimg("measure", own_copy, "--clinical", clinical).code == 0
    findings = {f["criterion_id"]: f for f in read(own_copy / "assessment.json")["findings"]}
    assert findings["hifu.child_pugh"]["verdict"] == "MET"
    assert findings["hifu.inr"]["verdict"] == "MET"


def test_a_phase_the_user_knows_wins(slab: Slab, assessed_slab: Path, tmp_path: Path, liverimg: Callable) -> None:
    (portal,) = read(assessed_slab / "study.json")["volumes"]
    assert portal["phase"] == "portal_venous"
    named = f"{portal['series_instance_uid']}=early_arterial"
    said = liverimg("ingest", slab.study, "--out", tmp_path / "out", "--phase", named)
    assert said.code == 0
    (row,) = read(tmp_path / "out" / "study.json")["volumes"]
    assert row["phase"] == "early_arterial"
    assert row["phase_evidence"][0]["source"] == "user"


def test_inspect_shows_the_same_without_writing(sample: Path, liverimg: Callable) -> None:
    said = liverimg("inspect", sample / "pre_ct", "--json")
    assert said.code == 0
    record = records.json.loads(said.out)
    assert [v["phase"] for v in record["volumes"]] == ["unenhanced", "arterial", "portal_venous", "delayed"]
    table = liverimg("inspect", sample / "pre_ct")
    assert table.code == 0
    assert "localiser" in table.out


def test_a_corrected_structure_is_the_reader_s_and_the_others_stay_the_model_s(own_copy: Path) -> None:

    path = own_copy / "label_quality.json"
    record = read(path) | {
        "surface_error_mm": {"tumour": 6.0, "liver": 5.0, "portal_vein": 4.0},
        "not_visible": {"bile_duct": "never checked"},
        "incomplete": {"portal_vein": "misses parts"},
    }
    path.write_text(records.dump(record))
    enlarge_tumour(own_copy)
    workspace = Workspace(own_copy)
    quality = read_quality(workspace, read_labels(workspace))
    assert quality.origin == "edited"
    assert quality.surface_error_mm == {Structure.LIVER: 5.0, Structure.PORTAL_VEIN: 4.0, Structure.TUMOUR: 6.0}
    assert sorted(quality.lesion_error_mm.values()) == [0.0, 6.0], "one tumour was corrected, and the other was not"
    assert set(quality.not_visible) == {Structure.BILE_DUCT}, "nobody touched the ducts"
    assert set(quality.incomplete) == {Structure.PORTAL_VEIN}


def test_labels_choose_the_series_that_they_were_drawn_on(
    sample: Path, assessed: Path, tmp_path: Path, liverimg: Callable
) -> None:
    (tmp_path / "short.toml").write_text(
        'stages = ["ingest", "segment", "measure"]\n[settings.segment]\nmodel = "liver_ct"\n'
    )
    shutil.copytree(assessed, tmp_path / "out")
    arterial = nibabel.load(assessed / read(assessed / "study.json")["volumes"][1]["file"])
    drawn = np.zeros(arterial.shape, np.uint8)
    drawn[120:180, 140:200, 20:30] = 1
    drawn[140:150, 160:170, 23:26] = 2
    nibabel.save(nibabel.Nifti1Image(drawn, arterial.affine), tmp_path / "drawn.nii.gz")
    own = ("--labels", tmp_path / "drawn.nii.gz", "--recipe", tmp_path / "short.toml")
    said = liverimg("pre", sample / "pre_ct", "--out", tmp_path / "out", *own)
    assert said.code == 0, said.err
    measured = read(tmp_path / "out" / "measurements.json")
    # Unenhanced, arterial and delayed share one grid here: the rules of preference decide among them.
    assert measured["study"]["spacing_kji_mm"][0] == pytest.approx(5.0)
    assert measured["study"]["phase"] == "delayed"
    assert len(measured["lesions"]) == 1
