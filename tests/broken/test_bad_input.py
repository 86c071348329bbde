"""Bad input: one clear sentence, the documented exit code, nothing half-written."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
from tests.conftest import Slab


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def ingested(assessed_slab: Path, tmp_path: Path) -> Path:
    """A run that has got as far as its volumes."""
    provenance = json.loads((assessed_slab / "provenance" / "ingest.json").read_text())
    for name in ("provenance/ingest.json", *provenance["writes"]):
        to = tmp_path / "ingested" / name
        to.parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (assessed_slab / name).is_dir() else shutil.copy
        copy(assessed_slab / name, to)
    return tmp_path / "ingested"


def refused(said, code: int, *words: str) -> None:
    """The command left by the code, with one sentence that holds the words, and no traceback."""
    assert said.code == code, said.err
    lines = [line for line in said.err.splitlines() if line.startswith("liverimg:")]
    assert len(lines) == 1, said.err
    for word in words:
        assert word in lines[0]
    assert "Traceback" not in said.err


def portal_slices(sample: Path) -> list[Path]:
    return sorted((sample / "pre_ct" / "S004").iterdir())


def test_no_folder(liverimg: Callable, tmp_path: Path, out: Path) -> None:
    refused(liverimg("pre", tmp_path / "nowhere", "--out", out), 3, "not a folder")
    assert not out.exists()


@pytest.mark.parametrize("command", ["pre", "ingest"])
def test_empty_folder(command: str, liverimg: Callable, tmp_path: Path, out: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused(liverimg(command, tmp_path / "empty", "--out", out), 3, "empty")
    assert not out.exists()


def test_a_folder_without_dicom(liverimg: Callable, tmp_path: Path, out: Path) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "letter.txt").write_text("Dear colleague")
    refused(liverimg("pre", tmp_path / "study", "--out", out), 3, "DICOM")
    assert not out.exists()


def test_unreadable_files_only(liverimg: Callable, sample: Path, tmp_path: Path, out: Path) -> None:
    (tmp_path / "study").mkdir()
    for path in portal_slices(sample)[:12]:
        (tmp_path / "study" / path.name).write_bytes(path.read_bytes()[:900])
    refused(liverimg("pre", tmp_path / "study", "--out", out), 3)
    assert not out.exists()


def test_a_single_slice(liverimg: Callable, sample: Path, out: Path) -> None:
    refused(liverimg("pre", sample / "broken" / "single_slice", "--out", out), 3, "no CT or MR volume")
    assert not out.exists()


def test_two_patients_in_one_folder(liverimg: Callable, sample: Path, out: Path) -> None:
    refused(liverimg("pre", sample / "broken" / "mixed", "--out", out), 3, "2 patients")
    assert not out.exists()


def test_an_out_that_cannot_be_written(liverimg: Callable, sample: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    refused(liverimg("pre", sample / "pre_ct", "--out", tmp_path / "file"), 2, "is a file")
    refused(liverimg("pre", sample / "pre_ct", "--out", "/proc/nowhere"), 2, "can't be written")


def test_an_out_that_holds_another_study(liverimg: Callable, sample: Path, assessed: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(assessed, tmp_path / "copy"))
    before = {p: p.read_bytes() for p in out.rglob("*.json")}
    refused(liverimg("pre", sample / "mr", "--out", out), 2, "another study")
    assert {p: p.read_bytes() for p in out.rglob("*.json")} == before


def test_one_series_only_is_assessed_with_a_warning(assessed_slab: Path) -> None:
    warnings = json.loads((assessed_slab / "measurements.json").read_text())["warnings"]
    assert any("arterial" in w and "delayed" in w for w in warnings)


def label_file(tmp_path: Path, like: Path, change: Callable) -> Path:
    image = nibabel.load(like)
    array, affine = change(np.asarray(image.dataobj).copy(), image.affine.copy())
    path = tmp_path / "drawn.nii.gz"
    nibabel.save(nibabel.Nifti1Image(array, affine), path)
    (tmp_path / "drawn.json").write_text(json.dumps({"liver": 1, "tumour": 2}))
    return path


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a, m: (a[:, :, :-1], m), "another grid"),
        (lambda a, m: (a, m + np.outer((1, 0, 0, 0), (0, 0, 0, 2.0))), "another grid"),
        (lambda a, m: (a.astype(np.float32) * 0.5, m), "fractions"),
        (lambda a, m: (a * 0, m), "no liver in view"),
    ],
    ids=["one slice short", "shifted by 2 mm", "probabilities", "empty"],
)
def test_labels_that_do_not_fit(
    change: Callable, words: str, liverimg: Callable, slab: Slab, tmp_path: Path, ingested: Path
) -> None:
    labels = label_file(tmp_path, slab.labels, change)
    refused(liverimg("pre", slab.study, "--out", ingested, "--labels", labels), 3, words)
    assert not (ingested / "labels.nii.gz").exists()
    assert not (ingested / "measurements.json").exists()


def test_labels_that_are_not_there(liverimg: Callable, sample: Path, tmp_path: Path, out: Path) -> None:
    said = liverimg("pre", sample / "pre_ct", "--out", out, "--labels", tmp_path / "none.nii.gz")
    refused(said, 3, "does not exist")


@pytest.mark.parametrize("model", ['"liver_ct"', '{ CT = "liver_ct" }'])
def test_a_modality_that_the_model_was_not_made_for(
    model: str, liverimg: Callable, sample: Path, tmp_path: Path, out: Path
) -> None:
    recipe = tmp_path / "ct_only.toml"
    recipe.write_text(f'stages = ["ingest", "segment"]\n[settings.segment]\nmodel = {model}\n')
    refused(liverimg("pre", sample / "mr", "--out", out, "--recipe", recipe), 3, "MR", "--labels")
    assert not (out / "labels.nii.gz").exists()


def test_an_unknown_name_in_the_label_names(liverimg: Callable, slab: Slab, tmp_path: Path, ingested: Path) -> None:
    labels = label_file(tmp_path, slab.labels, lambda a, m: (a, m))
    (tmp_path / "drawn.json").write_text(json.dumps({"lever": 1}))
    refused(liverimg("pre", slab.study, "--out", ingested, "--labels", labels), 3, "lever")


def test_a_phase_for_a_series_that_is_not_there(liverimg: Callable, sample: Path, out: Path) -> None:
    refused(liverimg("ingest", sample / "pre_ct", "--out", out, "--phase", "1.2.3=arterial"), 2, "1.2.3")
    assert not out.exists()


def test_a_hand_edit_on_another_grid_is_refused_and_kept(
    liverimg: Callable, assessed_slab: Path, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(assessed_slab, tmp_path / "copy"))
    image = nibabel.load(out / "labels.nii.gz")
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj)[:-1], image.affine), out / "labels.nii.gz")
    edited = (out / "labels.nii.gz").read_bytes()
    numbers = (out / "measurements.json").read_bytes()
    refused(liverimg("measure", out), 3, "another grid")
    assert (out / "labels.nii.gz").read_bytes() == edited
    assert (out / "measurements.json").read_bytes() == numbers


def test_two_phases_for_one_series(liverimg: Callable, sample: Path, out: Path) -> None:
    twice = ("--phase", "1.2.3=arterial", "--phase", "1.2.3=delayed")
    refused(liverimg("ingest", sample / "pre_ct", "--out", out, *twice), 2, "two phases")
    assert not out.exists()


def test_a_name_given_twice_in_the_label_names(liverimg: Callable, slab: Slab, tmp_path: Path, ingested: Path) -> None:
    labels = label_file(tmp_path, slab.labels, lambda a, m: (a, m))
    (tmp_path / "drawn.json").write_text('{"liver": 1, "liver": 2}')
    refused(liverimg("pre", slab.study, "--out", ingested, "--labels", labels), 3, "twice")


def test_measuring_labels_that_belong_to_other_volumes(liverimg: Callable, assessed_slab: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(assessed_slab, tmp_path / "copy"))
    numbers = (out / "measurements.json").read_bytes()
    record = json.loads((out / "provenance" / "segment.json").read_text())
    record["reads"]["volumes"] = "of a study that was exported again since"
    (out / "provenance" / "segment.json").write_text(json.dumps(record))
    refused(liverimg("measure", out), 2, "volumes changed")
    (out / "provenance" / "segment.json").unlink()
    refused(liverimg("measure", out), 2, "segment", "not whole")
    assert (out / "measurements.json").read_bytes() == numbers


def test_measuring_after_ingest_alone_was_run_again(
    liverimg: Callable, slab: Slab, assessed_slab: Path, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(assessed_slab, tmp_path / "copy"))
    (out / "measurements.json").unlink()
    assert liverimg("ingest", slab.study, "--out", out).code == 0
    assert liverimg("measure", out).code == 0
    assert (out / "measurements.json").read_bytes() == (assessed_slab / "measurements.json").read_bytes()
