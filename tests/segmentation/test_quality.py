"""Each finding is made where it is true, and not made where it is not."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, QualityCode, Structure
from liverimg.core.study import Phase
from liverimg.core.volume import Quantity, Volume
from liverimg.files.tables import read_table, structure_styles
from liverimg.segmentation.phases import PlacedPhase
from liverimg.segmentation.quality import Inspection, QualityRules, inspect_labels

RULES = QualityRules.from_table(read_table("segmentation")["quality"])
VALUES = {s: style.value for s, style in structure_styles().items()}
GRID = Grid.from_axes((60, 80, 110), spacing_mm=(4, 3.5, 3.5), origin_lps_mm=(-190, -140, 0))


@dataclass
class Body:
    """A trunk whose parts may be moved about before it is looked at. Places are fractions of the grid (k, j, i)."""

    array: np.ndarray
    hu: np.ndarray

    def put(
        self, structure: Structure, centre: tuple[float, ...], radii_mm: tuple[float, ...], hu: float | None = None
    ) -> None:
        away = [
            ((np.arange(n, dtype=np.float32) - c * n) * mm / r) ** 2
            for n, c, mm, r in zip(GRID.shape, centre, GRID.spacing_mm, radii_mm, strict=True)
        ]
        inside = sum(np.ix_(*away)) <= 1
        self.array[inside] = VALUES[structure]
        if hu is not None:
            self.hu[inside] += hu - 50

    def look(self, *, grid: Grid = GRID, turned: Callable[[np.ndarray], np.ndarray] = np.array, **more) -> Inspection:
        labels = LabelMap(turned(self.array), grid, VALUES)
        return inspect_labels(labels, Volume(turned(self.hu), grid, Quantity.HU), RULES, **more)


def a_body(*, veins_hu: float = 120, noise_hu: float = 8) -> Body:
    body = Body(
        np.zeros(GRID.shape, np.uint8),
        np.random.default_rng(1).normal(50, noise_hu, GRID.shape).astype(np.float32),
    )
    body.put(Structure.BODY, (0.5, 0.5, 0.5), (10_000, 110, 170))
    body.put(Structure.BONE, (0.5, 0.75, 0.5), (10_000, 18, 18))
    body.put(Structure.LUNG, (0.95, 0.5, 0.5), (40, 70, 120))
    body.put(Structure.KIDNEY, (0.15, 0.65, 0.3), (35, 25, 25))
    body.put(Structure.LIVER, (0.55, 0.45, 0.33), (60, 75, 80))
    body.put(Structure.HEPATIC_VEIN, (0.6, 0.45, 0.33), (8, 40, 8), veins_hu)
    body.put(Structure.PORTAL_VEIN, (0.5, 0.45, 0.33), (8, 9, 40), veins_hu)
    body.put(Structure.BILE_DUCT, (0.45, 0.45, 0.33), (5, 5, 20))
    body.put(Structure.GALLBLADDER, (0.35, 0.35, 0.33), (15, 12, 12))
    return body


def codes(found: Inspection) -> set[QualityCode]:
    return {f.code for f in found.findings}


def sentence(found: Inspection, code: QualityCode) -> str:
    return next(f.sentence for f in found.findings if f.code is code)


def test_a_sound_image_has_no_finding() -> None:
    found = a_body().look(confidence=np.full(GRID.shape, 96, np.uint8))
    assert found.findings == ()
    assert dict(found.not_visible) == {}


def test_no_liver_is_the_only_thing_to_say() -> None:
    body = a_body()
    body.array[np.isin(body.array, [VALUES[s] for s in ("liver", "hepatic_vein", "portal_vein", "bile_duct")])] = 0
    assert codes(body.look()) == {QualityCode.NO_LIVER_IN_VIEW}


@pytest.mark.parametrize(("axis", "end", "words"), [(0, -1, "head"), (0, 0, "feet"), (2, 0, "right")])
def test_a_liver_that_leaves_the_view_is_a_lower_bound(axis: int, end: int, words: str) -> None:
    body = a_body()
    liver = np.argwhere(body.array == VALUES[Structure.LIVER])[:, axis]
    # Everything beyond a plane through the liver is cut away.
    cut = int(np.percentile(liver, 20 if end == 0 else 80))
    kept = [slice(None)] * 3
    kept[axis] = slice(cut, None) if end == 0 else slice(None, cut)
    array, hu = body.array[tuple(kept)], body.hu[tuple(kept)]
    start = [s.start or 0 for s in kept]
    grid = GRID.cropped(start, array.shape)
    found = inspect_labels(LabelMap(array, grid, VALUES), Volume(hu, grid, Quantity.HU), RULES)
    assert QualityCode.LIVER_CUT_OFF in codes(found)
    told = sentence(found, QualityCode.LIVER_CUT_OFF)
    assert f"towards the {words} (" in told
    whole = np.isin(array, [VALUES[s] for s in ("liver", "hepatic_vein", "portal_vein", "bile_duct")])
    assert f"at least {whole.sum() * GRID.voxel_ml:.0f} ml" in told


def test_a_liver_of_no_adult_is_told() -> None:
    small = a_body()
    small.array[small.array == VALUES[Structure.LIVER]] = VALUES[Structure.BODY]
    small.put(Structure.LIVER, (0.55, 0.45, 0.33), (40, 40, 40))
    assert QualityCode.LIVER_VOLUME_IMPLAUSIBLE in codes(small.look())
    large = a_body()
    large.put(Structure.LIVER, (0.5, 0.5, 0.45), (110, 100, 150))
    assert QualityCode.LIVER_VOLUME_IMPLAUSIBLE in codes(large.look())


def test_a_doubtful_liver_is_told_whatever_the_rest() -> None:
    body = a_body()
    confidence = np.full(GRID.shape, 99, np.uint8)
    confidence[body.array == VALUES[Structure.LIVER]] = 60
    assert QualityCode.MODEL_UNSURE in codes(body.look(confidence=confidence))


@pytest.mark.parametrize(
    ("axis", "code"),
    [
        (0, QualityCode.UPSIDE_DOWN),
        (1, QualityCode.FRONT_TO_BACK),
        (2, QualityCode.LIVER_ON_THE_LEFT),
    ],
)
def test_an_image_against_its_headers_is_told(axis: int, code: QualityCode) -> None:
    body = a_body()
    found = body.look(turned=lambda a: np.flip(a, axis=axis).copy())
    assert {QualityCode.UPSIDE_DOWN, QualityCode.FRONT_TO_BACK, QualityCode.LIVER_ON_THE_LEFT} & codes(found) == {code}


def test_feet_first_and_prone_with_true_headers_are_nothing_to_tell() -> None:
    body = a_body()
    affine = np.array(GRID.affine)
    for axis in (0, 1, 2):
        affine[:3, 3] += affine[:3, axis] * (GRID.shape[axis] - 1)
        affine[:3, axis] *= -1
    turned = body.look(grid=Grid(GRID.shape, affine), turned=lambda a: np.flip(a).copy())
    assert turned == body.look()


@pytest.mark.parametrize("veins_hu", [50, 55, 45])
def test_veins_without_contrast_are_unknown_and_not_far(veins_hu: float) -> None:
    found = a_body(veins_hu=veins_hu).look()
    assert set(found.not_visible) == {Structure.HEPATIC_VEIN, Structure.PORTAL_VEIN}
    assert "unknown, not far" in found.not_visible[Structure.HEPATIC_VEIN]
    assert [f.structure for f in found.findings] == [Structure.HEPATIC_VEIN, Structure.PORTAL_VEIN]
    assert codes(found) == {QualityCode.VESSELS_NOT_VISIBLE}


def test_dark_veins_are_visible_too_and_noise_hides_them() -> None:
    assert not a_body(veins_hu=20).look().not_visible
    # Averaged over voxels of 4 mm by nothing: the noise is the image's own.
    assert set(a_body(veins_hu=20, noise_hu=40).look().not_visible) == {Structure.HEPATIC_VEIN, Structure.PORTAL_VEIN}


def test_what_another_phase_shows_is_visible() -> None:
    hidden, shown = a_body(veins_hu=50), a_body(veins_hu=120)
    phase = PlacedPhase(Phase.PORTAL_VENOUS, Volume(shown.hu, GRID, Quantity.HU))
    assert not hidden.look(phases=(phase,)).not_visible
    left_out = PlacedPhase(Phase.PORTAL_VENOUS, None, left_out="it was elsewhere")
    assert hidden.look(phases=(left_out,)).not_visible


def test_what_is_not_drawn_is_told_by_its_name_and_not_of_a_person_s_labels() -> None:
    body = a_body()
    for structure in (Structure.BILE_DUCT, Structure.GALLBLADDER, Structure.HEPATIC_VEIN):
        body.array[body.array == VALUES[structure]] = VALUES[Structure.LIVER]
    found = body.look()
    assert codes(found) == {
        QualityCode.VESSELS_NOT_VISIBLE,
        QualityCode.DUCTS_NOT_VISIBLE,
        QualityCode.GALLBLADDER_NOT_SEEN,
    }
    assert set(found.not_visible) == {Structure.HEPATIC_VEIN}
    assert body.look(by_model=False).findings == ()


def test_thick_slices_and_noise_are_told() -> None:
    thick = Grid.from_axes(GRID.shape, spacing_mm=(7.5, 3.5, 3.5), origin_lps_mm=(-190, -140, 0))
    assert QualityCode.THICK_SLICES in codes(a_body().look(grid=thick))
    assert codes(a_body(noise_hu=45, veins_hu=200).look()) == {QualityCode.NOISE_HIGH}


def test_every_finding_is_documented(repository) -> None:
    page = (repository / "docs" / "reference" / "quality-findings.md").read_text(encoding="utf-8")
    assert [code for code in QualityCode if f"`{code}`" not in page] == []
