"""The stage that draws: other phases, bands of this very image, findings, and what becomes of them afterwards."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from monai.inferers import SlidingWindowInferer

from liverimg.core.errors import InputRefusedError
from liverimg.core.grid import Grid
from liverimg.core.labels import QualityCode, Structure
from liverimg.core.study import Modality, Phase, Series, Study
from liverimg.core.volume import Quantity, Volume
from liverimg.dicom.write import SeriesHeader, StudyHeader, uid_from, write_series
from liverimg.pipeline.recipe import Recipe, load_recipe
from liverimg.pipeline.runner import State, run
from liverimg.segmentation.bundle import Bundle, Pass
from liverimg.segmentation.confidence import Calibration
from liverimg.segmentation.intensity import UNSEEN, Intensity
from liverimg.stages.artefacts import read_labels, read_quality
from liverimg.stages.companions import choose_companions
from liverimg.stages.segment import Settings
from liverimg.stages.stage import settings_record
from liverimg.workspace import Workspace

STUDY = StudyHeader("PHANTOM^GREYS", "PHANTOM-1", uid_from("study", "greys"), "20260101", "090000")
GRID = Grid.from_axes(
    (40, 48, 60), spacing_mm=(4, 5, 5), origin_lps_mm=(-150, -120, 0), frame_of_reference_uid="1.2.826.0.1.3680043.8.1"
)
BODY_HU, LIVER_HU, TUMOUR_HU = -40.0, 100.0, 200.0
SHARP_MM, SOFT_MM = np.array([-70.0, 0.0, 100.0]), np.array([10.0, 0.0, 60.0])


def _ball(centre_lps_mm: np.ndarray, radius_mm: float) -> np.ndarray:
    points = GRID.index_to_lps_mm(np.moveaxis(np.indices(GRID.shape), 0, -1))
    return np.clip((radius_mm - np.linalg.norm(points - centre_lps_mm, axis=-1)) / 5 + 0.5, 0, 1)


def _image(*, moved_mm: float = 0.0, contrast: float = 1.0) -> Volume:
    """A trunk with a liver of about 1.4 l and two tumours, one of them with a washed-out border."""
    up = np.array([0, 0, moved_mm])
    x, y, _ = np.moveaxis(GRID.index_to_lps_mm(np.moveaxis(np.indices(GRID.shape), 0, -1)), -1, 0)
    hu = np.where((x / 140) ** 2 + (y / 110) ** 2 <= 1, BODY_HU, -1000.0)
    liver = _ball(np.array([-30.0, 0.0, 80.0]) + up, 70)
    hu += liver * (LIVER_HU - BODY_HU)
    hu += contrast * (TUMOUR_HU - LIVER_HU) * _ball(SHARP_MM + up, 14)
    soft = np.mean([_ball(SOFT_MM + up, r) for r in (8, 12, 16, 20)], axis=0)
    hu += contrast * (TUMOUR_HU - LIVER_HU) * soft
    hu += np.random.default_rng(4).normal(0, 2, GRID.shape)
    return Volume(hu.astype(np.int16), GRID, Quantity.HU)


class Greys(torch.nn.Module):
    """Liver from the first image, tumour from the brightest of all."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        half = ((LIVER_HU + BODY_HU) / 2 + 200) / 250 - 1
        high = ((LIVER_HU + TUMOUR_HU) / 2 + 200) / 250 - 1
        liver = 20 * (image[:, :1] - half)
        tumour = 20 * (image.amax(dim=1, keepdim=True) - high) + liver
        return torch.cat([torch.zeros_like(liver), liver, tumour], dim=1)


def _bundle(*, factor: float | None = None) -> Bundle:
    def one(name: str, inputs: tuple[str, ...], calibration: Calibration | None) -> Pass:
        return Pass(
            name=name,
            spacing_mm=5.0 if name == "coarse" else 3.0,
            inputs=inputs,
            intensity=Intensity("window", -200, 300),
            channels={1: Structure.LIVER, 2: Structure.TUMOUR} if name == "fine" else {1: Structure.LIVER},
            around_mm=None if name == "coarse" else 15.0,
            network=Greys() if name == "fine" else torch.nn.Sequential(Greys(), _FirstTwo()),
            inferer=SlidingWindowInferer(roi_size=(48, 48, 64), overlap=0.2, cval=UNSEEN),
            calibration=calibration,
        )

    factors = {Structure.LIVER: factor, Structure.TUMOUR: factor} if factor else {}
    calibration = Calibration((0.1, 0.9), factors) if factor else None
    return Bundle(
        name="greys",
        version="0",
        modalities=(Modality.CT,),
        passes=(one("coarse", ("reference",), None), one("fine", ("reference", "arterial"), calibration)),
        values={Structure.LIVER: 1, Structure.TUMOUR: 2, Structure.BILE_DUCT: 5},
        surface_error_mm={Structure.LIVER: 9.0, Structure.TUMOUR: 9.0},
        device=torch.device("cpu"),
    )


class _FirstTwo(torch.nn.Module):
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.cat([image[:, :1], image[:, 1:].amax(dim=1, keepdim=True)], dim=1)


def _write(folder: Path, volumes: Mapping[str, Volume]) -> Path:
    for number, (phase, volume) in enumerate(volumes.items(), start=2):
        uid = uid_from("series", "greys", phase)
        header = SeriesHeader(Modality.CT, number, uid, f"Abd {phase}", "100000")
        write_series(volume, folder / phase, study=STUDY, series=header, compressed=False)
    return folder


@pytest.fixture
def draw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Workspace]:
    """Runs ingest, segment and measure on a study of the given volumes with a given bundle."""

    def call(
        volumes: Mapping[str, Volume], bundle: Bundle, *, out: str = "out", labels: Path | None = None
    ) -> Workspace:
        monkeypatch.setattr("liverimg.segmentation.warm.warm_bundle", lambda folder, device: bundle)
        study = tmp_path / "study"
        if not study.exists():
            _write(study, volumes)
        phases = {uid_from("series", "greys", phase): Phase(phase) for phase in volumes}
        recipe = (
            load_recipe("pre_ablation", only=["ingest", "segment", "measure"])
            .with_settings("ingest", study=study, phases=phases, labels=labels)
            .with_settings("segment", model=tmp_path / "model", labels=labels)
        )
        (tmp_path / "model").mkdir(exist_ok=True)
        call.outcomes = run(recipe, tmp_path / out)
        return Workspace(tmp_path / out)

    return call


def _json(workspace: Workspace, name: str) -> dict:
    return json.loads((workspace.folder / name).read_text())


def _half_width(measured: dict, lesion: str, name: str = "axial_long_diameter") -> float:
    quantities = next(x for x in measured["lesions"] if x["id"] == lesion)["quantities"]
    found = next(q for q in quantities if q["name"] == name)
    return found["value"] - found["low"]


def test_a_lesion_s_own_doubt_becomes_its_band(draw: Callable[..., Workspace]) -> None:
    pooled = draw({"portal_venous": _image()}, _bundle(), out="pooled")
    own = draw({"portal_venous": _image()}, _bundle(factor=0.8), out="own")
    assert _json(pooled, "label_quality.json")["lesion_error_mm"] == {}
    quality = _json(own, "label_quality.json")
    assert set(quality["lesion_error_mm"]) == {"L1", "L2"}
    places = {x["id"]: x["centroid_lps_mm"] for x in _json(own, "measurements.json")["lesions"]}
    soft = min(places, key=lambda name: np.linalg.norm(np.subtract(places[name], SOFT_MM)))
    sharp = "L1" if soft == "L2" else "L2"
    assert quality["lesion_error_mm"][soft] > 1.3 * quality["lesion_error_mm"][sharp]
    assert quality["surface_error_mm"]["tumour"] == max(quality["lesion_error_mm"].values())
    assert quality["surface_error_mm"]["liver"] < 9.0
    before, after = (_json(w, "measurements.json") for w in (pooled, own))
    for lesion in (soft, sharp):
        error = quality["lesion_error_mm"][lesion]
        grid_part = _half_width(before, lesion) ** 2 - 2 * 9.0**2
        assert _half_width(after, lesion) == pytest.approx(np.sqrt(grid_part + 2 * error**2), abs=0.05)


def test_the_confidence_lies_on_the_labels_grid_and_is_low_at_the_border(draw: Callable[..., Workspace]) -> None:
    out = draw({"portal_venous": _image()}, _bundle())
    labels = nibabel.load(out.folder / "labels.nii.gz")
    confidence = nibabel.load(out.folder / "confidence.nii.gz")
    assert np.allclose(labels.affine, confidence.affine)
    percent, drawn = np.asarray(confidence.dataobj), np.asarray(labels.dataobj)
    assert percent.dtype == np.uint8
    assert percent.max() <= 100
    liver = drawn == 1
    from scipy.ndimage import binary_erosion

    inner = binary_erosion(liver, iterations=2)
    assert percent[inner].mean() > percent[liver & ~binary_erosion(liver)].mean() + 10


def test_another_phase_shows_what_the_reference_does_not(draw: Callable[..., Workspace]) -> None:
    plain, arterial = _image(contrast=0.0), _image(moved_mm=16.0)
    alone = draw({"portal_venous": plain}, _bundle(), out="alone")
    assert _json(alone, "measurements.json")["lesions"] == []
    (alone.folder.parent / "study").rename(alone.folder.parent / "study_alone")
    out = draw({"portal_venous": plain, "arterial": arterial}, _bundle(), out="both")
    notes = " ".join(_json(out, "label_quality.json")["notes"])
    assert "arterial phase (moved by 1" in notes
    lesions = _json(out, "measurements.json")["lesions"]
    apart = [min(np.linalg.norm(np.subtract(x["centroid_lps_mm"], c)) for x in lesions) for c in (SHARP_MM, SOFT_MM)]
    assert max(apart) < 4.0, "in the place where the reference has it"


def test_a_phase_that_does_not_fit_is_a_finding(draw: Callable[..., Workspace]) -> None:
    empty = _image()
    nothing = Volume(np.full(GRID.shape, -40, np.int16), GRID, Quantity.HU)
    out = draw({"portal_venous": empty, "arterial": nothing}, _bundle())
    findings = _json(out, "label_quality.json")["findings"]
    told = [f["sentence"] for f in findings if f["code"] == QualityCode.PHASE_LEFT_OUT]
    assert told == ["The arterial phase was not shown to the model: no liver was found on it."]
    assert told[0] in _json(out, "measurements.json")["warnings"]


def test_what_was_not_found_is_unknown_and_told(draw: Callable[..., Workspace]) -> None:
    out = draw({"portal_venous": _image()}, _bundle())
    quality = _json(out, "label_quality.json")
    assert QualityCode.DUCTS_NOT_VISIBLE in [f["code"] for f in quality["findings"]]
    ducts = next(
        q for q in _json(out, "measurements.json")["lesions"][0]["quantities"] if q["name"] == "distance_to_bile_duct"
    )
    assert "not_measured" in ducts
    assert "value" not in ducts


def test_labels_from_elsewhere_leave_no_confidence_behind(draw: Callable[..., Workspace]) -> None:
    volumes = {"portal_venous": _image()}
    out = draw(volumes, _bundle())
    mine = out.folder.parent / "mine.nii.gz"
    mine.write_bytes((out.folder / "labels.nii.gz").read_bytes())
    (out.folder.parent / "mine.json").write_text(json.dumps({"liver": 1, "tumour": 2}))
    draw(volumes, _bundle(), labels=mine)
    assert not (out.folder / "confidence.nii.gz").exists()
    draw(volumes, _bundle(), labels=mine)
    assert {o.state for o in draw.outcomes} == {State.FRESH}
    draw(volumes, _bundle())
    assert (out.folder / "confidence.nii.gz").exists()


def test_a_corrected_structure_loses_its_findings_and_its_errors(draw: Callable[..., Workspace]) -> None:
    out = draw({"portal_venous": _image()}, _bundle(factor=0.8))
    image = nibabel.load(out.folder / "labels.nii.gz")
    array = np.asarray(image.dataobj).copy()
    array[array == 2] = 1
    array[20:24, 20:24, 20:24] = 2
    nibabel.save(nibabel.Nifti1Image(array, image.affine), out.folder / "labels.nii.gz")
    quality = read_quality(out, read_labels(out))
    assert quality.origin == "edited"
    assert dict(quality.lesion_error_mm) == {}
    assert Structure.TUMOUR not in quality.surface_error_mm
    assert quality.by_person(Structure.TUMOUR)
    assert not quality.by_person(Structure.BODY, Structure.FAT), "nobody corrected the outline of the body"
    assert [f.code for f in quality.findings if f.structure is Structure.BILE_DUCT] == [QualityCode.DUCTS_NOT_VISIBLE]


def test_a_tumour_that_nobody_touched_keeps_its_error_when_another_is_corrected(
    draw: Callable[..., Workspace],
) -> None:
    """Else a verdict on one tumour would change because somebody corrected another."""
    out = draw({"portal_venous": _image()}, _bundle(factor=0.8))
    drawn = read_quality(out, read_labels(out))
    own_mm = [drawn.of_lesion(name).surface_error_mm[Structure.TUMOUR] for name in ("L1", "L2")]
    assert min(own_mm) > 0
    image = nibabel.load(out.folder / "labels.nii.gz")
    array = np.asarray(image.dataobj).astype(np.float64)
    array[2:20, 2:20, 2:20] = 2
    # As an editor may save it: another type of number, and an affine of fewer digits.
    affine = image.affine.astype(np.float32).astype(float)
    nibabel.save(nibabel.Nifti1Image(array, affine), out.folder / "labels.nii.gz")
    quality = read_quality(out, read_labels(out))
    assert quality.origin == "edited"
    now = dict(zip(("L1", "L2", "L3"), (0.0, *own_mm), strict=True))
    assert dict(quality.lesion_error_mm) == now, "the new one is the largest and takes the first name"
    assert Structure.TUMOUR in quality.surface_error_mm
    assert "but not L2, L3" in quality.notes[-1]
    array[array == 2] = 1
    nibabel.save(nibabel.Nifti1Image(array, affine), out.folder / "labels.nii.gz")
    assert Structure.TUMOUR not in read_quality(out, read_labels(out)).surface_error_mm


# ---- which series stand for which phase ----


def _series(uid: str, phase: Phase, grid: Grid = GRID, modality: Modality = Modality.CT) -> Series:
    return Series(uid, modality, phase, (), grid)


def _chosen(*others: Series, phases: tuple[Phase, ...] = (Phase.ARTERIAL, Phase.DELAYED)) -> dict[Phase, int]:
    study = Study("1.2", None, (_series("1.2.0", Phase.PORTAL_VENOUS), *others))
    return choose_companions(study, 0, phases=phases, least_view=0.5)


def test_one_series_stands_for_each_phase_the_thinnest_first() -> None:
    thick = Grid.from_axes(
        (20, 48, 60),
        spacing_mm=(8, 5, 5),
        origin_lps_mm=(-150, -120, 0),
        frame_of_reference_uid=GRID.frame_of_reference_uid,
    )
    found = _chosen(
        _series("1.2.1", Phase.ARTERIAL, thick), _series("1.2.2", Phase.ARTERIAL), _series("1.2.3", Phase.DELAYED)
    )
    assert found == {Phase.ARTERIAL: 2, Phase.DELAYED: 3}


def test_series_of_another_kind_or_place_stand_for_nothing() -> None:
    unknown = replace(GRID, frame_of_reference_uid=None)
    foreign = replace(GRID, frame_of_reference_uid="1.2.99")
    away = GRID.cropped((35, 0, 0), GRID.shape)
    assert _chosen(_series("1.2.1", Phase.ARTERIAL, unknown)) == {}
    assert _chosen(_series("1.2.1", Phase.ARTERIAL, foreign)) == {}
    assert _chosen(_series("1.2.1", Phase.ARTERIAL, away)) == {}
    assert _chosen(_series("1.2.1", Phase.ARTERIAL, modality=Modality.MR)) == {}
    assert _chosen(_series("1.2.1", Phase.UNENHANCED)) == {}, "not asked for"
    same = (Phase.PORTAL_VENOUS,)
    assert _chosen(_series("1.2.1", Phase.PORTAL_VENOUS), phases=same) == {}, "the reference is that phase already"


def test_two_unknown_frames_are_not_the_same_place() -> None:
    unknown = replace(GRID, frame_of_reference_uid=None)
    study = Study("1.2", None, (_series("1", Phase.PORTAL_VENOUS, unknown), _series("2", Phase.ARTERIAL, unknown)))
    assert choose_companions(study, 0, phases=(Phase.ARTERIAL,), least_view=0.5) == {}


# ---- a model for each modality ----


def _recipe(tmp_path: Path, model: str) -> Recipe:
    path = tmp_path / "own.toml"
    path.write_text(f'stages = ["segment"]\n[settings.segment]\nmodel = {model}\n')
    return load_recipe(path)


def test_a_recipe_names_one_model_or_one_for_each_modality(tmp_path: Path, repository: Path) -> None:
    one = _recipe(tmp_path, '"liver_ct"').steps[0].resolved()
    assert one.model_for(Modality.CT) == one.model_for(Modality.MR) == repository / "models" / "liver_ct"
    each = _recipe(tmp_path, '{ CT = "liver_ct", MR = "./mine" }').steps[0].resolved()
    assert each.model_for(Modality.CT) == repository / "models" / "liver_ct"
    assert each.model_for(Modality.MR) == Path("mine")
    with pytest.raises(InputRefusedError, match="MR, and the recipe names models for CT only"):
        Settings(model={Modality.CT: Path("liver_ct")}).model_for(Modality.MR)


def test_where_models_lie_is_no_part_of_the_record(tmp_path: Path) -> None:
    for model in ('"liver_ct"', '{ CT = "liver_ct", MR = "/home/doe/mine" }'):
        assert "model" not in settings_record(_recipe(tmp_path, model).steps[0].resolved())
