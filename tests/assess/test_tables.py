"""Staging, transplantation, resection, function and follow-up: each branch of each rule, on and beside its edges."""

from datetime import date

import pytest
from tests.assess.made import assess, category, finding, measurement, tumours

from liverimg.core.assessment import Verdict
from liverimg.core.measurement import Lesion, MeasurementSet
from liverimg.files.criteria import bundled_criteria

MET, NOT_MET, UNDETERMINED = Verdict.MET, Verdict.NOT_MET, Verdict.UNDETERMINED
TRANSPLANT, STAGING = bundled_criteria("transplant"), bundled_criteria("staging")
RESECTION, FUNCTION = bundled_criteria("resection"), bundled_criteria("liver_function")
FOLLOW_UP = bundled_criteria("follow_up")

CLEAR = {
    "portal_vein_thrombus": "absent",
    "hepatic_vein_thrombus": "absent",
    "vena_cava_thrombus": "absent",
    "bile_duct_thrombus": "absent",
    "lymph_node_metastasis": "absent",
    "extrahepatic_metastasis": "absent",
}
FIT = {
    **CLEAR,
    "ecog_performance_status": 0,
    "child_pugh_score": 5,
}

BY_SIZE = [
    ("milan", (50.0,), MET),
    ("milan", (50.1,), NOT_MET),
    ("milan", ((49.0, 47.0, 51.0),), UNDETERMINED),
    ("milan", (30.0, 30.0, 30.0), MET),
    ("milan", (30.1, 20.0), NOT_MET),
    ("milan", ((29.5, 28.5, 30.5), 20.0), UNDETERMINED),
    ("milan", (20.0, 20.0, 20.0, 20.0), NOT_MET),
    ("ucsf", (65.0,), MET),
    ("ucsf", (65.1,), NOT_MET),
    ("ucsf", (45.0, 35.0), MET),
    ("ucsf", (45.1, 20.0), NOT_MET),
    ("ucsf", (45.0, 35.1), NOT_MET),
    ("ucsf", (45.0, (34.5, 33.5, 35.5)), UNDETERMINED),
    ("ucsf", (20.0, 20.0, 20.0, 10.0), NOT_MET),
    ("up_to_seven", (60.0,), MET),
    ("up_to_seven", (60.1,), NOT_MET),
    ("up_to_seven", (40.0, 10.0, 10.0), MET),
    ("up_to_seven", (40.1, 10.0, 10.0), NOT_MET),
    ("up_to_seven", ((39.0, 37.0, 41.0), 10.0, 10.0), UNDETERMINED),
    ("fudan", (90.0,), MET),
    ("fudan", (90.1,), NOT_MET),
    ("fudan", (50.0, 40.0), MET),
    ("fudan", (50.1, 20.0), NOT_MET),
    ("fudan", (50.0, 40.1), NOT_MET),
    ("fudan", (20.0, 20.0, 20.0, 10.0), NOT_MET),
    ("hangzhou", (80.0,), MET),
    ("hangzhou", (40.0, 40.0), MET),
]


@pytest.mark.parametrize(("rule", "sizes", "verdict"), BY_SIZE)
def test_transplant_by_size_and_number(rule, sizes, verdict):
    found = finding(assess(tumours(*sizes), TRANSPLANT, CLEAR), f"transplant.{rule}")
    assert found.verdict is verdict
    assert found.parts and any(part.decides for part in found.parts)
    assert bool(found.settled_by) <= (verdict is UNDETERMINED)


@pytest.mark.parametrize("item", [k for k in CLEAR if k != "bile_duct_thrombus"])
@pytest.mark.parametrize("rule", ["milan", "ucsf", "up_to_seven", "fudan", "hangzhou"])
def test_invasion_and_spread_are_never_taken_as_absent(rule, item):
    small = tumours(20.0)
    missing = {key: word for key, word in CLEAR.items() if key != item}
    found = finding(assess(small, TRANSPLANT, missing), f"transplant.{rule}")
    assert found.verdict is UNDETERMINED
    assert item in found.missing_items
    assert finding(assess(small, TRANSPLANT, {**missing, item: "unknown"}), f"transplant.{rule}") == found
    present = assess(small, TRANSPLANT, {**CLEAR, item: "present"})
    assert finding(present, f"transplant.{rule}").verdict is NOT_MET


@pytest.mark.parametrize(
    ("grade", "afp", "verdict"),
    [("ii", 400, MET), ("I", 400, MET), ("iii", 400, NOT_MET), ("ii", 401, NOT_MET), (None, 400, UNDETERMINED)],
)
def test_hangzhou_beyond_eight_centimetres(grade, afp, verdict):
    given = {**CLEAR, "afp_ng_per_ml": afp} | ({"edmondson_grade": grade} if grade else {})
    assert finding(assess(tumours(80.1), TRANSPLANT, given), "transplant.hangzhou").verdict is verdict


@pytest.mark.parametrize(
    ("volumes", "afp", "verdict"),
    [((115.0,), 400, MET), ((115.1,), 400, NOT_MET), ((60.0, 55.0), 400, MET), ((60.0, 55.1), 10, NOT_MET),
     ((10.0,), 401, NOT_MET), ((10.0,), None, UNDETERMINED)],
)  # fmt: skip
def test_total_volume_and_afp(volumes, afp, verdict):
    study = tumours(*[20.0] * len(volumes), volumes=volumes)
    given = {} if afp is None else {"afp_ug_per_l": afp}
    assert finding(assess(study, TRANSPLANT, given), "transplant.ttv_afp").verdict is verdict


def test_chengdu_is_named_and_not_computed():
    (said,) = [n for n in assess(tumours(20.0), TRANSPLANT).not_applied if "Chengdu" in n.title]
    assert "nothing is computed" in said.reason


def test_what_software_outlined_is_no_count_and_no_upper_end():
    """One that was missed would be larger, or one more: only what can't get better is decided."""
    small, large = tumours(20.0, count=False), tumours(66.0, count=False)
    milan = finding(assess(small, TRANSPLANT, CLEAR), "transplant.milan")
    assert milan.verdict is UNDETERMINED
    assert "tumour_count" in milan.missing_items
    assert "at least 20 mm" in " ".join(part.statement for part in milan.parts)
    assert finding(assess(large, TRANSPLANT, CLEAR), "transplant.ucsf").verdict is NOT_MET
    confirmed = finding(assess(small, TRANSPLANT, {**CLEAR, "tumour_count": 1}), "transplant.milan")
    assert confirmed.verdict is MET
    more = finding(assess(small, TRANSPLANT, {**CLEAR, "tumour_count": 2}), "transplant.milan")
    assert more.verdict is UNDETERMINED
    assert "2 tumours were counted and 1" in " ".join(part.statement for part in more.parts)


def test_a_lesion_outside_the_liver_does_not_count_for_the_liver():
    two = tumours(20.0, 60.0)
    apart = MeasurementSet(
        (two.lesions[0], Lesion("L2", (0.0, 0.0, 0.0), two.lesions[1].quantities, "outside_liver")), two.organs
    )
    assert finding(assess(two, TRANSPLANT, CLEAR), "transplant.milan").verdict is NOT_MET
    assert finding(assess(apart, TRANSPLANT, CLEAR), "transplant.milan").verdict is MET


def test_without_a_lesion_no_standard_is_met():
    found = finding(assess(MeasurementSet((), ()), TRANSPLANT, CLEAR), "transplant.milan")
    assert found.verdict is UNDETERMINED


BCLC = [
    ((20.0,), {}, "0"),
    ((20.1,), {}, "A"),
    ((60.0,), {}, "A"),
    ((30.0, 30.0, 30.0), {}, "A"),
    ((30.1, 10.0), {}, "B"),
    ((20.0,) * 4, {}, "B"),
    ((20.0,), {"child_pugh_score": 7}, "A"),
    ((20.0,), {"ecog_performance_status": 1}, "C"),
    ((20.0,), {"ecog_performance_status": 2}, "C"),
    ((20.0,), {"ecog_performance_status": 3}, "D"),
    ((20.0,), {"portal_vein_thrombus": "present"}, "C"),
    ((20.0,), {"hepatic_vein_thrombus": "present"}, "C"),
    ((20.0,), {"vena_cava_thrombus": "present"}, "C"),
    ((20.0,), {"lymph_node_metastasis": "present"}, "C"),
    ((20.0,), {"extrahepatic_metastasis": "present"}, "C"),
    ((20.0,), {"child_pugh_score": 9}, "A"),
    ((20.0,), {"child_pugh_score": 10}, "D"),
    ((20.0,), {"child_pugh_score": 10, "portal_vein_thrombus": "present"}, "D"),
]


@pytest.mark.parametrize(("sizes", "change", "stage"), BCLC)
def test_bclc(sizes, change, stage):
    found = category(assess(tumours(*sizes), STAGING, {**FIT, **change}), "bclc.stage")
    assert found.answer == stage
    assert found.possible == (stage,)
    assert not found.settled_by


def test_bclc_names_every_stage_that_is_not_excluded():
    given = {key: value for key, value in FIT.items() if key != "portal_vein_thrombus"}
    found = category(assess(tumours(20.0), STAGING, given), "bclc.stage")
    assert found.answer == ""
    assert found.possible == ("C", "0")
    assert found.missing_items == ("portal_vein_thrombus",)
    nothing = category(assess(MeasurementSet((), ()), STAGING), "bclc.stage")
    assert nothing.possible == ("D", "C", "0", "A", "B")


GROSS = [
    ((29.9,), {}, "small"),
    ((30.0,), {}, "nodular, single"),
    ((50.0,), {}, "nodular, single"),
    ((50.0, 10.0), {}, "nodular, multiple"),
    ((50.0,), {"tumours_fused": "yes"}, "nodular, fused"),
    ((50.1,), {}, "mass, single"),
    ((100.0,), {}, "mass, single"),
    ((100.0, 10.0), {}, "mass, multiple"),
    ((100.0,), {"tumours_fused": "yes"}, "mass, fused"),
    ((100.1,), {}, "massive"),
    ((20.0,), {"diffuse_growth": "yes"}, "diffuse"),
]


@pytest.mark.parametrize(("sizes", "change", "kind"), GROSS)
def test_gross_type(sizes, change, kind):
    given = {"diffuse_growth": "no", "tumours_fused": "no", **change}
    assert category(assess(tumours(*sizes), STAGING, given), "hcc.gross_type").answer == kind


def test_only_a_reader_tells_diffuse_growth():
    assert category(assess(tumours(20.0), STAGING), "hcc.gross_type").possible == ("diffuse", "small")


@pytest.mark.parametrize(("size", "step"), [(9.9, "<1 cm"), (10.0, "1-2 cm"), (20.0, "1-2 cm"), (20.1, ">2 cm")])
def test_size_steps(size, step):
    assert category(assess(tumours(size), STAGING), "hcc.size_step").answer == step
    assert finding(assess(tumours(size), STAGING), "hcc.bsg_size").verdict is (MET if size >= 20 else NOT_MET)


def test_a_band_over_a_step_leaves_both():
    found = category(assess(tumours((10.0, 9.0, 11.0)), STAGING), "hcc.size_step")
    assert found.possible == ("<1 cm", "1-2 cm")
    assert found.settled_by


@pytest.mark.parametrize(("afp", "verdict"), [(400, NOT_MET), (400.1, MET)])
def test_afp(afp, verdict):
    assert finding(assess(tumours(20.0), STAGING, {"afp_ug_per_l": afp}), "hcc.afp").verdict is verdict


def liver(share, sizes=(20.0,)):
    study = tumours(*sizes)
    return MeasurementSet(study.lesions, (*study.organs, measurement("tumour_share_of_liver", *share, unit="1")))


@pytest.mark.parametrize("item", list(CLEAR))
def test_radical_resection_wants_every_answer(item):
    assert finding(assess(tumours(90.0, 20.0), RESECTION, CLEAR), "resection.radical").verdict is MET
    for word, verdict in (("present", NOT_MET), ("unknown", UNDETERMINED)):
        found = finding(assess(tumours(20.0), RESECTION, {**CLEAR, item: word}), "resection.radical")
        assert found.verdict is verdict


def test_radical_resection_takes_two_tumours():
    assert finding(assess(tumours(9.0, 9.0, 9.0), RESECTION, CLEAR), "resection.radical").verdict is NOT_MET


@pytest.mark.parametrize(
    ("share", "free", "verdict"),
    [((0.299,), None, MET), ((0.3,), None, UNDETERMINED), ((0.3,), 50, NOT_MET), ((0.3,), 50.1, MET),
     ((0.29, 0.27, 0.31), None, UNDETERMINED), ((0.29, 0.27, 0.31), 40, UNDETERMINED), ((0.6,), 51, MET)],
)  # fmt: skip
def test_liver_destroyed(share, free, verdict):
    given = {} if free is None else {"tumour_free_side_percent": free}
    assert finding(assess(liver(share), RESECTION, given), "resection.liver_destroyed").verdict is verdict


@pytest.mark.parametrize(
    ("sizes", "given", "verdict"),
    [
        ((20.0,), {"tumour_well_defined": "yes"}, MET),
        ((20.0,), {"tumour_well_defined": "no"}, NOT_MET),
        ((20.0,), {}, UNDETERMINED),
        ((20.0, 20.0), {"confined_to_one_segment_or_lobe": "yes"}, MET),
        ((20.0, 20.0), {"confined_to_one_segment_or_lobe": "no"}, NOT_MET),
        ((20.0, 20.0, 20.0), {"confined_to_one_segment_or_lobe": "yes"}, NOT_MET),
    ],
)
def test_local_findings(sizes, given, verdict):
    assert finding(assess(liver((0.1,), sizes), RESECTION, given), "resection.local_radical").verdict is verdict


GOOD = {"general_condition": "good", "child_pugh_score": 6, "icgr15": "normal", "extrahepatic_metastasis": "absent"}


@pytest.mark.parametrize(
    ("change", "verdict"),
    [({}, MET), ({"general_condition": "poor"}, NOT_MET), ({"child_pugh_score": 7}, NOT_MET),
     ({"icgr15": "raised"}, NOT_MET), ({"extrahepatic_metastasis": "present"}, NOT_MET),
     ({"icgr15": "unknown"}, UNDETERMINED)],
)  # fmt: skip
def test_the_patient(change, verdict):
    assert finding(assess(tumours(20.0), RESECTION, {**GOOD, **change}), "resection.patient").verdict is verdict


@pytest.mark.parametrize(("count", "verdict"), [(2, NOT_MET), (3, MET), (5, MET), (6, NOT_MET)])
def test_several_limited_resections(count, verdict):
    assert finding(assess(tumours(*[10.0] * count), RESECTION), "resection.palliative_several").verdict is verdict


@pytest.mark.parametrize(
    ("rule", "item"),
    [("palliative_adjacent", "confined_to_adjacent_segments"), ("palliative_central", "in_central_segments")],
)
@pytest.mark.parametrize(
    ("word", "free", "verdict"),
    [("yes", 50.1, MET), ("yes", 50, NOT_MET), ("no", 60, NOT_MET), ("yes", None, UNDETERMINED)],
)
def test_palliative_places(rule, item, word, free, verdict):
    given = {item: word} | ({} if free is None else {"tumour_free_side_percent": free})
    assert finding(assess(tumours(20.0), RESECTION, given), f"resection.{rule}").verdict is verdict


@pytest.mark.parametrize(("word", "verdict"), [("absent", MET), ("present", NOT_MET)])
def test_hilar_nodes(word, verdict):
    found = finding(assess(tumours(20.0), RESECTION, {"lymph_node_metastasis": word}), "resection.hilar_nodes")
    assert found.verdict is verdict


REMNANT = [
    ("healthy", 20, MET),
    ("healthy", 19.9, NOT_MET),
    ("steatosis", 30, MET),
    ("steatosis", 29.9, NOT_MET),
    ("fibrosis", 40, MET),
    ("fibrosis", 39.9, NOT_MET),
    ("cirrhosis", 40, MET),
    ("cirrhosis", 39.9, NOT_MET),
    (None, 40, MET),
    (None, 39, UNDETERMINED),
    (None, 19, NOT_MET),
]


@pytest.mark.parametrize(("background", "percent", "verdict"), REMNANT)
def test_future_liver_remnant(background, percent, verdict):
    given = {"future_liver_remnant_percent": percent} | ({"liver_background": background} if background else {})
    assert finding(assess(tumours(20.0), RESECTION, given), "resection.remnant").verdict is verdict


@pytest.mark.parametrize(("background", "percent", "verdict"), REMNANT)
@pytest.mark.parametrize("plan", ["right", "extended_right", "left", "extended_left"])
def test_remnant_after_a_standard_resection(plan, background, percent, verdict):
    study = tumours(20.0)
    share = measurement(f"remnant_share_{plan}_hepatectomy", percent / 100, unit="1", target="liver")
    given = {"liver_background": background} if background else {}
    measured = MeasurementSet(study.lesions, (*study.organs, share))
    rule = f"resection.remnant_{plan}_hepatectomy"
    assert finding(assess(measured, RESECTION, given), rule).verdict is verdict
    assert finding(assess(study, RESECTION, {"liver_background": "healthy"}), rule).verdict is UNDETERMINED


@pytest.mark.parametrize(
    ("state", "low", "high", "verdict"),
    [(3, 3, 3, MET), (2, 2, 2, NOT_MET), (3, 2, 3, UNDETERMINED), (0, 0, 0, NOT_MET)],
)
def test_oil_on_the_images(state, low, high, verdict):
    quantity = measurement("iodised_oil_retention", state, low, high, unit="1")
    study = MeasurementSet((Lesion("L1", (0.0, 0.0, 0.0), (quantity,)),), ())
    assert finding(assess(study, FOLLOW_UP, {"tace_to_scan_days": 25}), "follow_up.oil_on_images").verdict is verdict


FOLLOW = [
    ("tace_scan", "tace_to_scan_days", (34, NOT_MET), (35, MET), (91, MET), (92, NOT_MET)),
    ("oil_scan", "tace_to_scan_days", (20, NOT_MET), (21, MET), (28, MET), (29, NOT_MET)),
    ("recovery", "recovery_to_treatment_days", (20, NOT_MET), (21, MET)),
    ("after_resection", "resection_to_treatment_days", (34, NOT_MET), (35, MET), (45, MET), (46, NOT_MET)),
    ("ablation_scan", "ablation_to_scan_days", (27, NOT_MET), (28, MET), (42, MET), (43, NOT_MET)),
]


@pytest.mark.parametrize(
    ("rule", "item", "days", "verdict"), [(r, i, *case) for r, i, *cases in FOLLOW for case in cases]
)
def test_times_after_treatment(rule, item, days, verdict):
    assert finding(assess(tumours(20.0), FOLLOW_UP, {item: days}), f"follow_up.{rule}").verdict is verdict


def test_times_follow_from_dates():
    given = {"tace_date": "2026-01-01"}
    found = assess(tumours(20.0), FOLLOW_UP, given, study_date=date(2026, 1, 25))
    assert finding(found, "follow_up.oil_scan").verdict is MET
    assert finding(found, "follow_up.tace_scan").verdict is NOT_MET
    assert "follow_up.recovery" not in {f.criterion_id for f in found.findings}


@pytest.mark.parametrize(
    ("oil", "necrosis", "new", "verdict"),
    [("dense", "complete", "no", MET), ("partial", "complete", "no", NOT_MET), ("dense", "partial", "no", NOT_MET),
     ("dense", "complete", "yes", NOT_MET), ("dense", "complete", "unknown", UNDETERMINED),
     ("none", "unknown", "unknown", NOT_MET)],
)  # fmt: skip
def test_withholding_tace(oil, necrosis, new, verdict):
    given = {"iodised_oil_deposit": oil, "tumour_necrosis": necrosis, "new_or_growing_lesion": new}
    assert finding(assess(tumours(20.0), FOLLOW_UP, given), "follow_up.withhold_tace").verdict is verdict


BLOOD = {
    "bilirubin_umol_per_l": 20.0,
    "albumin_g_per_l": 40.0,
    "inr": 1.1,
    "ascites_grade": "none",
    "encephalopathy_grade": "none",
}


@pytest.mark.parametrize(
    ("change", "points"),
    [
        ({}, 5),
        ({"bilirubin_umol_per_l": 34.1}, 5),
        ({"bilirubin_umol_per_l": 34.2}, 6),
        ({"bilirubin_umol_per_l": 51.3}, 6),
        ({"bilirubin_umol_per_l": 51.4}, 7),
        ({"albumin_g_per_l": 35.1}, 5),
        ({"albumin_g_per_l": 35.0}, 6),
        ({"albumin_g_per_l": 28.0}, 6),
        ({"albumin_g_per_l": 27.9}, 7),
        ({"inr": 1.69}, 5),
        ({"inr": 1.7}, 6),
        ({"inr": 2.3}, 6),
        ({"inr": 2.31}, 7),
        ({"ascites_grade": "mild"}, 6),
        ({"ascites_grade": "moderate_or_severe"}, 7),
        ({"encephalopathy_grade": "1_or_2"}, 6),
        ({"encephalopathy_grade": "3_or_4"}, 7),
    ],
)
def test_child_pugh_points(change, points):
    found = finding(assess(tumours(20.0), bundled_criteria("hifu_suitability"), {**BLOOD, **change}), "hifu.child_pugh")
    assert found.quantity.value == points


@pytest.mark.parametrize(("mg", "points"), [(1.99, 5), (2.0, 6), (3.0, 6), (3.01, 7)])
def test_bilirubin_in_milligrams_has_the_same_edges(mg, points):
    given = {key: value for key, value in BLOOD.items() if key != "bilirubin_umol_per_l"} | {"bilirubin_mg_per_dl": mg}
    found = finding(assess(tumours(20.0), bundled_criteria("hifu_suitability"), given), "hifu.child_pugh")
    assert found.quantity.value == points


@pytest.mark.parametrize(("score", "letter"), [(5, "A"), (6, "A"), (7, "B"), (9, "B"), (10, "C"), (15, "C")])
def test_child_pugh_class(score, letter):
    found = category(assess(tumours(20.0), FUNCTION, {"child_pugh_score": score}), "liver.child_pugh_class")
    assert found.answer == letter


def test_a_child_pugh_score_with_an_item_missing_is_a_range():
    worse = {**BLOOD, "albumin_g_per_l": 30.0, "ascites_grade": "unknown"}
    found = category(assess(tumours(20.0), FUNCTION, worse), "liver.child_pugh_class")
    assert found.possible == ("A", "B")
    assert found.missing_items == ("ascites_grade",)
    hifu = finding(
        assess(tumours(20.0), bundled_criteria("hifu_suitability"), {**BLOOD, "inr": 1.7, "ascites_grade": "unknown"}),
        "hifu.child_pugh",
    )
    assert hifu.verdict is UNDETERMINED
    assert "6 to 8" in hifu.statement
    certain = finding(
        assess(tumours(20.0), bundled_criteria("hifu_suitability"), {**BLOOD, "ascites_grade": "unknown"}),
        "hifu.child_pugh",
    )
    assert certain.verdict is MET


@pytest.mark.parametrize(
    ("bilirubin", "albumin", "score", "grade"),
    [(10.0, 38.4, -2.604, "1"), (10.0, 38.3, -2.5955, "2"), (10.0, 24.2, -1.397, "2"), (10.0, 24.1, -1.3885, "3")],
)
def test_albi(bilirubin, albumin, score, grade):
    given = {"bilirubin_umol_per_l": bilirubin, "albumin_g_per_l": albumin}
    found = category(assess(tumours(20.0), FUNCTION, given), "liver.albi_grade")
    assert found.answer == grade
    assert found.parts[0].quantity.value == pytest.approx(score, abs=1e-9)
    one = category(assess(tumours(20.0), FUNCTION, {"albumin_g_per_l": albumin}), "liver.albi_grade")
    assert one.possible == ("1", "2", "3")
