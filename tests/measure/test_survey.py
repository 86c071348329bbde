"""Everything together: an abdomen of simple bodies, and every way in which labels can be wrong."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from liverimg.core.errors import GridMismatchError
from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, LabelQuality, Structure
from liverimg.core.measurement import Measurement, NotMeasured, find
from liverimg.core.orientation import Orientation
from liverimg.core.volume import Quantity, Volume
from liverimg.measure.survey import survey

from .shapes import Capsule, Ellipsoid, centres, sphere

EXACT = LabelQuality("external")
CODES = {
    Structure.LIVER: 1,
    Structure.TUMOUR: 2,
    Structure.HEPATIC_VEIN: 3,
    Structure.PORTAL_VEIN: 4,
    Structure.BILE_DUCT: 5,
    Structure.SPLEEN: 9,
    Structure.ASCITES: 18,
    Structure.BODY: 23,
}
GRID = Grid.from_axes((32, 84, 100), spacing_mm=(3.0, 1.4, 1.3), origin_lps_mm=(-65.0, -58.0, -46.0))
BODY_MM = (58.0, 50.0)
TUMOUR = sphere((-14.0, -5.0, 0.3), 9.0)
VEIN = Capsule(np.array([-30.0, 13.0, -12.0]), np.array([8.0, 13.0, 12.0]), 3.0)
LIVER = Ellipsoid(np.array([-12.0, 0.0, 0.0]), np.array([34.0, 28.0, 33.0]), np.eye(3))
SPLEEN = sphere((38.0, 12.0, 2.0), 11.0)


def abdomen(grid=GRID):
    points = centres(grid)
    array = np.zeros(grid.shape, np.uint8)
    array[(points[..., 0] / BODY_MM[0]) ** 2 + (points[..., 1] / BODY_MM[1]) ** 2 <= 1] = 23
    array[LIVER.holds(points)] = 1
    array[SPLEEN.holds(points)] = 9
    array[VEIN.holds(points)] = 3
    array[TUMOUR.holds(points)] = 2
    return array


@pytest.fixture(scope="module")
def array():
    return abdomen()


def measured(array, settings, grid=GRID, quality=EXACT, codes=CODES, lesions=None, volume=None):
    return survey(volume, LabelMap(array, grid, codes, lesions or {}), quality, settings=settings)


def holds(quantity, truth):
    """Whether the truth lies within twice the band: of single numbers one in twenty misses it, and none by far."""
    assert isinstance(quantity, Measurement), quantity
    down, up = quantity.value - quantity.low, quantity.high - quantity.value
    return quantity.value - 2 * down <= truth <= quantity.value + 2 * up


def test_every_number_holds_the_truth(array, settings):
    found = measured(array, settings)
    (lesion,) = found.lesions
    assert found.warnings == ()
    vein_mm = float(VEIN.gap(TUMOUR.centre)) - 9
    assert holds(lesion.quantity("axial_long_diameter"), 18)
    assert holds(lesion.quantity("volume"), TUMOUR.volume_ml)
    assert holds(lesion.quantity("distance_to_hepatic_vein"), vein_mm)
    angle = np.linspace(0, 2 * np.pi, 200_001)
    skin = np.stack([BODY_MM[0] * np.cos(angle), BODY_MM[1] * np.sin(angle)], axis=1)
    centre_mm = float(np.linalg.norm(skin - TUMOUR.centre[:2], axis=1).min())
    assert holds(lesion.quantity("depth_from_skin_near"), centre_mm - 9)
    assert holds(lesion.quantity("depth_from_skin_centre"), centre_mm)
    assert holds(find(found.organs, "spleen_volume", target="spleen"), SPLEEN.volume_ml)
    assert holds(find(found.organs, "liver_volume", target="liver"), LIVER.volume_ml)
    assert find(found.organs, "tumour_count", target="tumour").value == 1
    share = find(found.organs, "tumour_share_of_liver", target="liver")
    assert holds(share, TUMOUR.volume_ml / LIVER.volume_ml)
    largest = find(found.organs, "largest_tumour_diameter", target="tumour")
    assert largest.value == lesion.quantity("axial_long_diameter").value


def test_evidence_points_lie_on_the_surfaces_they_name(array, settings):
    (lesion,) = measured(array, settings).lesions
    vein = lesion.quantity("distance_to_hepatic_vein")
    roles = [p.role for p in vein.evidence]
    assert roles == ["on_tumour", "on_hepatic_vein"]
    on_tumour, on_vein = (np.array(p.lps_mm) for p in vein.evidence)
    assert abs(np.linalg.norm(on_tumour - TUMOUR.centre) - 9) < 0.8
    assert abs(float(VEIN.gap(on_vein))) < 0.8
    assert np.linalg.norm(on_vein - on_tumour) == pytest.approx(vein.value, abs=1e-4)
    near = lesion.quantity("depth_from_skin_near")
    x, y, _ = near.evidence[1].lps_mm
    assert np.hypot(x / BODY_MM[0], y / BODY_MM[1]) == pytest.approx(1, abs=0.02)


def test_wall_runs_from_skin_to_liver(array, settings):
    (lesion,) = measured(array, settings).lesions
    wall = lesion.quantity("abdominal_wall_thickness")
    near = lesion.quantity("depth_from_skin_near")
    skin, tumour = (np.array(p.lps_mm) for p in reversed(near.evidence))
    shares = np.linspace(0, 1, 20_001)
    along = skin + shares[:, None] * (tumour - skin)
    truth = float(shares[np.argmax(LIVER.holds(along))]) * near.value
    assert holds(wall, truth)
    assert [p.role for p in wall.evidence] == ["on_skin", "on_liver"]


def test_what_blocks_the_shortest_line_is_named(array, settings):
    free = measured(array, settings)
    assert not any("crosses" in warning for warning in free.warnings)
    near = free.lesions[0].quantity("depth_from_skin_near")
    tumour, skin = (np.array(p.lps_mm) for p in near.evidence)
    along = (skin - tumour) / np.linalg.norm(skin - tumour)
    depth = (centres(GRID) - tumour) @ along
    ribs = array.copy()
    ribs[(array == 23) & (depth > near.value - 14) & (depth < near.value - 5)] = 15
    blocked = measured(ribs, settings, codes=CODES | {Structure.BONE: 15})
    (warning,) = (w for w in blocked.warnings if "crosses" in w)
    # What the line really passes through: whole voxels of the slab of 9 mm.
    fine = GRID.lps_mm_to_index(tumour + np.linspace(0, 1, 20_001)[:, None] * (skin - tumour))
    bone_mm = float((ribs[tuple(np.rint(fine).astype(int).T)] == 15).mean()) * near.value
    assert bone_mm == pytest.approx(9, abs=1.5)
    assert f"L1 crosses {bone_mm:.0f} mm of bone" in warning
    assert f"here {bone_mm:.0f} mm of bone" in blocked.lesions[0].quantity("abdominal_wall_thickness").method


def test_an_ablation_zone_is_announced_and_a_centre_is_not_called_surface(array, settings):
    treated = array.copy()
    treated[SPLEEN.holds(centres(GRID))] = 19
    found = measured(treated, settings, codes=CODES | {Structure.ABLATION_ZONE: 19})
    assert any("ablation zone is drawn" in w for w in found.warnings)
    assert not any("ablation zone" in w for w in measured(array, settings).warnings)
    centre = found.lesions[0].quantity("depth_from_skin_centre")
    assert [p.role for p in centre.evidence] == ["tumour_centre", "on_skin"]


def test_capsule_distance_counts_enclosed_vessels_as_liver(array, settings):
    (lesion,) = measured(array, settings).lesions
    surface = LIVER.centre + _on_unit_sphere(40_000) * LIVER.semi_axes_mm
    truth = float(np.linalg.norm(surface - TUMOUR.centre, axis=1).min()) - 9
    assert lesion.quantity("distance_to_liver_capsule").value == pytest.approx(truth, abs=0.7)


def _on_unit_sphere(count):
    directions = np.random.default_rng(0).normal(size=(count, 3))
    return directions / np.linalg.norm(directions, axis=1)[:, None]


def plain(found):
    """Numbers of a result, for comparison up to rounding."""
    rows = {}
    for lesion in found.lesions:
        for q in lesion.quantities:
            rows[(lesion.id, q.name)] = q.reason if isinstance(q, NotMeasured) else (q.value, q.low, q.high)
    for q in found.organs:
        rows[("study", q.name)] = q.reason if isinstance(q, NotMeasured) else (q.value, q.low, q.high)
    return rows


def assert_same(one, other, tolerance=2e-5):
    one, other = plain(one), plain(other)
    assert one.keys() == other.keys()
    for key, value in one.items():
        if isinstance(value, str):
            assert other[key] == value
        else:
            np.testing.assert_allclose(other[key], value, atol=tolerance, err_msg=str(key))


@pytest.fixture(scope="module")
def whole(array, settings):
    return measured(array, settings)


@hypothesis_settings(max_examples=8, deadline=None)
@given(order=st.permutations(range(3)), flips=st.tuples(*[st.booleans()] * 3))
def test_flips_and_permutations_change_nothing(order, flips, array, whole, settings):
    turn = Orientation(tuple(order), flips)
    turned = np.ascontiguousarray(turn.turn(array))
    assert_same(whole, measured(turned, settings, grid=turn.turn_grid(GRID)))


def test_cropping_away_from_everything_changes_nothing(array, whole, settings):
    cropped = measured(array[:, 2:-2, 2:-2], settings, grid=GRID.cropped((0, 2, 2), (32, 80, 96)))
    assert_same(whole, cropped)


def test_a_structure_that_is_not_seen_is_unknown_and_never_far(array, settings):
    codes = {s: v for s, v in CODES.items() if s is not Structure.BILE_DUCT}
    reason = "intrahepatic ducts are not widened on this phase"
    quality = LabelQuality("model", not_visible={Structure.HEPATIC_VEIN: reason})
    (lesion,) = measured(array, settings, codes=codes, quality=quality).lesions
    duct, portal, vein = (
        lesion.quantity(f"distance_to_{name}") for name in ("bile_duct", "portal_vein", "hepatic_vein")
    )
    assert isinstance(duct, NotMeasured) and "not looked for" in duct.reason
    assert isinstance(portal, NotMeasured) and "none is drawn" in portal.reason and "not far" in portal.reason
    assert isinstance(vein, NotMeasured) and vein.reason == reason


def test_a_touching_vessel_has_distance_near_zero_and_zero_in_its_band(array, settings):
    touching = array.copy()
    points = centres(GRID)
    beside = (np.linalg.norm(points - TUMOUR.centre, axis=-1) <= 14) & (points[..., 1] > 0) & (touching != 2)
    touching[beside] = 4
    (lesion,) = measured(touching, settings).lesions
    portal = lesion.quantity("distance_to_portal_vein")
    assert portal.low <= 0 <= portal.high, "signed: labels tell of contact, not of a breached wall"
    assert portal.value < 0.7
    assert "touch" in portal.method


def test_skin_cut_off_by_the_field_of_view(array, settings):
    cut = array[:, :, 26:]  # the patient's right side, next to the tumour, is out of view
    (lesion,) = measured(cut, settings, grid=GRID.cropped((0, 0, 26), cut.shape)).lesions
    for name in ("depth_from_skin_near", "depth_from_skin_centre", "abdominal_wall_thickness"):
        quantity = lesion.quantity(name)
        assert isinstance(quantity, NotMeasured)
        assert "skin not in view" in quantity.reason


def test_skin_beyond_the_far_side_does_not_matter(array, settings):
    cut = array[:, :, :-12]  # the patient's left side
    (whole,) = measured(array, settings).lesions
    (lesion,) = measured(cut, settings, grid=GRID.cropped((0, 0, 0), cut.shape)).lesions
    assert lesion.quantity("depth_from_skin_near").value == whole.quantity("depth_from_skin_near").value


def test_no_body_outline(array, settings):
    codes = {s: v for s, v in CODES.items() if s is not Structure.BODY}
    bare = np.where(array == 23, 0, array).astype(np.uint8)
    (lesion,) = measured(bare, settings, codes=codes).lesions
    assert "not drawn" in lesion.quantity("depth_from_skin_near").reason
    (lesion,) = measured(bare, settings).lesions
    assert "no voxel" in lesion.quantity("depth_from_skin_near").reason


def test_holes_and_arms_are_not_skin(array, settings):
    (plain_lesion,) = measured(array, settings).lesions
    altered = array.copy()
    altered[8:24, 20:24, 40:44] = 0  # unlabelled gas in front of the tumour
    altered[8:24, 1:4, 1:20] = 23  # an arm, apart from the body
    (lesion,) = measured(altered, settings).lesions
    for name in ("depth_from_skin_near", "depth_from_skin_far"):
        assert lesion.quantity(name).value == pytest.approx(plain_lesion.quantity(name).value, abs=1e-6)


def test_tumour_outside_the_liver(array, settings):
    altered = np.where(array == 2, 1, array).astype(np.uint8)
    altered[sphere((38.0, -18.0, 0.0), 6).holds(centres(GRID))] = 2
    found = measured(altered, settings)
    (lesion,) = found.lesions
    assert "L1 lies outside the liver." in found.warnings
    assert "outside the liver" in lesion.quantity("distance_to_liver_capsule").reason
    assert holds(find(found.organs, "liver_volume", target="liver"), LIVER.volume_ml)


def test_empty_masks_have_a_defined_answer(array, settings):
    nothing = measured(np.zeros_like(array), settings)
    assert nothing.lesions == ()
    assert "No tumour is drawn; that does not prove that there is none." in nothing.warnings
    assert "No liver is drawn." in nothing.warnings
    assert isinstance(find(nothing.organs, "liver_volume", target="liver"), NotMeasured)
    assert find(nothing.organs, "tumour_count", target="tumour").value == 0
    assert isinstance(find(nothing.organs, "largest_tumour_diameter", target="tumour"), NotMeasured)

    no_tumour_key = measured(array, settings, codes={Structure.LIVER: 1, Structure.BODY: 23})
    assert "Tumours were not looked for in these labels." in no_tumour_key.warnings
    assert isinstance(find(no_tumour_key.organs, "tumour_count", target="tumour"), NotMeasured)


def test_specks_are_counted_aloud(array, settings):
    speckled = array.copy()
    speckled[10, 40, 60] = 2
    found = measured(speckled, settings)
    assert len(found.lesions) == 1
    assert any("smaller than 0.05 ml" in w for w in found.warnings)


def test_one_voxel_lesion(array, settings):
    single = np.where(array == 2, 1, array).astype(np.uint8)
    single[16, 40, 40] = 2
    found = measured(single, replace(settings, minimum_lesion_volume_ml=0.0))
    (lesion,) = found.lesions
    assert "single voxel" in lesion.quantity("axial_long_diameter").reason
    assert isinstance(find(found.organs, "largest_tumour_diameter", target="tumour"), NotMeasured)
    # Where it lies is known, so its distance and its depth are too.
    place = GRID.index_to_lps_mm((16, 40, 40))
    vein = lesion.quantity("distance_to_hepatic_vein")
    assert abs(vein.value - float(VEIN.gap(place))) < 2
    assert isinstance(lesion.quantity("depth_from_skin_centre"), Measurement)


def test_lesion_at_the_image_edge(array, settings):
    cut = array[16:]  # through the middle of the tumour
    found = measured(cut, settings, grid=GRID.cropped((16, 0, 0), cut.shape))
    (lesion,) = found.lesions
    assert "edge of the image" in lesion.quantity("axial_long_diameter").reason
    assert lesion.quantity("distance_to_hepatic_vein").low == 0
    assert any("touches the edge" in w for w in found.warnings)
    assert "edge of the image" in find(found.organs, "liver_volume", target="liver").reason


def test_what_lies_beyond_the_edge_could_be_nearer(array, settings):
    without = np.where(array == 3, 1, array).astype(np.uint8)
    far = Capsule(np.array([-40.0, 27.0, -20.0]), np.array([15.0, 27.0, -20.0]), 2.0)
    without[far.holds(centres(GRID))] = 3
    cut = without[:22]  # the scan ends a little above the tumour
    (lesion,) = measured(cut, settings, grid=GRID.cropped((0, 0, 0), cut.shape)).lesions
    vein = lesion.quantity("distance_to_hepatic_vein")
    assert "not in view" in vein.method
    edge_mm = GRID.index_to_lps_mm((21.5, 0, 0))[2] - (TUMOUR.centre[2] + 9)
    assert vein.low == pytest.approx(edge_mm, abs=0.8)


def test_enclosed_vessels_belong_to_the_liver_and_the_trunk_outside_does_not(array, settings):
    longer = array.copy()
    trunk = Capsule(np.array([8.0, 13.0, 0.0]), np.array([44.0, 34.0, 0.0]), 3.0)
    points = centres(GRID)
    outside = trunk.holds(points) & (longer == 23)
    longer[outside & ~LIVER.holds(points)] = 4
    found = find(measured(longer, settings).organs, "liver_volume", target="liver")
    assert holds(found, LIVER.volume_ml)


def test_ascites(array, settings):
    none = find(measured(array, settings).organs, "ascites_depth", target="ascites")
    assert none.value == 0 and none.high > 0
    pool = array.copy()
    points = centres(GRID)
    shell = (np.abs(points[..., 1] + 36) <= 6) & (np.abs(points[..., 0]) < 20) & (pool == 23)
    pool[shell] = 18
    depth = find(measured(pool, settings).organs, "ascites_depth", target="ascites")
    assert depth.value == pytest.approx(12, abs=1.5)
    unseen = measured(array, settings, quality=LabelQuality("model", not_visible={Structure.ASCITES: "dark"}))
    assert find(unseen.organs, "ascites_depth", target="ascites").reason == "dark"


def test_attenuation_is_the_mean_of_the_image(array, settings):
    image = np.where(array == 2, 70, 110).astype(np.int16)
    volume = Volume(image, GRID, Quantity.HU)
    (lesion,) = measured(array, settings, volume=volume).lesions
    assert lesion.quantity("mean_attenuation").value == 70
    with pytest.raises(GridMismatchError, match="resample"):
        measured(array, settings, volume=Volume(image[1:], GRID.cropped((1, 0, 0), image[1:].shape), Quantity.HU))


def test_settings_want_every_number():
    from liverimg.core.errors import RecordInvalidError
    from liverimg.measure.settings import MeasureSettings

    with pytest.raises(RecordInvalidError, match="minimum_lesion_volume_ml"):
        MeasureSettings.from_table({})
