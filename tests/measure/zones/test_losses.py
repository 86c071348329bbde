"""Living rests on MR without an unenhanced phase: what they lose after the arterial phase."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.measure.zones.made import (
    MR_BLOOD,
    MR_CARCINOMA,
    MR_DEAD,
    MR_LIVER,
    MR_METASTASIS,
    MR_RIM,
    RULES,
    A,
    Ball,
    D,
    P,
    lesion,
    make,
)

from liverimg.core.zones import ZoneMap
from liverimg.measure.zones.find import find_zones

ZONE = Ball((0.0, -4.0, 0.0), 14.0, MR_DEAD)
RIM = Ball(ZONE.centre, 16.0, MR_RIM)
BLOOD = Ball((-4.0, -4.0, 2.0), 5.0, MR_BLOOD)
PLACE = (14.0, -4.0, 0.0)


def found(*balls: Ball, looks: dict, phases: tuple = (A, P, D)) -> ZoneMap:
    made = make(*balls, phases=phases, mr=True)
    contrast = {phase: 100 * (looks[phase] / MR_LIVER[phase] - 1) for phase in looks}
    tumour = replace(lesion("L1", (8.0, -4.0, 0.0), 11.0), contrast=contrast)
    return find_zones(made.image, made.labels, made.phases, [tumour], RULES)


def test_a_rest_that_loses_signal_is_found_and_blood_and_rim_are_not() -> None:
    zones = found(RIM, ZONE, BLOOD, Ball(PLACE, 4.0, MR_CARCINOMA), looks=MR_CARCINOMA)
    (focus,) = zones.foci
    centre = zones.grid.index_to_lps_mm(np.argwhere(zones.mask(focus)).mean(axis=0))
    assert np.linalg.norm(centre - PLACE) < 2.5
    assert not zones.foci_unknown and focus.phases == ("arterial", "delayed")
    none = found(RIM, ZONE, BLOOD, looks=MR_CARCINOMA)
    assert not none.foci and not none.foci_unknown


@pytest.mark.parametrize(
    ("looks", "phases", "why"),
    [
        (MR_METASTASIS, (A, P), "lost none before the treatment"),
        (MR_METASTASIS, (A, P, D), "can't be told"),
        ({P: 376.0}, (A, P), "is not known"),
    ],
)
def test_what_hardly_loses_signal_can_not_be_told(looks: dict, phases: tuple, why: str) -> None:
    zones = found(ZONE, Ball(PLACE, 4.0, MR_METASTASIS), looks=looks, phases=phases)
    assert not zones.foci and why in zones.foci_unknown["Z1"]
