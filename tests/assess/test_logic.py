"""Three-valued logic is exact: the same as trying every way in which what is open could turn out."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liverimg.assess.band import Band
from liverimg.assess.clinical import Clinical
from liverimg.assess.logic import all_of, any_of, negated
from liverimg.assess.operators import compare
from liverimg.assess.rules import judge
from liverimg.assess.terms import Facts
from liverimg.core.assessment import Verdict
from liverimg.core.criteria import AllOf, AnyOf, Compare, Kind, Not, Number
from liverimg.core.measurement import Lesion, Measurement, MeasurementSet, NotMeasured
from liverimg.core.vocabulary import Threshold, Vocabulary
from liverimg.files.catalogue import vocabulary

MET, NOT_MET, UNDETERMINED = Verdict.MET, Verdict.NOT_MET, Verdict.UNDETERMINED
VERDICTS = st.lists(st.sampled_from(Verdict), max_size=6)


def settled(verdicts):
    """Every way in which open verdicts could turn out, as truth values."""
    choices = [{MET: (True,), NOT_MET: (False,), UNDETERMINED: (True, False)}[v] for v in verdicts]
    return list(product(*choices))


def agreed(outcomes):
    """What all outcomes have in common."""
    found = set(outcomes)
    return UNDETERMINED if len(found) > 1 else (MET if found == {True} else NOT_MET)


@given(VERDICTS)
def test_all_and_any_agree_with_every_way_it_could_turn_out(verdicts):
    ways = settled(verdicts)
    assert all_of(verdicts) is agreed([all(way) for way in ways])
    assert any_of(verdicts) is agreed([any(way) for way in ways])


@given(VERDICTS)
def test_de_morgan(verdicts):
    assert negated(all_of(verdicts)) is any_of([negated(v) for v in verdicts])
    assert [negated(negated(v)) for v in verdicts] == verdicts


NUMBERS = st.integers(-20, 20).map(float)


@st.composite
def bands(draw):
    low, high = sorted((draw(NUMBERS), draw(NUMBERS)))
    open_low, open_high = draw(st.booleans()), draw(st.booleans())
    return (-float("inf") if open_low else low), (float("inf") if open_high else high)


def values_of(low, high):
    """Numbers all over the band, its ends among them."""
    low, high = max(low, -30.0), min(high, 30.0)
    return [low + (high - low) * n / 60 for n in range(61)] + [low, high]


CONDITIONS = {
    "<=": lambda x, t: x <= t[0],
    "<": lambda x, t: x < t[0],
    ">=": lambda x, t: x >= t[0],
    ">": lambda x, t: x > t[0],
    "within": lambda x, t: t[0] <= x <= t[1],
}


@pytest.mark.parametrize("operator", list(CONDITIONS))
@given(band=bands(), limits=st.tuples(NUMBERS, NUMBERS))
def test_a_comparison_agrees_with_every_number_of_the_band(operator, band, limits):
    limits = sorted(limits)[: 2 if operator == "within" else 1]
    thresholds = tuple(Threshold(v, "mm", "test") for v in limits)
    unknown = NotMeasured("x", "L1", "test")
    verdict = compare(operator, Band(*band, "mm", unknown), thresholds).verdict
    kept = {CONDITIONS[operator](x, limits) for x in values_of(*band)}
    if verdict is MET:
        assert kept == {True}
    if verdict is NOT_MET:
        assert kept == {False}
    if kept == {True, False}:
        assert verdict is UNDETERMINED


SIZES = ("axial_long_diameter", "axial_short_diameter", "craniocaudal_extent")


@st.composite
def rules(draw, depth=3):
    kind = draw(st.sampled_from(("leaf", "all", "any", "not") if depth else ("leaf",)))
    if kind == "leaf":
        number = Number(draw(st.sampled_from(SIZES)), Kind.LESION, "mm")
        return Compare(number, draw(st.sampled_from(("<=", ">"))), (Threshold(draw(NUMBERS), "mm", "test"),))
    if kind == "not":
        return Not(draw(rules(depth=depth - 1)))
    parts = tuple(draw(st.lists(rules(depth=depth - 1), min_size=1, max_size=3)))
    return AllOf(parts) if kind == "all" else AnyOf(parts)


def facts_of(quantities) -> Facts:
    lesion = Lesion("L1", (0.0, 0.0, 0.0), tuple(quantities))
    words: Vocabulary = vocabulary()
    return Facts(MeasurementSet((lesion,), ()), Clinical(), words, (lesion,), lesion)


@given(rule=rules(), known=st.lists(st.one_of(st.none(), st.tuples(NUMBERS, NUMBERS)), min_size=3, max_size=3))
def test_a_verdict_holds_for_every_truth_inside_the_bands(rule, known):
    """A rule that is met or not met stays so whatever the true numbers are, within their bands."""
    quantities, ends = [], []
    for name, band in zip(SIZES, known, strict=True):
        if band is None:
            quantities.append(NotMeasured(name, "L1", "not seen"))
            ends.append((-25.0, 25.0))
        else:
            low, high = sorted(band)
            quantities.append(Measurement(name, "L1", low, "mm", low, high, "test"))
            ends.append((low, high))
    verdict = judge(rule, facts_of(quantities)).verdict
    for truth in product(*[(low, (low + high) / 2, high) for low, high in ends]):
        exact = [Measurement(n, "L1", x, "mm", x, x, "test") for n, x in zip(SIZES, truth, strict=True)]
        then = judge(rule, facts_of(exact)).verdict
        assert then is not UNDETERMINED
        assert verdict in (then, UNDETERMINED)


@given(rule=rules())
def test_what_decides_is_named(rule):
    """The parts that are said to decide are enough for the answer, and an open answer rests on open parts."""
    judged = judge(rule, facts_of([NotMeasured(SIZES[0], "L1", "x"), *exact(SIZES[1:], 3.0)]))
    assert judged.deciding
    if judged.verdict is UNDETERMINED:
        assert {part.verdict for part in judged.deciding} == {UNDETERMINED}
    else:
        assert UNDETERMINED not in {part.verdict for part in judged.deciding}


def exact(names, value):
    return [Measurement(name, "L1", value, "mm", value, value, "test") for name in names]
