"""What the tests of the judging room share."""

from datetime import date

from liverimg.assess.clinical import read_clinical
from liverimg.assess.eligibility import assess_eligibility
from liverimg.core.assessment import Assessment, Classification, Finding
from liverimg.core.criteria import CriteriaSet
from liverimg.core.measurement import Lesion, Measurement, MeasurementSet
from liverimg.files.catalogue import lesion_sites, vocabulary


def measurement(name, value, low=None, high=None, unit="mm", target="L1"):
    low, high = value if low is None else low, value if high is None else high
    return Measurement(name, target, value, unit, low, high, "by hand")


def lesions(*quantities):
    return MeasurementSet((Lesion("L1", (0.0, 0.0, 0.0), quantities),), ())


def tumours(*diameters, count=True, volumes=None, unit="mm"):
    """One lesion per diameter (a number, or value, low and high), counted by a person or outlined by software."""
    made = []
    for n, diameter in enumerate(diameters, start=1):
        band = diameter if isinstance(diameter, tuple) else (diameter,)
        quantities = [measurement("axial_long_diameter", *band, unit=unit, target=f"L{n}")]
        if volumes is not None:
            quantities.append(measurement("volume", volumes[n - 1], unit="ml", target=f"L{n}"))
        made.append(Lesion(f"L{n}", (0.0, 0.0, 0.0), tuple(quantities)))
    organs = (measurement("tumour_count", len(diameters), unit="1", target="tumour"),) if count else ()
    return MeasurementSet(tuple(made), organs)


def assess(measurements, criteria: CriteriaSet, clinical=None, study_date: date | None = None) -> Assessment:
    words = vocabulary()
    items = {**words.items, **{item.key: item for item in criteria.items}}
    words = type(words)(words.quantities, items, words.scores)
    given = read_clinical(clinical or {}, words, sites=lesion_sites(), study_date=study_date)
    return assess_eligibility(measurements, criteria, clinical=given, vocabulary=words)


def finding(assessment: Assessment, criterion_id: str, target: str | None = None) -> Finding:
    (found,) = [f for f in assessment.findings if f.criterion_id == criterion_id and target in (None, f.target)]
    return found


def category(assessment: Assessment, category_id: str, target: str | None = None) -> Classification:
    (found,) = [c for c in assessment.classifications if c.category_id == category_id and target in (None, c.target)]
    return found
