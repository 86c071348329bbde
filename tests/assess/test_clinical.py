"""The clinical file: what is wrong is named, nothing is guessed."""

from datetime import date, datetime

import pytest

from liverimg.assess.clinical import read_clinical
from liverimg.core.errors import RecordInvalidError
from liverimg.files.catalogue import lesion_sites, vocabulary


def read(given, **more):
    return read_clinical(given, vocabulary(), sites=lesion_sites(), **more)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"inrr": 1.0}, "inrr"),
        ({"platelets_per_ul": 140}, "platelets_per_ul is 140; expected .* unit"),
        ({"bilirubin_mg_per_dl": 1200}, "bilirubin_mg_per_dl"),
        ({"bilirubin_umol_per_l": 0.9}, "unit"),
        ({"albumin_g_per_l": 3.8}, "unit"),
        ({"bilirubin_umol_per_l": 20, "bilirubin_mg_per_dl": 1.2}, "twice"),
        ({"ascites_grade": "some"}, "none, mild"),
        ({"ascites_grade": 1}, "none, mild"),
        ({"tace_date": "last week"}, "2026-11-21"),
        ({"tace_date": 20260101}, "tace_date"),
        ({"lesion_site": "lung"}, "lesion_site"),
        ({"lesion_site": {"L1": "knee"}}, "knee"),
        ({"lesion_site": {"L1": 3}}, "expected one of"),
        ({"tace_date": "2026-01-01", "treatment_date": "2026-01-20", "tace_to_treatment_days": 20}, "19 days apart"),
        ({"inr": 10**400}, "finite"),
    ],
)
def test_what_is_wrong_is_named(given, words):
    with pytest.raises(RecordInvalidError, match=words):
        read(given)


def test_dates_become_days():
    found = read(
        {"tace_date": date(2026, 1, 1), "treatment_date": datetime(2026, 1, 20, 8, 30)}, study_date=date(2026, 1, 5)
    )
    assert found.numbers == {
        "baseline_age_days": 15.0,
        "tace_to_treatment_days": 19.0,
        "tace_to_scan_days": 4.0,
    }


def test_a_number_that_agrees_with_the_dates_is_kept():
    given = {"tace_date": "2026-01-01", "treatment_date": "2026-01-20", "tace_to_treatment_days": 19}
    assert read(given).numbers["tace_to_treatment_days"] == 19


def test_unknown_counts_as_not_given():
    found = read({"inr": "unknown", "ascites_grade": " Unknown ", "lesion_site": {"L1": "unknown", "L2": "Lung"}})
    assert not found.numbers and not found.words
    assert found.sites == {"L2": "lung"}
    assert not found.has("inr")


def test_units_are_converted_exactly_at_the_thresholds():
    assert read({"bilirubin_mg_per_dl": 3.0}).numbers["bilirubin_umol_per_l"] == 51.3
    assert read({"albumin_g_per_dl": 3.5}).numbers["albumin_g_per_l"] == 35.0


def test_a_score_that_the_items_contradict_is_refused():
    from liverimg.assess.scores import score_band

    given = read({"child_pugh_score": 5, "albumin_g_per_l": 20.0})
    with pytest.raises(RecordInvalidError, match="7 to 15"):
        score_band(vocabulary().scores["child_pugh_score"], given, vocabulary())
