"""Zones and foci that labels hold already."""

from __future__ import annotations

import numpy as np
import pytest
from tests.measure.zones.made import RULES, lesion

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, LabelQuality, Structure
from liverimg.measure.zones.drawn import zones_as_drawn

GRID = Grid.from_axes((40, 50, 50), spacing_mm=(2, 1.5, 1.5), origin_lps_mm=(-37, -37, -40))
VALUES = {Structure.LIVER: 1, Structure.TUMOUR: 2, Structure.ABLATION_ZONE: 3}
PLACES = GRID.index_to_lps_mm(np.stack(np.indices(GRID.shape), axis=-1))


def labels(*, tumour_known: bool = True) -> LabelMap:
    array = np.ones(GRID.shape, dtype=np.uint8)
    array[np.linalg.norm(PLACES - (-18, 0, 0), axis=-1) <= 12] = 3
    array[np.linalg.norm(PLACES - (18, 0, 0), axis=-1) <= 8] = 3
    if tumour_known:
        array[np.linalg.norm(PLACES - (-5, 0, 0), axis=-1) <= 3] = 2
        array[np.linalg.norm(PLACES - (20, 25, 25), axis=-1) <= 4] = 2
    known = {s: v for s, v in VALUES.items() if tumour_known or s is not Structure.TUMOUR}
    return LabelMap(array, GRID, known)


L1, L2 = lesion("L1", (-18.0, 0.0, 0.0), 7.0), lesion("L2", (18.0, 0.0, 0.0), 5.0)


def test_zones_are_told_apart_and_tumour_at_their_border_is_a_focus() -> None:
    zones = zones_as_drawn(labels(), LabelQuality("external"), (L1, L2), RULES)
    assert [(zone.id, zone.lesions, zone.origin, zone.error_mm) for zone in zones.zones] == [
        ("Z1", ("L1",), "drawn", 0.0),
        ("Z2", ("L2",), "drawn", 0.0),
    ]
    assert [(focus.zone, focus.lesions) for focus in zones.foci] == [("Z1", ("L1",))]
    assert not zones.absent and not zones.foci_unknown
    assert zones.smallest_focus_mm is None


def test_zones_of_a_model_carry_its_error() -> None:
    quality = LabelQuality("external_model", surface_error_mm={Structure.ABLATION_ZONE: 2.5})
    zones = zones_as_drawn(labels(), quality, (L1, L2), RULES)
    assert {(zone.origin, zone.error_mm) for zone in zones.zones} == {("model", 2.5)}


def test_unsought_tumour_leaves_foci_unknown() -> None:
    zones = zones_as_drawn(labels(tumour_known=False), LabelQuality("external"), (L1, L2), RULES)
    assert set(zones.foci_unknown) == {"Z1", "Z2"}


@pytest.mark.parametrize("far", [(0.0, 30.0, 30.0), (0.0, -30.0, -30.0)])
def test_a_zone_of_no_lesion_is_kept_and_a_lesion_of_no_zone_is_absent(far: tuple[float, float, float]) -> None:
    zones = zones_as_drawn(labels(), LabelQuality("external"), (L1, lesion("L2", far, 4.0)), RULES)
    assert [zone.lesions for zone in zones.zones] == [("L1",), ()]
    assert set(zones.absent) == {"L2"}
