"""The gate: a new model is let in when its measurements are shown not to be worse, and refused aloud else."""

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.training.toy_data import write_nnunet, write_template

from liverimg.core.errors import NeedsPersonError, UsageError
from liverimg.files import records
from liverimg.files.tables import read_table
from liverimg.training.scoring import evaluation
from liverimg.training.scoring.gate import GateRules, judge, upper_bound
from liverimg.training.scoring.measurement_error import MeasurementError
from liverimg.training.scoring.metrics import Agreement, LesionCount, SizeTally
from liverimg.training.scoring.promote import check_recipe, promote
from liverimg.training.scoring.score import CaseScore

RULES = GateRules.from_table(read_table("gate"))
DIAMETER = "axial_long_diameter"


def _case(name: str, errors_mm: Sequence[float | None], *, dice: float = 0.8, false_calls: int = 0) -> CaseScore:
    rows = tuple(
        MeasurementError(f"L{n}", DIAMETER, "mm", 20.0, None if e is None else 20.0 + e)
        for n, e in enumerate(errors_mm, start=1)
    )
    found = sum(e is not None for e in errors_mm)
    tally = SizeTally(len(errors_mm), found, found + false_calls, false_calls)
    overlap = Agreement(dice, 5.0, 5.0, 1.0, 0.5, 1.0, 0.9, 0.95)
    return CaseScore(
        name,
        None,
        1.0,
        overlap,
        {"tumour": overlap},
        LesionCount(len(errors_mm), found, false_calls),
        lesion_sizes={"20-50 mm": tally},
        measurements=rows,
    )


def _model(errors_mm: Sequence[Sequence[float | None]], **kinds: Any) -> list[CaseScore]:
    return [_case(f"c{n}", errors, **kinds) for n, errors in enumerate(errors_mm)]


OLD = [[2.0, 1.0], [1.5], [2.5], [1.0], [2.0], [1.8]]


def _shifted(by: float) -> list[list[float | None]]:
    return [[e + by for e in errors] for errors in OLD]


def test_the_same_model_passes() -> None:
    verdict = judge(_model(OLD), _model(OLD), RULES)
    assert verdict.passes
    assert not verdict.reasons


def test_smaller_errors_pass_and_larger_ones_do_not() -> None:
    assert judge(_model(OLD), _model(_shifted(-0.5)), RULES).passes
    worse = judge(_model(OLD), _model(_shifted(0.8)), RULES)
    assert not worse.passes
    assert "error of axial long diameter got worse" in worse.reasons[0]
    check = next(c for c in worse.checks if c.what == "error of axial long diameter")
    assert (check.verdict, check.cases) == ("grew", 6)
    assert check.bound == pytest.approx(0.8, abs=1e-3)


def test_growth_within_the_tolerance_passes() -> None:
    assert judge(_model(OLD), _model(_shifted(0.3)), RULES).passes


def test_a_mean_that_may_be_chance_is_not_enough() -> None:
    """On average nothing changed, but the cases disagree so much that it may well have grown."""
    changes = [4.0, -4.0, 3.0, -3.0, 3.5, -3.5]
    new = [[abs(e + change) for e in errors] for errors, change in zip(_wide(), changes, strict=True)]
    verdict = judge(_model(_wide()), _model(new), RULES)
    check = next(c for c in verdict.checks if c.what == "error of axial long diameter")
    assert check.new == pytest.approx(check.old, abs=0.01)
    assert check.verdict == "grew"


def _wide() -> list[list[float]]:
    return [[6.0], [6.0], [5.0], [5.0], [5.5], [5.5]]


def test_the_bound_is_the_upper_end_of_the_mean() -> None:
    rng = np.random.default_rng(0)
    changes = rng.normal(1.0, 2.0, size=400)
    expected = changes.mean() + 1.645 * changes.std() / np.sqrt(len(changes))
    assert upper_bound(changes, RULES) == pytest.approx(expected, abs=0.03)


def test_a_missed_lesion_is_refused_however_well_the_rest_is_measured() -> None:
    new = [[None, 0.0], *[[0.0] for _ in OLD[1:]]]
    verdict = judge(_model(OLD), _model(new), RULES)
    assert not verdict.passes
    assert any("recall of lesions of 20-50 mm" in r for r in verdict.reasons)


def test_a_structure_that_is_not_found_any_more_is_refused() -> None:
    verdict = judge(_model(OLD), _model(OLD, dice=0.0), RULES)
    assert any("cases in which tumour is found" in r for r in verdict.reasons)


def test_more_false_lesions_are_refused() -> None:
    assert any("false lesions" in r for r in judge(_model(OLD), _model(OLD, false_calls=1), RULES).reasons)
    assert judge(_model(OLD, false_calls=1), _model(OLD), RULES).passes


def test_few_cases_decide_nothing() -> None:
    verdict = judge(_model(OLD[:3]), _model(OLD[:3]), RULES)
    assert not verdict.passes
    assert any("3 cases are too few" in r for r in verdict.reasons)


def test_other_cases_are_refused() -> None:
    other = [replace(s, case=f"x{s.case}") for s in _model(OLD)]
    with pytest.raises(UsageError, match="different cases"):
        judge(_model(OLD), other, RULES)


RECIPE = """# Mine.
name = "mine"   # model = "old" is what it was
stages = ["segment"]

[settings.segment]
# The model: "old".
model = "{model}"  # in use
note = "{model}"

[settings.assess]
criteria = ["hifu_suitability"]
"""


@pytest.fixture
def models(tmp_path: Path) -> tuple[Path, Path]:
    return write_template(tmp_path / "old"), write_template(tmp_path / "new")


def test_only_the_model_of_a_recipe_is_changed(tmp_path: Path, models: tuple[Path, Path]) -> None:
    old, new = models
    recipe = tmp_path / "mine.toml"
    recipe.write_text(RECIPE.format(model=old))
    promote(recipe, new, old=old)
    assert recipe.read_text() == RECIPE.format(model=old).replace(f'model = "{old}"', f'model = "{new}"')
    assert tomllib.loads(recipe.read_text())["settings"]["segment"]["model"] == str(new)


def test_among_several_models_the_one_that_was_compared_is_changed(tmp_path: Path, models: tuple[Path, Path]) -> None:
    old, new = models
    recipe = tmp_path / "mine.toml"
    recipe.write_text(f'[settings.segment]\nmodel = {{ CT = "{old}", MR = "{tmp_path}/mr" }}\n')
    promote(recipe, new, old=old)
    model = tomllib.loads(recipe.read_text())["settings"]["segment"]["model"]
    assert model == {"CT": str(new), "MR": f"{tmp_path}/mr"}


def test_a_comparison_with_another_than_the_model_in_use_is_refused(tmp_path: Path, models: tuple[Path, Path]) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text(RECIPE.format(model=tmp_path / "third"))
    (models[0] / "changed").write_text("so it is no copy")
    with pytest.raises(UsageError, match="model in use"):
        check_recipe(recipe, models[0])
    recipe.write_text("[settings.segment]\n")
    with pytest.raises(UsageError, match="names no model"):
        check_recipe(recipe, models[0])


@pytest.mark.parametrize(("by", "code"), [(-0.5, 0), (0.8, 4)])
def test_the_command_promotes_or_ends_with_four(
    tmp_path: Path,
    models: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    liverimg: Callable[..., Any],
    by: float,
    code: int,
) -> None:
    """The scoring itself is tested elsewhere; here it is given."""
    old, new = models
    write_nnunet(tmp_path / "data", ("p1", "p2"))
    scores = [_model(_shifted(by)), _model(OLD)]
    monkeypatch.setattr(evaluation, "score_sources", lambda *_, **__: scores)
    recipe, out = tmp_path / "mine.toml", tmp_path / "scores.json"
    recipe.write_text(RECIPE.format(model=old))
    said = liverimg("evaluate", new, "--against", old, "--data", tmp_path / "data", "--out", out, "--promote", recipe)
    assert said.code == code, said.err
    named = tomllib.loads(recipe.read_text())["settings"]["segment"]["model"]
    assert named == str(new if code == 0 else old)
    record = records.load(out)
    records.check(record, "scores", out.name)
    assert record["gate"]["passes"] is (code == 0)
    if code:
        assert "was not changed" in said.err
        assert "axial long diameter" in said.out


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--data", "d", "--phantoms", "2"),
        ("--maps", "m"),
        ("--data", "d", "--promote", "r.toml"),
        ("--phantoms", "2", "--record"),
        ("--data", "d", "--cases", "0"),
    ],
)
def test_a_command_that_contradicts_itself_is_refused(
    tmp_path: Path, models: tuple[Path, Path], liverimg: Callable[..., Any], options: tuple[str, ...]
) -> None:
    assert liverimg("evaluate", models[1], "--out", tmp_path / "s.json", *options).code == 2


def test_refusal_names_what_grew() -> None:
    verdict = judge(_model(OLD), _model(_shifted(0.8)), RULES)
    with pytest.raises(NeedsPersonError, match="axial long diameter got worse"):
        evaluation.refuse_unless_passed(evaluation.Evaluation({}, (), verdict), Path("mine.toml"))
