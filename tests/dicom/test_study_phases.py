"""Phases by what the whole study says: order and pauses, numbers, what was acquired together, images."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from liverimg.core.grid import Grid
from liverimg.core.study import Confidence, Modality, Phase, PhaseEvidence, Series
from liverimg.dicom.codes import Flag
from liverimg.dicom.injection import Timed, misnamed, phases_by_order, rising_phases
from liverimg.dicom.phase import PhaseRules
from liverimg.dicom.phase_words import ENHANCED
from liverimg.dicom.study import read_study
from liverimg.dicom.study_phases import conflict_sentences, with_study_evidence

U, E, A, P, D, H = (
    Phase.UNENHANCED,
    Phase.EARLY_ARTERIAL,
    Phase.ARTERIAL,
    Phase.PORTAL_VENOUS,
    Phase.DELAYED,
    Phase.HEPATOBILIARY,
)
ALL = frozenset(Phase) - {Phase.UNKNOWN}
GRID = Grid.from_axes((50, 4, 4), spacing_mm=(3, 1, 1))


def series(
    number: int, time_s: float | None, *evidence: PhaseEvidence, flags: tuple[str, ...] = (), **more: Any
) -> Series:
    return Series(
        f"1.2.{number}",
        more.pop("modality", Modality.CT),
        Phase.UNKNOWN,
        evidence,
        GRID,
        flags=flags,
        time_s=time_s,
        number=number,
        series_number=number,
        kind=more.pop("kind", "ct"),
        **more,
    )


def says(phase: Phase, source: str = "SeriesDescription", *allows: Phase) -> PhaseEvidence:
    return PhaseEvidence(source, phase, "seen", allows)


AGENT = PhaseEvidence("ContrastBolusAgent", Phase.UNKNOWN, "names a contrast agent", ENHANCED)


def phases(found: tuple[Series, ...]) -> list[Phase]:
    return [one.phase for one in found]


def test_three_phases_by_their_pauses(rules: PhaseRules) -> None:
    """35 s and then 2 minutes apart: nothing else fits, in any order of the list."""
    plain = [series(1, 0.0, AGENT), series(2, 35.0, AGENT), series(3, 155.0, AGENT)]
    for shuffled in permutations(plain):
        found = {one.number: one for one in with_study_evidence(shuffled, rules)}
        assert [found[n].phase for n in (1, 2, 3)] == [A, P, D]
        assert {one.phase_confidence for one in found.values()} == {Confidence.LOW}
        assert {e.source for one in found.values() for e in one.phase_evidence if e.says is not Phase.UNKNOWN} <= {
            "order of acquisitions",
            "only arterial acquisition",
        }


def test_two_phases_without_names_are_left_unknown(rules: PhaseRules) -> None:
    found = with_study_evidence([series(1, 0.0, AGENT), series(2, 40.0, AGENT)], rules)
    assert phases(found) == [Phase.UNKNOWN, Phase.UNKNOWN]


def test_one_name_gives_the_others_theirs(rules: PhaseRules) -> None:
    found = with_study_evidence([series(1, 0.0), series(2, 120.0), series(3, 155.0, says(P)), series(4, 280.0)], rules)
    assert phases(found)[0] is U and phases(found)[2:] == [P, D]
    assert found[1].phase in (A, Phase.UNKNOWN)
    assert found[2].phase_confidence is Confidence.MODERATE


def test_a_volume_never_confirms_itself(rules: PhaseRules) -> None:
    """A single name among volumes without any other sign stays one strong source: moderate, not high."""
    found = with_study_evidence([series(1, 0.0), series(2, 300.0, says(A))], rules)
    assert found[1].phase_confidence is Confidence.MODERATE


def test_two_descriptions_that_were_swapped(rules: PhaseRules) -> None:
    """What time forbids is hardly believed, and a person is told."""
    swapped = [series(1, 0.0, says(U)), series(2, 130.0, says(P)), series(3, 165.0, says(A)), series(4, 290.0, says(D))]
    found = with_study_evidence(swapped, rules)
    assert all(Flag.PHASE_CONFLICT in one.flags for one in found[1:3])
    assert all(one.phase_confidence in (Confidence.LOW, Confidence.NONE) for one in found[1:3])
    assert {e.source for one in found[1:3] for e in one.phase_evidence} >= {"SeriesDescription, out of order"}
    sentences = conflict_sentences(found)
    assert len(sentences) == 2 and "volume 2" in sentences[0] and "--phase" in sentences[0]
    looks = {1: says(A, "image"), 2: says(P, "image")}
    seen = with_study_evidence(found, rules, images=looks)
    assert phases(seen) == [U, A, P, D]


def test_images_are_weighed_anew_each_time(rules: PhaseRules) -> None:
    plain = with_study_evidence([series(1, 0.0, says(A))], rules)
    once = with_study_evidence(plain, rules, images={0: says(A, "image")})
    assert (once[0].phase, once[0].phase_confidence) == (A, Confidence.HIGH)
    again = with_study_evidence(once, rules, images={0: says(A, "image")})
    assert again == once
    assert with_study_evidence(once, rules) == plain


def test_an_image_that_contradicts_the_description(rules: PhaseRules) -> None:
    (found,) = with_study_evidence([series(1, None, says(A))], rules, images={0: says(P, "image")})
    assert (found.phase, found.phase_confidence) == (P, Confidence.LOW)
    assert Flag.PHASE_CONFLICT in found.flags


def test_an_image_that_only_excludes_leaves_unknown(rules: PhaseRules) -> None:
    """Better no name than a wrong one."""
    look = PhaseEvidence("image", Phase.UNKNOWN, "seen", (P, D))
    (found,) = with_study_evidence([series(1, None, says(A))], rules, images={0: look})
    assert (found.phase, found.phase_confidence) == (Phase.UNKNOWN, Confidence.NONE)
    assert Flag.PHASE_CONFLICT in found.flags


def test_two_strong_sources_outweigh_one(rules: PhaseRules) -> None:
    own = (says(P, "ContrastBolusStartTime"), says(A))
    (found,) = with_study_evidence([series(1, 0.0, *own)], rules, images={0: says(P, "image")})
    assert (found.phase, found.phase_confidence) == (P, Confidence.MODERATE)
    assert Flag.PHASE_CONFLICT in found.flags


def test_image_and_order_leave_one(rules: PhaseRules) -> None:
    """Neither names it, together they do."""
    images = {0: says(A, "image"), 1: PhaseEvidence("image", Phase.UNKNOWN, "seen", (U, D)), 2: says(P, "image")}
    found = with_study_evidence([series(1, 100.0), series(2, 0.0), series(3, 140.0)], rules, images=images)
    assert phases(found) == [A, U, P]


def test_without_times_the_series_numbers_order(rules: PhaseRules) -> None:
    images = {
        0: PhaseEvidence("image", Phase.UNKNOWN, "seen", (U, D)),
        1: says(A, "image"),
        2: PhaseEvidence("image", Phase.UNKNOWN, "seen", (P, D)),
        3: PhaseEvidence("image", Phase.UNKNOWN, "seen", (P, D)),
    }
    found = with_study_evidence([series(n, None) for n in (1, 2, 3, 4)], rules, images=images)
    assert phases(found) == [U, A, P, D]
    assert found[3].phase_confidence is Confidence.LOW
    assert any(e.source == "order of series numbers" for e in found[3].phase_evidence)


def test_one_time_for_all_is_no_clock(rules: PhaseRules) -> None:
    """As files without identity come: no order, and nothing is taken for the same acquisition."""
    found = with_study_evidence([series(1, 0.0, says(A)), series(2, 0.0, says(P)), series(3, 0.0)], rules)
    assert phases(found) == [A, P, Phase.UNKNOWN]


def test_a_second_reconstruction_shares_the_phase(rules: PhaseRules) -> None:
    found = with_study_evidence([series(1, 0.0, says(U)), series(2, 130.0, says(A)), series(3, 130.2)], rules)
    assert found[2].phase is A
    assert "together with volume 2" in next(e.detail for e in found[2].phase_evidence if e.says is A)


def test_the_person_wins_over_everything(rules: PhaseRules) -> None:
    own = (PhaseEvidence("user", D, "named on the command line"), says(A))
    (found,) = with_study_evidence([series(1, 0.0, *own)], rules, images={0: says(P, "image")})
    assert (found.phase, found.phase_confidence) == (D, Confidence.HIGH)


def test_starts_of_injection(rules: PhaseRules) -> None:
    timed = [Timed(0, ALL, A), Timed(35, ALL), Timed(150, ALL)]
    found = phases_by_order(timed, Modality.CT, rules.order)
    assert (found[1], found[2]) == ({P}, {D})
    assert phases_by_order(timed[:1], Modality.CT, rules.order) == {}
    assert phases_by_order([Timed(0, ALL), Timed(35, ALL)], Modality.CT, rules.order) == {}


def test_derived_images_have_no_time(rules: PhaseRules) -> None:
    timed = [Timed(0, ALL, A), Timed(35, ALL, usable=False), Timed(150, ALL)]
    assert 1 not in phases_by_order(timed, Modality.CT, rules.order)


def test_misnamed(rules: PhaseRules) -> None:
    right = [Timed(0, ALL, U), Timed(136, ALL, A), Timed(170, ALL, P), Timed(290, ALL, D)]
    assert misnamed(right, Modality.CT, rules.order) == frozenset()
    one_wrong = [*right[:3], Timed(290, ALL, A)]
    assert misnamed(one_wrong, Modality.CT, rules.order) == {3}


def test_rising_phases() -> None:
    either = frozenset((P, D))
    assert rising_phases([frozenset((A,)), either, either]) == [{A}, {P}, {D}]
    assert rising_phases([either, either, either]) == []


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_a_whole_study_without_a_single_word(
    modality: str, tmp_path: Path, build: ModuleType, rules: PhaseRules
) -> None:
    """Agent and acquisition times alone, as many archives leave them."""
    clocks = ("095700", "100030", "100110", "100300")
    for number, clock in enumerate(clocks):

        def edit(dataset: Any, k: int, number: int = number, clock: str = clock) -> None:
            dataset.AcquisitionTime = clock
            if modality == "MR":
                dataset.ScanningSequence, dataset.ScanOptions = "GR", "FS"
                dataset.EchoTime, dataset.RepetitionTime = "1.4", "4.1"
            if number:
                dataset.ContrastBolusAgent = "agent"

        build.write_series(tmp_path, series=1 + number, modality=modality, edit=edit)
    found = read_study(tmp_path, phase_rules=rules).study
    assert [one.phase for one in found.series] == [U, A, P, D]
    assert [one.time_s for one in found.series] == [0.0, 210.0, 250.0, 360.0]
    assert found.warnings == ()


@pytest.mark.parametrize("apart_s", [86_400.0, 3.1e11])
def test_times_that_make_no_examination_are_not_read(apart_s: float, rules: PhaseRules) -> None:
    """A clock that jumps by days or millennia asks for no memory and names nothing."""
    timed = [Timed(0, ALL, A), Timed(35, ALL), Timed(apart_s, ALL, D)]
    assert phases_by_order(timed, Modality.CT, rules.order) == {}
    assert misnamed(timed, Modality.CT, rules.order) == frozenset()


def test_a_perfusion_run_is_not_read(rules: PhaseRules) -> None:
    assert phases_by_order([Timed(2.0 * n, ALL) for n in range(60)], Modality.CT, rules.order) == {}
