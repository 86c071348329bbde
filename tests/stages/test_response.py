"""The response stage on balls with closed-form margins: every fate of a lesion, and what stays unknown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.stages.treated_world import (
    AFTER_UID,
    BEFORE_UID,
    CENTRES,
    MOTION,
    RADII,
    After,
    make_after,
    make_before,
    now,
    respond,
)

from liverimg.core.catalogue import row_of
from liverimg.core.errors import InputRefusedError, UsageError
from liverimg.core.response import NOT_SEARCHED
from liverimg.core.study import Study
from liverimg.core.tracking import tracking_uid
from liverimg.files import nifti, records
from liverimg.files.catalogue import quantity_rows
from liverimg.files.response_records import (
    MARGIN_ARRAYS,
    read_margins,
    response_from_record,
    response_to_record,
)
from liverimg.stages.baseline import baseline_hashes, read_baseline
from liverimg.stages.response import STAGE, Settings
from liverimg.workspace import Artefact, Workspace

Record = dict[str, Any]
NEW_PLACE = tuple(float(v) for v in MOTION.apply(np.array([-20.0, -20.0, -14.0])))


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The baseline; not to be changed by tests."""
    return make_before(tmp_path_factory.mktemp("treated") / "pre")


def _respond(after: After, before: Path, folder: Path, **options: Any) -> Record:
    return respond(make_after(folder / "post", after), before, **options)


def _by_name(quantities: list[Record]) -> dict[str, Record]:
    return {q["name"]: q for q in quantities}


def _lesion(record: Record, name: str) -> Record:
    return next(row for row in record["lesions"] if row["id"] == name)


def _answers(lesion: Record) -> dict[str, Record]:
    return {row["category_id"]: row for row in lesion["classifications"]}


@pytest.fixture(scope="module")
def usual(before: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Record]:
    """L1 ablated with a margin of 3 mm to one side, L2 grown, L3 gone, a new tumour far away."""
    folder = tmp_path_factory.mktemp("usual")
    after = After(zones={"L1": (14.0, (1.0, 0.0, 0.0))}, untreated={"L2": 9.0}, tumours=((5.0, NEW_PLACE),))
    return folder / "post", _respond(after, before, folder)


def test_every_lesion_has_its_fate_and_its_name_for_good(usual: tuple[Path, Record]) -> None:
    _, record = usual
    assert {row["id"]: row["fate"] for row in record["lesions"]} == {
        "L1": "treated", "L2": "untreated", "L3": "not_found"
    }  # fmt: skip
    for row in record["lesions"]:
        assert row["tracking_uid"] == tracking_uid(BEFORE_UID, row["id"], centroid_lps_mm=row["before_lps_mm"])
        assert row["now_lps_mm"] == pytest.approx(now(row["id"]), abs=0.3)
    uids = [row["tracking_uid"] for part in ("lesions", "zones", "foci", "candidates") for row in record[part]]
    assert len(set(uids)) == len(uids)
    assert all(len(uid) <= 64 for uid in uids)
    (zone,) = record["zones"]
    assert zone["tracking_uid"] == tracking_uid(AFTER_UID, "Z1", centroid_lps_mm=zone["centroid_lps_mm"])


def test_margins_lie_within_their_bands(usual: tuple[Path, Record]) -> None:
    found = _by_name(_lesion(usual[1], "L1")["quantities"])
    true = {"minimal_ablation_margin": 3.0, "ablation_margin_maximum": 5.0, "npv_ratio": 100.0}
    for name, value in true.items():
        assert found[name]["low"] <= value <= found[name]["high"], name
    assert found["minimal_ablation_margin"]["value"] == pytest.approx(3.0, abs=0.3)
    assert found["zone_to_tumour_volume_ratio"]["value"] == pytest.approx((14 / 10) ** 3, rel=0.03)


def test_the_thinnest_place_can_be_aimed_at(usual: tuple[Path, Record]) -> None:
    spot = _lesion(usual[1], "L1")["thinnest"]
    # The zone lies 1 mm to the left of the lesion's place, so the right side is the thin one.
    assert spot["direction"] == "to the right"
    assert spot["now_lps_mm"] == pytest.approx(now("L1") + np.array([-10.0, 0, 0]), abs=2.5)
    assert MOTION.apply(np.array(spot["before_lps_mm"])) == pytest.approx(spot["now_lps_mm"], abs=1e-3)
    vessel = spot["vessel_distance"]
    x, y, _ = spot["before_lps_mm"]
    true = np.hypot(x - 2.0, y - 6.0) - 3.0
    assert spot["vessel"] == "hepatic_vein"
    assert vessel["value"] == pytest.approx(true, abs=0.6)
    assert spot["segments"] == [] and "segment" in spot["note"], "a liver this small has none"


def test_the_zone_is_measured_like_a_body(usual: tuple[Path, Record]) -> None:
    (zone,) = usual[1]["zones"]
    found = _by_name(zone["quantities"])
    for name in ("axial_long_diameter", "axial_short_diameter", "craniocaudal_extent", "maximum_3d_diameter"):
        assert found[name]["value"] == pytest.approx(28.0, abs=0.8), name
    assert found["volume"]["value"] == pytest.approx(4 / 3 * np.pi * 14**3 / 1000, rel=0.02)
    assert found["sphericity"]["value"] > 0.97
    assert zone["lesions"] == ["L1"]


def test_an_untreated_lesion_is_measured_as_it_is_now(usual: tuple[Path, Record]) -> None:
    lesion = _lesion(usual[1], "L2")
    found = _by_name(lesion["quantities"])["axial_long_diameter"]
    assert found["value"] == pytest.approx(18.0, abs=0.7)
    assert "was not treated" in lesion["statement"]
    assert lesion["classifications"] == []


def test_what_is_not_drawn_is_unknown_and_not_gone(usual: tuple[Path, Record]) -> None:
    lesion = _lesion(usual[1], "L3")
    assert all("not_measured" in q for q in lesion["quantities"])
    assert "proves nothing" in lesion["quantities"][0]["not_measured"]
    assert any("not thereby gone" in w for w in usual[1]["warnings"])


def test_drawn_zones_say_that_no_search_was_made(usual: tuple[Path, Record], before: Path, tmp_path: Path) -> None:
    lesion = _lesion(usual[1], "L1")
    assert NOT_SEARCHED in lesion["statement"]
    viable = _by_name(lesion["quantities"])["viable_diameter"]
    assert viable["method"].startswith(NOT_SEARCHED) and (viable["low"], viable["high"]) == (0.0, 5.0)
    assert any("did not search" in w for w in usual[1]["warnings"])
    after = After(zones={"L1": (16.0, (0, 0, 0))}, zone_origin="rule", smallest_focus_mm=5.0)
    searched = _respond(after, before, tmp_path)
    assert NOT_SEARCHED not in json.dumps(searched)
    assert not any("did not search" in w for w in searched["warnings"])


def test_a_new_tumour_is_progression_when_a_person_drew_it(usual: tuple[Path, Record]) -> None:
    (new,) = usual[1]["candidates"]
    assert new["origin"] == "drawn" and not new["local"]
    assert new["centroid_lps_mm"] == pytest.approx(NEW_PLACE, abs=0.7)
    assert usual[1]["new_lesion"] is True
    assert {row["overall"]["answer"] for row in usual[1]["criteria"]} == {"PD"}
    distance = _by_name(new["quantities"])["distance_to_ablation_zone"]
    true = np.linalg.norm(np.array(NEW_PLACE) - (now("L1") + np.array([1.0, 0, 0]))) - 14 - 5
    assert distance["low"] <= true <= distance["high"]


def test_the_record_says_the_same_when_read_back(usual: tuple[Path, Record]) -> None:
    folder, record = usual
    assert records.problems(record, "response") == []
    files = {row["id"]: row["margins"] for row in record["lesions"] if row["margins"]}
    same = response_to_record(
        response_from_record(record), study=record["study"], baseline=record["baseline"], labels=record["labels"],
        margin_files=files,
    )  # fmt: skip
    assert records.dump(same) == records.dump(record)
    assert files == {"L1": "margins/L1.npz"}
    margins = read_margins(folder / files["L1"])
    assert set(margins) == set(MARGIN_ARRAYS)
    moved = MOTION.apply(margins["vertices_before_lps_mm"])
    assert moved == pytest.approx(margins["vertices_lps_mm"], abs=1e-3)
    gaps = np.linalg.norm(margins["nearest_on_zone_lps_mm"] - margins["vertices_lps_mm"], axis=1)
    assert np.abs(margins["margin_mm"]) == pytest.approx(gaps, abs=1e-3)
    assert margins["triangles"].max() < len(margins["margin_mm"])
    assert margins["zone_triangles"].max() < len(margins["zone_vertices_lps_mm"])


def test_every_quantity_has_a_row_in_the_table(usual: tuple[Path, Record]) -> None:
    record = usual[1]
    rows = [q for part in ("lesions", "zones", "foci", "candidates") for row in record[part] for q in row["quantities"]]
    rows += [row[at] for row in record["criteria"] for at in ("baseline", "nadir", "current")]
    for quantity in rows:
        row = row_of(quantity["name"], quantity_rows())
        assert row is not None, quantity["name"]
        assert quantity.get("unit", row.unit) == row.unit, quantity["name"]


def test_the_same_input_gives_the_same_bytes(before: Path, tmp_path: Path) -> None:
    after = After(zones={"L1": (14.0, (1.0, 0.0, 0.0))})
    one, other = (_respond(after, before, tmp_path / name) for name in ("one", "other"))
    assert records.dump(one) == records.dump(other)
    assert (tmp_path / "one/post/margins/L1.npz").read_bytes() == (tmp_path / "other/post/margins/L1.npz").read_bytes()


def test_a_zone_beside_the_tumour_leaves_a_residue(before: Path, tmp_path: Path) -> None:
    """Zone of 12 mm, 5 mm off: margin 12 - 10 - 5 = -3; the lens formula tells what is left uncovered."""
    r, big, d = 10.0, 12.0, 5.0
    lens = np.pi * (big + r - d) ** 2 * (d**2 + 2 * d * (r + big) - 3 * (r - big) ** 2) / (12 * d) / 1000
    after = After(zones={"L1": (big, (d, 0.0, 0.0))}, foci={"L1": (2.6, (-9.4, 0.0, 0.0))})
    record = _respond(after, before, tmp_path)
    lesion = _lesion(record, "L1")
    found = _by_name(lesion["quantities"])
    assert found["minimal_ablation_margin"]["low"] <= -3.0 <= found["minimal_ablation_margin"]["high"]
    total = 4 / 3 * np.pi * r**3 / 1000
    assert found["npv_ratio"]["value"] == pytest.approx(100 * lens / total, abs=2.0)
    (focus,) = record["foci"]
    assert focus["spot"]["direction"] == "to the right" and focus["lesions"] == ["L1"]
    assert found["viable_diameter"]["value"] == pytest.approx(5.2, abs=1.0)
    answers = _answers(lesion)
    assert answers["ablation_margin_class"]["answer"] == "A2"
    assert answers["li_rads_treatment_response"]["answer"] == "LR-TR Viable"
    assert answers["local_finding"]["answer"] == "residual unablated tumour"
    mrecist = next(row for row in record["criteria"] if row["id"] == "mrecist")
    assert "L1" in mrecist["targets"]


def test_tumour_outside_the_zone_without_a_focus_is_not_called_dead(before: Path, tmp_path: Path) -> None:
    lesion = _lesion(_respond(After(zones={"L1": (12.0, (5.0, 0.0, 0.0))}), before, tmp_path), "L1")
    found = _by_name(lesion["quantities"])
    assert "outside the zone" in found["viable_diameter"]["not_measured"]
    assert _answers(lesion)["li_rads_treatment_response"]["possible"] == ["LR-TR Equivocal", "LR-TR Viable"]


def test_foci_that_could_not_be_looked_for_are_unknown(before: Path, tmp_path: Path) -> None:
    after = After(zones={"L1": (16.0, (0, 0, 0))}, foci_unknown={"Z1": "the study has no arterial phase"})
    lesion = _lesion(_respond(after, before, tmp_path), "L1")
    assert "no arterial phase" in _by_name(lesion["quantities"])["viable_diameter"]["not_measured"]
    answers = _answers(lesion)
    assert answers["ablation_margin_class"]["answer"] == "A0"
    assert answers["li_rads_treatment_response"]["answer"] == "LR-TR Nonevaluable"
    assert answers["local_finding"]["answer"] is None


def test_without_an_arterial_phase_nothing_is_called_dead(before: Path, tmp_path: Path) -> None:
    lesion = _lesion(_respond(After(zones={"L1": (16.0, (0, 0, 0))}, arterial=False), before, tmp_path), "L1")
    assert "no series known to be arterial" in _by_name(lesion["quantities"])["viable_diameter"]["not_measured"]
    assert _answers(lesion)["li_rads_treatment_response"]["answer"] == "LR-TR Nonevaluable"
    assert _answers(lesion)["ablation_margin_class"]["answer"] == "A0", "the margin needs no arterial phase"
    seen = After(zones={"L1": (12.0, (5.0, 0, 0))}, foci={"L1": (2.6, (-9.4, 0, 0))}, arterial=False)
    lesion = _lesion(_respond(seen, before, tmp_path / "seen"), "L1")
    assert _answers(lesion)["li_rads_treatment_response"]["answer"] == "LR-TR Viable", "what is seen is seen"


def test_foci_smaller_than_could_be_seen_stay_possible(before: Path, tmp_path: Path) -> None:
    after = After(zones={"L1": (16.0, (0, 0, 0))}, zone_origin="rule", smallest_focus_mm=5.0, zone_error_mm=1.0)
    lesion = _lesion(_respond(after, before, tmp_path), "L1")
    viable = _by_name(lesion["quantities"])["viable_diameter"]
    assert (viable["value"], viable["low"], viable["high"]) == (0.0, 0.0, 5.0)
    assert any("drawn by a rule" in note for note in _answers(lesion)["local_finding"]["notes"])
    margin = _by_name(lesion["quantities"])["minimal_ablation_margin"]
    sure = _by_name(
        _lesion(_respond(After(zones={"L1": (16.0, (0, 0, 0))}), before, tmp_path / "b"), "L1")["quantities"]
    )
    assert (
        margin["high"] - margin["low"]
        > sure["minimal_ablation_margin"]["high"] - sure["minimal_ablation_margin"]["low"]
    )


@pytest.mark.parametrize("older", [True, False])
def test_dead_tissue_from_before_is_not_taken_for_a_treatment(before: Path, tmp_path: Path, *, older: bool) -> None:
    """What does not enhance is the tumour's place and no more: nothing is proposed that takes ablation for sure."""
    after = After(zones={"L1": (11.0, (0, 0, 0))}, zone_origin="rule", smallest_focus_mm=5.0, perhaps_older=older)
    lesion = _lesion(_respond(after, before, tmp_path), "L1")
    answers = _answers(lesion)
    assert lesion["fate"] == ("perhaps_treated" if older else "treated")
    assert ("may have been treated" in lesion["statement"]) == older
    assert "value" in _by_name(lesion["quantities"])["minimal_ablation_margin"]
    assert ("LR-TR Nonviable" in answers["li_rads_treatment_response"]["possible"]) != older
    assert answers["local_finding"]["answer"] == (None if older else "complete ablation")


def test_a_rule_that_looked_for_no_foci_says_so(before: Path, tmp_path: Path) -> None:
    lesion = _lesion(_respond(After(zones={"L1": (16.0, (0, 0, 0))}, zone_origin="rule"), before, tmp_path), "L1")
    assert "not looked for" in _by_name(lesion["quantities"])["viable_diameter"]["not_measured"]


def test_a_lesion_without_a_motion_has_no_margin_and_a_reason(before: Path, tmp_path: Path) -> None:
    after = After(zones={"L1": (14.0, (0, 0, 0))}, motion=("L2",), untreated={"L2": 7.0})
    record = _respond(after, before, tmp_path)
    lesion = _lesion(record, "L1")
    assert lesion["fate"] == "treated" and lesion["motion"] is None and lesion["margins"] is None
    assert "too little of the liver" in _by_name(lesion["quantities"])["minimal_ablation_margin"]["not_measured"]
    assert _answers(lesion)["ablation_margin_class"]["possible"] == ["A0", "A1", "A2"]
    assert _lesion(record, "L3")["fate"] == "unknown"
    assert record["new_lesion"] is None, "what was not placed may be anywhere"


def test_a_tumour_that_a_model_drew_does_not_prove_that_nothing_was_treated(before: Path, tmp_path: Path) -> None:
    record = _respond(After(untreated=RADII, origin="model"), before, tmp_path)
    for row in record["lesions"]:
        assert row["fate"] == "not_found" and "may take an ablation zone for one" in row["statement"]
        assert all("value" not in q for q in row["quantities"])


def test_no_zone_at_all_is_said(before: Path, tmp_path: Path) -> None:
    record = _respond(After(untreated=RADII), before, tmp_path)
    assert {row["fate"] for row in record["lesions"]} == {"untreated"}
    assert any("No ablation zone was found" in w for w in record["warnings"])
    recist = next(row for row in record["criteria"] if row["id"] == "recist_1_1")
    assert recist["targets"] == ["L1", "L2"]
    assert recist["target"]["answer"] == "SD"
    assert set(recist["overall"]["possible"]) == {"SD", "PD"}, "nobody said whether L3, which is no target, progressed"


@pytest.mark.parametrize("origin", ["model", "external_model"])
def test_what_a_model_drew_is_a_candidate_for_a_reader(origin: str, before: Path, tmp_path: Path) -> None:
    after = After(zones={"L1": (16.0, (0, 0, 0))}, tumours=((5.0, NEW_PLACE),), origin=origin)
    record = _respond(after, before, tmp_path)
    (new,) = record["candidates"]
    assert new["origin"] == "model" and "reader" in new["notes"][-1]
    assert record["new_lesion"] is None
    mrecist = next(row for row in record["criteria"] if row["id"] == "mrecist")
    assert mrecist["overall"]["answer"] is None and "PD" in mrecist["overall"]["possible"]


def test_a_tumour_beside_the_zone_is_local_and_no_new_lesion(before: Path, tmp_path: Path) -> None:
    beside = tuple(now("L1") + np.array([0.0, 0.0, -22.0]))
    record = _respond(After(zones={"L1": (14.0, (0, 0, 0))}, tumours=((4.0, beside),)), before, tmp_path)
    (new,) = record["candidates"]
    assert new["local"] and new["zone"] == "Z1"
    assert record["new_lesion"] is False


def test_tumours_that_nobody_looked_for_say_nothing_of_new_ones(before: Path, tmp_path: Path) -> None:
    record = _respond(After(zones={"L1": (14.0, (0, 0, 0))}, knows_tumour=False), before, tmp_path)
    assert record["new_lesion"] is None
    assert any("not looked for" in w for w in record["warnings"])


def test_without_a_date_nothing_is_said_that_depends_on_it(before: Path, tmp_path: Path) -> None:
    record = _respond(After(zones={"L1": (14.0, (0, 0, 0))}), before, tmp_path, treated_on=None)
    assert record["timepoint"]["days"] is None and record["timepoint"]["bias"] == ""
    assert record["timepoint"]["statement"] in record["warnings"]
    lesion = _lesion(record, "L1")
    assert not {"technical_success", "technique_efficacy"} & set(_answers(lesion))
    assert all("not known" in row["reason"] for row in lesion["not_applied"])


def test_right_after_treatment_success_is_judged_and_the_bias_printed(before: Path, tmp_path: Path) -> None:
    record = _respond(After(zones={"L1": (14.0, (0, 0, 0))}), before, tmp_path, treated_on="2026-02-16")
    assert record["timepoint"]["windows"] == ["immediate"]
    assert "can't exclude residual" in record["warnings"][0]
    assert _answers(_lesion(record, "L1"))["technical_success"]["answer"] == "achieved"


def test_after_embolisation_the_whole_lesion_is_measured(before: Path, tmp_path: Path) -> None:
    """The dead part is what does not enhance; its size with what still does is the lesion's size."""
    after = After(zones={"L1": (9.0, (0, 0, 0))}, foci={"L1": (3.0, (-7.0, 0.0, 0.0))})
    record = _respond(after, before, tmp_path, kind="tace")
    lesion = _lesion(record, "L1")
    found = _by_name(lesion["quantities"])
    assert found["axial_long_diameter"]["value"] == pytest.approx(19.0, abs=0.9)
    assert "unenhanced" in found["iodised_oil_share"]["not_measured"]
    assert "L1" in next(row for row in record["criteria"] if row["id"] == "recist_1_1")["targets"]


# ---- what is refused ----


def test_another_patient_is_refused(tmp_path: Path) -> None:
    make_before(tmp_path / "pre", patient="0000")
    with pytest.raises(InputRefusedError, match="another patient"):
        _respond(After(), tmp_path / "pre", tmp_path)


def test_a_missing_patient_id_is_said(tmp_path: Path) -> None:
    make_before(tmp_path / "pre", patient=None)
    record = _respond(After(zones={"L1": (14.0, (0, 0, 0))}), tmp_path / "pre", tmp_path)
    assert record["baseline"]["same_patient"] is None
    assert any("can't be checked" in w for w in record["warnings"])


def test_a_later_baseline_is_refused(tmp_path: Path) -> None:
    make_before(tmp_path / "pre", day="20260301")
    with pytest.raises(UsageError, match="13 days after the study"):
        _respond(After(), tmp_path / "pre", tmp_path)


def test_the_study_itself_is_no_baseline(tmp_path: Path) -> None:
    make_before(tmp_path / "pre", uid=AFTER_UID)
    with pytest.raises(UsageError, match="this very study"):
        _respond(After(), tmp_path / "pre", tmp_path)


@pytest.mark.parametrize("missing", ["labels.nii.gz", "measurements.json", "study.json", "label_quality.json"])
def test_a_baseline_that_is_not_whole_is_refused(missing: str, tmp_path: Path) -> None:
    make_before(tmp_path / "pre")
    (tmp_path / "pre" / missing).unlink()
    with pytest.raises(UsageError, match=f"no {missing}.*liverimg pre"):
        read_baseline(tmp_path / "pre", Study("1.2.3", "20260216", ()))


def test_a_baseline_without_tumour_is_refused(before: Path, tmp_path: Path) -> None:
    make_before(tmp_path / "pre")
    workspace = Workspace(tmp_path / "pre")
    _repaint(workspace, {2: 1})
    with pytest.raises(UsageError, match="changed after they were measured"):
        read_baseline(tmp_path / "pre", Study("1.2.3", "20260216", ()))
    record = records.load(workspace.path(Artefact.MEASUREMENTS))
    record["labels"]["sha256"] = workspace.hash_of(Artefact.LABELS)
    workspace.path(Artefact.MEASUREMENTS).write_text(records.dump(record))
    with pytest.raises(InputRefusedError, match="no tumour drawn"):
        read_baseline(tmp_path / "pre", Study("1.2.3", "20260216", ()))


def test_a_change_of_the_baseline_changes_what_depends_on_it(tmp_path: Path) -> None:
    make_before(tmp_path / "pre")
    one = baseline_hashes(tmp_path / "pre")
    _repaint(Workspace(tmp_path / "pre"), {3: 1})
    other = baseline_hashes(tmp_path / "pre")
    assert {name for name in one if one[name] != other[name]} == {"baseline_labels"}


def test_a_treatment_after_the_study_is_refused(before: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="3 days after the study"):
        _respond(After(), before, tmp_path, treated_on="2026-02-19")


def test_a_treatment_before_the_baseline_is_said(before: Path, tmp_path: Path) -> None:
    record = _respond(After(zones={"L1": (14.0, (0, 0, 0))}), before, tmp_path, treated_on="2026-01-02")
    assert any("was made before the baseline" in w for w in record["warnings"])


@pytest.mark.parametrize(
    ("row", "words"),
    [({"date": "yesterday"}, "expected a date"), ({"date": "2026-01-20", "kind": "magic"}, "'magic' is not known")],
)
def test_treatments_that_mean_nothing_are_refused_at_once(row: Record, words: str, before: Path) -> None:
    with pytest.raises(UsageError, match=words):
        Settings(before, (row,))


def test_a_zone_that_was_corrected_by_hand_is_used_as_drawn(before: Path, tmp_path: Path) -> None:
    """The zone drawn larger by hand: the margin grows by as much, and the zone is the person's."""
    folder = make_after(
        tmp_path / "post", After(zones={"L1": (13.0, (0, 0, 0))}, zone_origin="rule", zone_error_mm=2.0)
    )
    first = _by_name(_lesion(respond(folder, before), "L1")["quantities"])["minimal_ablation_margin"]
    workspace = Workspace(folder)
    grid = nifti.read_grid(workspace.path(Artefact.ZONES))
    points = grid.index_to_lps_mm(np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1))
    drawn = (np.linalg.norm(points - now("L1"), axis=-1) <= 15.0).astype(np.uint8)
    nifti.write_label_values(workspace.path(Artefact.ZONES), drawn, grid)
    record = respond(folder, before)
    again = _by_name(_lesion(record, "L1")["quantities"])["minimal_ablation_margin"]
    assert again["value"] - first["value"] == pytest.approx(2.0, abs=0.4)
    assert again["high"] - again["low"] < first["high"] - first["low"]
    assert record["zones"][0]["origin"] == "drawn"
    assert {Artefact.ZONES, Artefact.ZONE_NAMES} <= set(STAGE.reads)


def _repaint(workspace: Workspace, changes: dict[int, int]) -> None:
    path = workspace.path(Artefact.LABELS)
    grid = nifti.read_grid(path)
    values = np.array(nifti.read_label_values(path, on=grid))
    for old, new in changes.items():
        values[values == old] = new
    nifti.write_label_values(path, values, grid)


def test_the_world_is_as_it_says() -> None:
    """The pairs above rest on balls that keep apart and inside the liver."""
    for name, centre in CENTRES.items():
        assert np.linalg.norm(centre) + RADII[name] < 40.0


def test_oil_of_an_earlier_embolisation_is_still_looked_for(before: Path, tmp_path: Path) -> None:
    folder = make_after(tmp_path / "post", After(zones={"L1": (14.0, (0, 0, 0))}))
    rows = ({"date": "2026-01-06", "kind": "tace"}, {"date": "2026-01-20", "kind": "hifu"})
    workspace = Workspace(folder)
    with workspace.draft("response") as draft:
        STAGE.run(workspace, draft, Settings(before, rows), lambda _: None)
        record = records.load(draft.path(Artefact.RESPONSE))
    found = _by_name(_lesion(record, "L1")["quantities"])
    assert "unenhanced" in found["iodised_oil_share"]["not_measured"], "ablated since, but the oil is still there"
    assert record["timepoint"]["days"] == 27, "counted from the last treatment"
