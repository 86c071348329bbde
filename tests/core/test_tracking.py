"""Names for good: the same everywhere, and never the same for two."""

from __future__ import annotations

import re

from liverimg.core.tracking import tracking_uid


def test_the_name_is_the_same_on_every_machine() -> None:
    assert (
        tracking_uid("1.2.3", "L1", centroid_lps_mm=(-70.0, -0.0, 51.0004))
        == "2.25.311540158738072559408426638428576540685"
    )
    assert (
        tracking_uid("1.2.3", "L1", centroid_lps_mm=(-70.0, 0.0, 51.0001))
        == "2.25.311540158738072559408426638428576540685"
    ), "to a thousandth of a millimetre"


def test_names_are_uids_and_differ() -> None:
    names = {tracking_uid(study, lesion) for study in ("1.2.3", "1.2.31", "1.2") for lesion in ("L1", "L2", "L12", "1")}
    names |= {tracking_uid("1.2.3", "L1", centroid_lps_mm=(x, 0.0, 0.0)) for x in (0.0, 0.001, -12.5)}
    assert len(names) == 15
    for name in names:
        assert re.fullmatch(r"2\.25\.(0|[1-9][0-9]*)", name) and len(name) <= 64
