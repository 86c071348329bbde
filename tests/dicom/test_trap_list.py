"""The whole trap list, generated: right to the millimetre and the Hounsfield unit, or refused for its own reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.dicom.traps import CASES
from tests.dicom.traps.case import Case
from tests.dicom.traps.judge import Answer, Verdict, judge
from tests.dicom.traps.scene import GRID, Seen, density_hu, look_at, places_mm

from liverimg.core.errors import DicomRefusedError
from liverimg.core.grid import Grid
from liverimg.dicom.phase import PhaseRules
from liverimg.dicom.pixels import load_volume
from liverimg.dicom.study import read_study


def read(folder: Path, rules: PhaseRules) -> tuple[Answer, list[set[str]], set[str]]:
    """What we make of a folder: the volumes, the flags of each, and every refusal code."""
    answer, flags = Answer(), []
    try:
        found = read_study(folder, phase_rules=rules)
    except DicomRefusedError as refusal:
        return answer, flags, {str(refusal.code)}
    codes = {entry.code for entry in found.study.rejected}
    for series, stack in zip(found.study.series, found.stacks, strict=True):
        try:
            volume = load_volume(stack)
        except DicomRefusedError as refusal:
            codes.add(str(refusal.code))
            continue
        answer.volumes.append((volume.array, volume.grid))
        flags.append(set(series.flags))
    answer.warned = bool(codes) or any(flags)
    return answer, flags, codes


@pytest.mark.parametrize("name", CASES)
def test_right_or_rightly_refused(name: str, tmp_path: Path, rules: PhaseRules) -> None:
    case = CASES[name]
    case.write(tmp_path / "study")
    answer, flags, codes = read(tmp_path / "study" / case.study_below, rules)
    verdict, figures = judge(case, answer)
    assert verdict is (Verdict.REFUSED_RIGHTLY if case.codes else Verdict.RIGHT), figures
    if case.codes:
        assert codes & case.codes
        assert codes <= case.codes | case.rejects
    else:
        assert codes == case.rejects
    # Neither a flag too few nor one too many: people stop reading what is always there.
    assert all(found == case.flags for found in flags)
    _check_order_and_exactness(case, answer)


def _check_order_and_exactness(case: Case, answer: Answer) -> None:
    """Volumes come in order of time; those that are not resampled hold the very density of each voxel's place."""
    seen = [look_at(array, grid, is_signal=case.is_signal) for array, grid in answer.volumes]
    if case.in_order:
        added = [one.added_hu for one in seen]
        assert added == sorted(added)
    if case.flags & {"derived_from_tilt", "derived_from_uneven_slices", "lossy_compression"} or not case.is_exact:
        return
    for (array, grid), one in zip(answer.volumes, seen, strict=True):
        values = array - (1024.0 if case.is_signal else 0.0) - one.added_hu
        apart = np.abs(values - density_hu(places_mm(grid)))
        # Half a stored step, and positions that are rounded to 0.01 mm on an edge of 180 HU/mm.
        assert apart.max() < 3.0


def test_the_judge_sees_what_is_wrong() -> None:
    """A judge that lets everything pass would prove nothing."""
    truth = np.rint(density_hu(places_mm(GRID)))

    def verdict(array: np.ndarray, grid: Grid = GRID, name: str = "baseline_axial") -> Verdict:
        return judge(CASES[name], Answer([(array, grid)]))[0]

    assert verdict(truth) is Verdict.RIGHT
    for axis in range(3):
        assert verdict(np.flip(truth, axis)) is Verdict.WRONG_SILENT
    shifted = Grid(GRID.shape, GRID.affine + np.pad([[0.0], [0.0], [0.5]], ((0, 1), (3, 0))))
    assert verdict(truth, shifted) is Verdict.WRONG_SILENT
    assert verdict(truth + 1024) is Verdict.WRONG_SILENT
    assert verdict(truth * 1.05) is Verdict.WRONG_SILENT
    assert verdict(truth, name="two_phases_acquisition_number") is Verdict.PARTIAL
    assert verdict(truth, name="rescale_missing") is Verdict.NOT_FLAGGED
    assert verdict(truth, name="uneven_gaps") is Verdict.NOT_FLAGGED
    assert judge(CASES["baseline_axial"], Answer())[0] is Verdict.REFUSED
    assert judge(CASES["single_slice"], Answer())[0] is Verdict.REFUSED_RIGHTLY
    assert isinstance(look_at(truth, GRID), Seen)
