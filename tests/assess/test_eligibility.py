"""Every rule of the HIFU table at, around and astride its thresholds."""

from datetime import date

import pytest
from tests.assess.made import assess, finding, lesions, measurement

from liverimg.assess.eligibility import clinical_items
from liverimg.core.assessment import Verdict
from liverimg.core.errors import RecordInvalidError
from liverimg.core.measurement import Lesion, MeasurementSet, NotMeasured
from liverimg.files.catalogue import vocabulary
from liverimg.files.criteria import bundled_criteria

MET, NOT_MET, UNDETERMINED = Verdict.MET, Verdict.NOT_MET, Verdict.UNDETERMINED
HIFU = bundled_criteria("hifu_suitability")
NEEDLE = bundled_criteria("needle_or_hifu")


def judge(criterion_id, quantity, value, low=None, high=None, unit="mm"):
    given = lesions(measurement(quantity, value, low, high, unit))
    return finding(assess(given, HIFU), criterion_id)


# Exactly at the threshold, just beyond it, and with a band that reaches over it.
LESION_CASES = [
    ("hifu.size", "axial_long_diameter", (50.0,), MET),
    ("hifu.size", "axial_long_diameter", (50.001,), NOT_MET),
    ("hifu.size", "axial_long_diameter", (48.0, 46.0, 50.0), MET),
    ("hifu.size", "axial_long_diameter", (49.0, 47.0, 51.0), UNDETERMINED),
    ("hifu.size", "axial_long_diameter", (51.0, 50.0, 52.0), UNDETERMINED),
    ("hifu.size", "axial_long_diameter", (52.0, 50.5, 53.0), NOT_MET),
    ("hifu.size_single_session", "axial_long_diameter", (30.0,), MET),
    ("hifu.size_single_session", "axial_long_diameter", (30.5,), NOT_MET),
    ("hifu.size_single_session", "axial_long_diameter", (30.5, 29.5, 31.5), UNDETERMINED),
    ("hifu.tace_first", "axial_long_diameter", (80.0,), MET),
    ("hifu.tace_first", "axial_long_diameter", (80.1,), NOT_MET),
    ("hifu.tace_first", "axial_long_diameter", (80.1, 79.0, 81.0), UNDETERMINED),
    ("hifu.wall_thickness", "abdominal_wall_thickness", (100.0,), MET),
    ("hifu.wall_thickness", "abdominal_wall_thickness", (100.1,), NOT_MET),
    *[
        (rule, quantity, band, verdict)
        for rule, quantity in (
            ("hifu.hepatic_vein", "distance_to_hepatic_vein"),
            ("hifu.portal_vein", "distance_to_portal_vein"),
            ("hifu.bile_duct", "distance_to_bile_duct"),
        )
        for band, verdict in (
            ((10.0,), MET),
            ((9.999,), NOT_MET),
            ((12.0, 10.0, 14.0), MET),
            ((10.5, 9.5, 11.5), UNDETERMINED),
            ((8.0, 6.0, 10.0), UNDETERMINED),
            ((0.0, 0.0, 0.5), NOT_MET),
        )
    ],
    *[
        (f"hifu.depth_{point}", f"depth_from_skin_{point}", band, verdict)
        for point in ("near", "centre", "far")
        for band, verdict in (
            ((29.9,), NOT_MET),
            ((30.0,), MET),
            ((80.0,), MET),
            ((80.1,), UNDETERMINED),
            ((100.0,), UNDETERMINED),
            ((100.1,), NOT_MET),
            ((30.5, 29.5, 31.5), UNDETERMINED),
            ((79.5, 78.5, 80.5), UNDETERMINED),
            ((99.5, 98.5, 100.5), UNDETERMINED),
            ((28.0, 27.0, 29.0), NOT_MET),
        )
    ],
]


@pytest.mark.parametrize(("rule", "quantity", "band", "verdict"), LESION_CASES)
def test_lesion_rules(rule, quantity, band, verdict):
    found = judge(rule, quantity, *band)
    assert found.verdict is verdict
    assert found.target == "L1"
    assert bool(found.settled_by) == (verdict is UNDETERMINED)


def test_between_8_and_10_cm_the_missing_rule_is_named():
    assert "no rule" in judge("hifu.depth_far", "depth_from_skin_far", 90.0, 89.0, 91.0).statement
    assert "part of the band lies" in judge("hifu.depth_far", "depth_from_skin_far", 80.0, 79.0, 81.0).statement
    assert "no rule" not in judge("hifu.depth_far", "depth_from_skin_far", 30.0, 29.0, 31.0).statement


@pytest.mark.parametrize(
    ("band", "words", "verdict"),
    [
        ((9.0,), "1 session(s)", MET),
        ((10.0,), "1 session(s)", MET),
        ((40.0,), "1 to 4 sessions", MET),
        ((40.1,), "2 to 5 sessions", UNDETERMINED),
        ((65.4,), "2 to 7 sessions", UNDETERMINED),
        ((160.0,), "4 to 16 sessions", UNDETERMINED),
        ((160.1,), "5 to 17 sessions", NOT_MET),
        ((268.1,), "7 to 27 sessions", NOT_MET),
        ((165.0, 155.0, 175.0), "4 to 18 sessions", UNDETERMINED),
    ],
)
def test_sessions_by_volume(band, words, verdict):
    found = judge("hifu.sessions", "volume", *band, unit="ml")
    assert words in found.statement
    assert found.verdict is verdict
    assert any("Conflict" in note for note in found.notes)


CLINICAL_CASES = [
    ("hifu.child_pugh", "child_pugh_score", 7, MET),
    ("hifu.child_pugh", "child_pugh_score", 8, NOT_MET),
    ("hifu.inr", "inr", 2.49, MET),
    ("hifu.inr", "inr", 2.5, NOT_MET),
    ("needle.inr", "inr", 2.0, MET),
    ("needle.inr", "inr", 2.01, NOT_MET),
    ("needle.platelets", "platelets_per_ul", 50_000, MET),
    ("needle.platelets", "platelets_per_ul", 49_999, NOT_MET),
    ("hifu.baseline_age", "baseline_age_days", 28, MET),
    ("hifu.baseline_age", "baseline_age_days", 29, NOT_MET),
    ("hifu.baseline_age", "baseline_age_days", 0, MET),
    ("hifu.baseline_age", "baseline_age_days", -1, NOT_MET),
    ("hifu.acoustic_window", "acoustic_window", "clear", MET),
    ("hifu.acoustic_window", "acoustic_window", "partial", NOT_MET),
]


@pytest.mark.parametrize(("rule", "key", "value", "verdict"), CLINICAL_CASES)
def test_clinical_rules(rule, key, value, verdict):
    table = NEEDLE if rule.startswith("needle") else HIFU
    found = finding(assess(lesions(), table, {key: value}), rule)
    assert found.verdict is verdict
    assert found.target == "study"


def test_a_clinical_item_that_is_missing_is_asked_for():
    found = finding(assess(lesions(), HIFU, {}), "hifu.child_pugh")
    assert found.verdict is UNDETERMINED
    assert found.quantity is None
    assert "child_pugh_score was not given" in found.statement
    assert "bilirubin" in found.settled_by


@pytest.mark.parametrize("value", ["7", True, float("nan"), float("inf"), None])
def test_a_clinical_item_that_is_no_number_is_refused(value):
    with pytest.raises(RecordInvalidError, match="child_pugh_score"):
        assess(lesions(), HIFU, {"child_pugh_score": value})


def test_a_clinical_word_that_is_no_word_is_refused():
    with pytest.raises(RecordInvalidError, match="acoustic_window"):
        assess(lesions(), HIFU, {"acoustic_window": 3})


@pytest.mark.parametrize(
    ("value", "low", "high", "verdict"),
    [(20.0, 20.0, 20.0, MET), (20.1, 20.1, 20.1, NOT_MET), (19.0, 17.0, 21.0, UNDETERMINED), (0, 0, 2.5, MET)],
)
def test_ascites(value, low, high, verdict):
    study = MeasurementSet((), (measurement("ascites_depth", value, low, high, target="ascites"),))
    assert finding(assess(study, HIFU, {}), "hifu.ascites").verdict is verdict


def test_a_study_number_that_the_scan_does_not_show_may_be_given():
    unseen = MeasurementSet((), (NotMeasured("ascites_depth", "ascites", "it was not looked for"),))
    found = finding(assess(unseen, HIFU, {}), "hifu.ascites")
    assert found.verdict is UNDETERMINED
    assert "not looked for" in found.statement
    given = finding(assess(unseen, HIFU, {"ascites_depth": 25}), "hifu.ascites")
    assert given.verdict is NOT_MET
    assert given.quantity.method == "given in the clinical file"


def test_a_study_number_that_a_person_gives_goes_before_the_one_on_the_images():
    none_drawn = MeasurementSet((), (measurement("ascites_depth", 0.0, 0.0, 3.0, target="ascites"),))
    found = finding(assess(none_drawn, HIFU, {"ascites_depth": 25}), "hifu.ascites")
    assert found.verdict is NOT_MET
    assert found.quantity.method == "given in the clinical file; on the images it was 0 mm"


@pytest.mark.parametrize("word", ["Clear", " clear"])
def test_how_a_clinical_word_is_typed_does_not_turn_it_into_its_opposite(word):
    found = finding(assess(lesions(), HIFU, {"acoustic_window": word}), "hifu.acoustic_window")
    assert found.verdict is MET


@pytest.mark.parametrize("word", ["not done", "clearly", ""])
def test_a_clinical_word_that_the_table_does_not_know_is_refused(word):
    with pytest.raises(RecordInvalidError, match="clear, partial, blocked"):
        assess(lesions(), HIFU, {"acoustic_window": word})


@pytest.mark.parametrize(
    ("key", "value"),
    [("platelets_per_ul", 140), ("child_pugh_score", 4), ("child_pugh_score", 16), ("inr", 0), ("ascites_depth", -1)],
)
def test_a_clinical_number_in_another_unit_is_refused_and_never_judged(key, value):
    with pytest.raises(RecordInvalidError, match=f"{key} is {value}; expected .* unit"):
        assess(lesions(), HIFU, {key: value})


@pytest.mark.parametrize(("count", "verdict"), [(1, MET), (2, NOT_MET), (0, UNDETERMINED)])
def test_number_of_lesions(count, verdict):
    study = MeasurementSet((), (measurement("tumour_count", count, unit="1", target="tumour"),))
    assert finding(assess(study, HIFU, {}), "hifu.single_lesion").verdict is verdict


def test_an_unmeasured_quantity_is_undetermined_with_its_reason_and_what_would_settle_it():
    reason = "the bile duct was not looked for, so its distance is unknown"
    study = lesions(NotMeasured("distance_to_bile_duct", "L1", reason))
    found = finding(assess(study, HIFU, {}), "hifu.bile_duct")
    assert found.verdict is UNDETERMINED
    assert reason in found.statement
    assert "MRCP" in found.settled_by
    assert found.quantity == NotMeasured("distance_to_bile_duct", "L1", reason)


def test_every_lesion_is_asked_and_the_study_once():
    two = MeasurementSet(
        tuple(
            Lesion(name, (0.0, 0.0, 0.0), (measurement("axial_long_diameter", size, target=name),))
            for name, size in (("L1", 60.0), ("L2", 20.0))
        ),
        (),
    )
    assessment = assess(two, HIFU, {})
    assert finding(assessment, "hifu.size", "L1").verdict is NOT_MET
    assert finding(assessment, "hifu.size", "L2").verdict is MET
    per_lesion = sum(c.scope == "lesion" for c in HIFU.criteria)
    once = sum(c.scope != "lesion" and not c.only_with for c in HIFU.criteria)
    assert len(assessment.findings) == 2 * per_lesion + once
    assert assessment.conflicts == HIFU.conflicts


def test_without_a_lesion_nothing_is_met_by_default():
    assessment = assess(MeasurementSet((), ()), HIFU)
    assert {f.verdict for f in assessment.findings} == {UNDETERMINED}
    assert "no lesion" in finding(assessment, "hifu.size").statement


def test_the_statement_carries_number_band_threshold_and_consequence():
    statement = judge("hifu.hepatic_vein", "distance_to_hepatic_vein", 5.62, 5.3, 5.9).statement
    for part in ("5.6 mm", "5.3 to 5.9 mm", "at least 10 mm", "not met", "TACE"):
        assert part in statement


def test_a_number_close_to_its_threshold_is_not_rounded_onto_it():
    assert "50.004 mm" in judge("hifu.size", "axial_long_diameter", 50.004).statement


def test_conflicts_of_the_source_are_kept():
    text = " ".join(HIFU.conflicts)
    for part in ("8 and 10 cm", "wall", "10-40 ml", "3 and 5 cm"):
        assert part in text


def test_clinical_items_are_listed():
    assert {"child_pugh_score", "albumin_g_per_l", "inr", "baseline_age_days", "acoustic_window"} <= set(
        clinical_items(HIFU, vocabulary())
    )
    assert len(clinical_items(HIFU, vocabulary())) == len(set(clinical_items(HIFU, vocabulary())))


def test_a_word_that_is_unknown_counts_as_not_given():
    found = finding(assess(lesions(), HIFU, {"acoustic_window": "unknown"}), "hifu.acoustic_window")
    assert found.verdict is UNDETERMINED
    assert found.missing_items == ("acoustic_window",)


def test_a_rule_about_a_treatment_is_asked_only_when_it_took_place():
    without = assess(lesions(), HIFU)
    assert "hifu.after_tace" not in {f.criterion_id for f in without.findings}
    assert [n.reason for n in without.not_applied if n.title == "Time from TACE to HIFU"]
    given = {"tace_date": date(2026, 1, 1), "treatment_date": "2026-01-15"}
    assert finding(assess(lesions(), HIFU, given), "hifu.after_tace").verdict is MET


@pytest.mark.parametrize(
    ("rule", "item", "days", "verdict"),
    [
        ("hifu.after_tace", "tace_to_treatment_days", 13, NOT_MET),
        ("hifu.after_tace", "tace_to_treatment_days", 14, MET),
        ("hifu.after_tace", "tace_to_treatment_days", 28, MET),
        ("hifu.after_tace", "tace_to_treatment_days", 29, NOT_MET),
        ("hifu.between_sessions", "ablation_to_treatment_days", 6, NOT_MET),
        ("hifu.between_sessions", "ablation_to_treatment_days", 7, MET),
        ("hifu.between_sessions", "ablation_to_treatment_days", 14, MET),
        ("hifu.between_sessions", "ablation_to_treatment_days", 15, NOT_MET),
    ],
)
def test_windows_of_time(rule, item, days, verdict):
    assert finding(assess(lesions(), HIFU, {item: days}), rule).verdict is verdict


def test_the_age_of_the_imaging_follows_from_the_dates():
    found = finding(
        assess(lesions(), HIFU, {"treatment_date": "2026-01-29"}, study_date=date(2026, 1, 1)), "hifu.baseline_age"
    )
    assert found.verdict is MET
    assert found.quantity.value == 28


@pytest.mark.parametrize(
    ("rule", "quantity", "unit", "met", "not_met"),
    [
        ("hifu.depth_window", "window_depth", "mm", 30.0, 29.9),
        ("hifu.vena_cava", "distance_to_inferior_vena_cava", "mm", 10.0, 9.9),
        ("hifu.ascites_in_beam", "window_ascites_depth", "mm", 20.0, 20.1),
        ("hifu.window_on_images", "window_blocked_share", "%", 0.0, 0.1),
    ],
)
def test_rules_on_the_beam(rule, quantity, unit, met, not_met):
    assert judge(rule, quantity, met, unit=unit).verdict is MET
    assert judge(rule, quantity, not_met, unit=unit).verdict is NOT_MET


@pytest.mark.parametrize(("depth", "verdict"), [(10.0, MET), (10.1, NOT_MET), (20.1, NOT_MET)])
def test_ascites_small(depth, verdict):
    assert finding(assess(lesions(), HIFU, {"ascites_depth": depth}), "hifu.ascites_small").verdict is verdict


def test_a_lesion_outside_the_liver_is_not_judged_by_a_table_for_the_liver():
    outside = MeasurementSet(
        (Lesion("L1", (0.0, 0.0, 0.0), (measurement("axial_long_diameter", 20.0),), "outside_liver"),), ()
    )
    assessment = assess(outside, HIFU)
    assert not [f for f in assessment.findings if f.target == "L1"]
    (said,) = [n for n in assessment.not_applied if n.target == "L1"]
    assert "outside liver" in said.reason
    in_liver = assess(outside, HIFU, {"lesion_site": {"L1": "Liver"}})
    assert finding(in_liver, "hifu.size", "L1").verdict is MET


def test_a_reader_may_say_that_a_lesion_lies_elsewhere():
    table = bundled_criteria("extrahepatic")
    study = lesions(measurement("axial_long_diameter", 20.0))
    assert not assess(study, table).findings
    assert not assess(study, table).not_applied
    for word, verdict in (("no", MET), ("yes", NOT_MET), ("unknown", UNDETERMINED)):
        given = {"lesion_site": {"L1": "lung"}, "viable_tumour_in_liver": word}
        assert finding(assess(study, table, given), "ehm.liver_controlled").verdict is verdict


NEEDLE_CASES = [
    ("needle.coagulation", {"inr": 2.0, "platelets_per_ul": 50_000}, MET),
    ("needle.coagulation", {"inr": 2.1}, NOT_MET),
    ("needle.coagulation", {"platelets_per_ul": 49_000}, NOT_MET),
    ("needle.coagulation", {"inr": 1.0}, UNDETERMINED),
    ("needle.coagulation", {}, UNDETERMINED),
    ("needle.earlier_failure", {"percutaneous_ablation_failed": "no"}, MET),
    ("needle.earlier_failure", {"percutaneous_ablation_failed": "yes"}, NOT_MET),
    ("needle.wish", {"refuses_needle": "no"}, MET),
    ("needle.wish", {"refuses_needle": "yes"}, NOT_MET),
    ("hifu_or_needle.biopsy", {"biopsy_needed": "no"}, MET),
    ("hifu_or_needle.biopsy", {"biopsy_needed": "yes"}, NOT_MET),
    ("hifu_or_needle.margin", {"margin_confirmation_needed": "no"}, MET),
    ("hifu_or_needle.margin", {"margin_confirmation_needed": "yes"}, NOT_MET),
    ("laser.special_arrangements", {"treatment_modality": "laser"}, NOT_MET),
    ("laser.special_arrangements", {"treatment_modality": "mwa"}, MET),
]


@pytest.mark.parametrize(("rule", "given", "verdict"), NEEDLE_CASES)
def test_needle_or_hifu(rule, given, verdict):
    assert finding(assess(lesions(), NEEDLE, given), rule).verdict is verdict


@pytest.mark.parametrize(
    ("quantities", "rule", "verdict"),
    [
        ({"distance_to_hepatic_vein": 10.0, "distance_to_portal_vein": 10.0}, "hifu_or_needle.heat_sink", MET),
        ({"distance_to_hepatic_vein": 9.9, "distance_to_portal_vein": 10.0}, "hifu_or_needle.heat_sink", NOT_MET),
        ({"distance_to_hepatic_vein": 30.0, "distance_to_portal_vein": 9.9}, "hifu_or_needle.heat_sink", NOT_MET),
        ({"distance_to_portal_vein": 9.9}, "hifu_or_needle.heat_sink", NOT_MET),
        ({"distance_to_portal_vein": 10.0}, "hifu_or_needle.heat_sink", UNDETERMINED),
        ({"depth_from_skin_far": 100.0}, "hifu_or_needle.depth", MET),
        ({"depth_from_skin_far": 100.1}, "hifu_or_needle.depth", NOT_MET),
        ({"distance_to_diaphragm": 10.0}, "needle.diaphragm", MET),
        ({"distance_to_diaphragm": 9.9}, "needle.diaphragm", NOT_MET),
    ],
)
def test_needle_or_hifu_by_place(quantities, rule, verdict):
    study = lesions(*(measurement(name, value) for name, value in quantities.items()))
    assert finding(assess(study, NEEDLE), rule).verdict is verdict


@pytest.mark.parametrize("table", [HIFU, NEEDLE], ids=lambda t: t.id)
def test_every_rule_names_its_source_and_what_follows(table):
    for criterion in table.criteria:
        assert criterion.source
        assert criterion.when_met and criterion.when_not_met
