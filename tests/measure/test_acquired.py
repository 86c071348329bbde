"""What is known of how the slices were acquired reaches bands, measurability and evidence."""

from dataclasses import replace

import numpy as np
import pytest

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, LabelQuality, Structure
from liverimg.core.study import Modality, Phase, Series, Study
from liverimg.core.volume import Quantity
from liverimg.files.result_records import quantity_from_record, quantity_to_record
from liverimg.files.study_records import study_from_record, study_to_record
from liverimg.measure.acquired import Acquired
from liverimg.measure.survey import survey

from .shapes import centres, sphere

GRID = Grid.from_axes((24, 60, 60), spacing_mm=(2.5, 0.9, 0.9), origin_lps_mm=(-27.0, -27.0, -30.0))
SLICES = tuple(f"1.2.3.{k}" for k in range(24))
LENGTHS = ("axial_long_diameter", "maximum_3d_diameter", "craniocaudal_extent", "depth_from_skin_near")
VOLUMES = ("volume", "mesh_volume")


def labels_of(radius_mm=8.0):
    points = centres(GRID)
    array = np.where(np.hypot(points[..., 0], points[..., 1]) <= 25, 23, 0).astype(np.uint8)
    array[sphere((2.1, 1.2, 0.7), radius_mm).holds(points)] = 2
    return LabelMap(array, GRID, {Structure.TUMOUR: 2, Structure.BODY: 23})


def lesion_of(settings, acquired, labels=None):
    found = survey(None, labels or labels_of(), LabelQuality("external"), settings=settings, acquired=acquired)
    return found.lesions[0]


def half(quantity):
    return (quantity.high - quantity.low) / 2


def test_slices_made_by_resampling_bring_no_knowledge(settings):
    even, uneven = (lesion_of(settings, Acquired(GRID, None, gap, SLICES)) for gap in (None, 5.0))
    for name in (*LENGTHS, *VOLUMES):
        assert even.quantity(name).value == uneven.quantity(name).value
    for name in ("maximum_3d_diameter", "craniocaudal_extent", *VOLUMES):
        assert half(uneven.quantity(name)) > 1.2 * half(even.quantity(name)), name
    # Lines within a slice know no more and no less.
    line = "axial_long_diameter"
    assert half(uneven.quantity(line)) >= half(even.quantity(line))
    assert half(uneven.quantity("craniocaudal_extent")) >= 2 * half(even.quantity("craniocaudal_extent"))


def test_a_gap_narrower_than_the_slices_widens_nothing(settings):
    even, narrow = (lesion_of(settings, Acquired(GRID, None, gap, SLICES)) for gap in (None, 2.0))
    assert even.quantity("volume").low == narrow.quantity("volume").low


def test_the_gap_lies_across_slices_however_the_labels_are_turned(settings):
    labels = labels_of()
    turned = Grid.from_axes(
        (60, 24, 60),
        spacing_mm=(0.9, 2.5, 0.9),
        directions=((0, 1, 0), (0, 0, 1), (1, 0, 0)),
        origin_lps_mm=(-27.0, -27.0, -30.0),
    )
    assert Acquired(GRID, None, 5.0).band_spacing_mm(turned).tolist() == [0.9, 5.0, 0.9]
    other = LabelMap(np.ascontiguousarray(labels.array.transpose(1, 0, 2)), turned, labels.structures)
    one, two = (lesion_of(settings, Acquired(GRID, None, 5.0), x) for x in (labels, other))
    for name in VOLUMES:
        assert one.quantity(name).high == pytest.approx(two.quantity(name).high)


def test_diameters_name_their_slice_and_nothing_else_does(settings):
    lesion = lesion_of(settings, Acquired(GRID, 2.5, None, SLICES))
    for name in ("axial_long_diameter", "axial_short_diameter"):
        quantity = lesion.quantity(name)
        height = quantity.evidence[2].lps_mm[2]
        assert quantity.slices == (SLICES[round((height + 30) / 2.5)],)
        assert quantity_from_record(quantity_to_record(quantity)).slices == quantity.slices
    assert lesion.quantity("volume").slices == ()
    assert "sop_instance_uids" not in quantity_to_record(lesion.quantity("volume"))


@pytest.mark.parametrize(
    ("acquired", "expected"),
    [
        (None, ()),
        (Acquired(GRID, 2.5, 3.0, SLICES), ()),
        (Acquired(GRID, 2.5, None, SLICES[:7]), ()),
        (Acquired(GRID, 2.5, None, ("1.2.3",)), ("1.2.3",)),
    ],
)
def test_slices_that_are_not_known_are_not_named(settings, acquired, expected):
    assert lesion_of(settings, acquired).quantity("axial_long_diameter").slices == expected


def test_a_place_between_slices_belongs_to_none():
    acquired = Acquired(GRID, None, None, SLICES)
    assert acquired.slices_at(GRID.index_to_lps_mm((5, 1, 1))) == (SLICES[5],)
    assert acquired.slices_at(GRID.index_to_lps_mm((5.5, 1, 1))) == ()
    assert acquired.slices_at(GRID.index_to_lps_mm((-1, 1, 1))) == ()


@pytest.mark.parametrize(
    ("thickness_mm", "measurable", "words"), [(None, 1, "apart"), (5.0, 1, "thick"), (8.0, 0, "16 mm")]
)
def test_measurability_asks_for_the_thickness_of_slices(settings, thickness_mm, measurable, words):
    lesion = lesion_of(settings, Acquired(GRID, thickness_mm, None, SLICES), labels_of(7.0))
    found = lesion.quantity("recist_measurable")
    assert found.value == measurable
    assert words in found.method


def test_slices_with_gaps_between_them_count_with_the_gaps(settings):
    lesion = lesion_of(settings, Acquired(GRID, 2.0, None, SLICES), labels_of(7.0))
    assert "2.5 mm apart" in lesion.quantity("recist_measurable").method


def test_thickness_and_gap_are_kept_with_the_study():
    series = Series("1.2.3", Modality.CT, Phase.UNKNOWN, (), GRID, sop_instance_uids=SLICES)
    for thickness_mm, gap_mm in ((5.0, 3.75), (None, None)):
        kept = replace(series, slice_thickness_mm=thickness_mm, widest_gap_mm=gap_mm)
        study = Study("1.2", "20260101", (kept,))
        record = study_to_record(study, files=("volumes/1.nii.gz",), quantities=(Quantity.HU,), reference=0)
        assert record["volumes"][0]["slice_thickness_mm"] == thickness_mm
        acquired = Acquired.of(study_from_record(record).series[0])
        assert (acquired.slice_thickness_mm, acquired.widest_gap_mm) == (thickness_mm, gap_mm)
        assert acquired.sop_instance_uids == SLICES
    # As written before the two were kept.
    for key in ("slice_thickness_mm", "widest_gap_mm"):
        del record["volumes"][0][key]
    assert study_from_record(record).series[0].widest_gap_mm is None
