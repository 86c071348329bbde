"""The runner on two small stages of its own: fresh, edited, redone, refused."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

import liverimg.workspace.folder as folder_module
from liverimg.core.errors import InputRefusedError, NeedsPersonError, UsageError
from liverimg.pipeline.recipe import Recipe, Step, load_recipe
from liverimg.pipeline.runner import State, run
from liverimg.stages.stage import Stage
from liverimg.workspace import Artefact

RUNS: list[str] = []


@dataclass(frozen=True)
class DrawSettings:
    text: str = "drawn"
    source: Path | None = None
    device: str = field(default="cpu", metadata={"key": False})


@dataclass(frozen=True)
class CountSettings:
    unit: str = "letters"


def draw(workspace, draft, settings, progress) -> None:
    RUNS.append("draw")
    if settings.text == "refuse me":
        raise InputRefusedError("nothing to draw")
    draft.path(Artefact.LABELS).write_text(settings.text)
    progress(1.0)


def count(workspace, draft, settings, progress) -> None:
    RUNS.append("count")
    text = workspace.path(Artefact.LABELS).read_text()
    draft.put_text(Artefact.REPORT, f"{len(text)} {settings.unit}")


DRAW = Stage(
    name="draw",
    version=1,
    reads=(),
    writes=(Artefact.LABELS,),
    settings=DrawSettings,
    run=draw,
    depends_on=lambda s: {"source": s.source.read_text()} if s.source else {},
    editable=(Artefact.LABELS,),
)
COUNT = Stage("count", 1, (Artefact.LABELS,), (Artefact.REPORT,), CountSettings, count)


def recipe(**draw_settings: object) -> Recipe:
    return Recipe("test", "Test", (Step(DRAW, draw_settings), Step(COUNT, {})))


@pytest.fixture(autouse=True)
def _no_runs_yet() -> None:
    RUNS.clear()


def states(outcomes: list) -> list[State]:
    return [o.state for o in outcomes]


def test_a_second_run_does_nothing(tmp_path: Path) -> None:
    assert states(run(recipe(), tmp_path / "out")) == [State.DONE, State.DONE]
    assert states(run(recipe(), tmp_path / "out")) == [State.FRESH, State.FRESH]
    assert RUNS == ["draw", "count"]


def test_a_changed_setting_redoes_the_stage_and_what_follows(tmp_path: Path) -> None:
    run(recipe(), tmp_path / "out")
    assert states(run(recipe(text="something else"), tmp_path / "out")) == [State.DONE, State.DONE]
    assert (tmp_path / "out" / "report.html").read_text() == "14 letters"


def test_a_setting_that_changes_nothing_redoes_nothing(tmp_path: Path) -> None:
    run(recipe(), tmp_path / "out")
    assert states(run(recipe(device="cuda"), tmp_path / "out")) == [State.FRESH, State.FRESH]


def test_what_follows_an_equal_result_stays_fresh(tmp_path: Path) -> None:
    run(recipe(), tmp_path / "out")
    assert states(run(recipe(), tmp_path / "out", redo="draw")) == [State.DONE, State.FRESH]


def test_a_changed_input_from_outside_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "source").write_text("one")
    run(recipe(source=tmp_path / "source"), tmp_path / "out")
    (tmp_path / "source").write_text("two")
    assert states(run(recipe(source=tmp_path / "source"), tmp_path / "out"))[0] is State.DONE


def test_a_hand_edit_is_kept_and_what_follows_is_redone(tmp_path: Path) -> None:
    run(recipe(), tmp_path / "out")
    (tmp_path / "out" / "labels.nii.gz").write_text("corrected by a radiologist")
    outcomes = run(recipe(), tmp_path / "out")
    assert states(outcomes) == [State.EDITED, State.DONE]
    assert "corrected by hand" in outcomes[0].note
    assert (tmp_path / "out" / "report.html").read_text() == "26 letters"
    assert states(run(recipe(), tmp_path / "out")) == [State.EDITED, State.FRESH]


def test_a_hand_edit_survives_changed_settings(tmp_path: Path) -> None:
    run(recipe(), tmp_path / "out")
    (tmp_path / "out" / "labels.nii.gz").write_text("mine")
    assert states(run(recipe(text="another model"), tmp_path / "out")) == [State.EDITED, State.DONE]
    assert (tmp_path / "out" / "labels.nii.gz").read_text() == "mine"


def test_redo_discards_the_edit_and_says_so(tmp_path: Path) -> None:
    run(recipe(), tmp_path / "out")
    (tmp_path / "out" / "labels.nii.gz").write_text("corrected")
    run(recipe(), tmp_path / "out")
    outcomes = run(recipe(), tmp_path / "out", redo="draw")
    assert "discarded" in outcomes[0].note
    assert (tmp_path / "out" / "labels.nii.gz").read_text() == "drawn"
    assert (tmp_path / "out" / "report.html").read_text() == "5 letters"


def test_an_output_that_is_not_for_editing_is_made_again(tmp_path: Path) -> None:
    run(recipe(), tmp_path / "out")
    (tmp_path / "out" / "report.html").write_text("all is well")
    outcomes = run(recipe(), tmp_path / "out")
    assert states(outcomes) == [State.FRESH, State.DONE]
    assert "made again" in outcomes[1].note
    assert (tmp_path / "out" / "report.html").read_text() == "5 letters"


def test_a_removed_output_is_made_again(tmp_path: Path) -> None:
    run(recipe(), tmp_path / "out")
    (tmp_path / "out" / "labels.nii.gz").unlink()
    assert states(run(recipe(), tmp_path / "out")) == [State.DONE, State.FRESH]


def test_a_refusal_keeps_the_last_whole_state(tmp_path: Path) -> None:
    run(recipe(), tmp_path / "out")
    with pytest.raises(InputRefusedError):
        run(recipe(text="refuse me"), tmp_path / "out")
    assert (tmp_path / "out" / "labels.nii.gz").read_text() == "drawn"
    assert states(run(recipe(), tmp_path / "out")) == [State.FRESH, State.FRESH]


def test_a_refusal_at_the_first_stage_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputRefusedError):
        run(recipe(text="refuse me"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_redo_of_an_unknown_stage_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such stage"):
        run(recipe(), tmp_path / "out", redo="paint")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stages = ['ingest', 'dance']", "no stage called 'dance'"),
        ("title = 'x'", "wants a list 'stages'"),
        ("stages = ['measure']\n[settings.measure]\nspeed = 1", "no setting 'speed'"),
        ("stages = ['measure']\n[settings.measure]\nminimum_lesion_volume_ml = 'big'", "expected float"),
        ("stages = ['assess']", "lacks a setting"),
        ("stages = ['measure']\n[settings.report]\n", "not among its stages"),
        ("stages = [", "not valid TOML"),
    ],
)
def test_a_wrong_recipe_is_one_sentence(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises((UsageError, InputRefusedError), match=message):
        [step.resolved() for step in load_recipe(path).steps]


def test_an_unknown_recipe_names_those_there_are() -> None:
    with pytest.raises(UsageError, match="pre_ablation"):
        load_recipe("pre_ablatoin")


def test_labels_of_unknown_origin_are_never_overwritten_in_silence(tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(recipe(), out)
    (out / "labels.nii.gz").write_text("corrected")
    (out / "provenance" / "draw.json").unlink()
    with pytest.raises(NeedsPersonError, match="--redo draw"):
        run(recipe(), out)
    assert (out / "labels.nii.gz").read_text() == "corrected"
    assert "discarded" in run(recipe(), out, redo="draw")[0].note


def test_a_commit_that_was_cut_off_is_done_again_but_an_edit_since_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    run(recipe(), out)

    def disk_full(path: Path, text: str) -> None:
        if path.name == "draw.json":
            raise OSError(28, "No space left on device")
        write(path, text)

    write = folder_module.write_atomically
    monkeypatch.setattr(folder_module, "write_atomically", disk_full)
    with pytest.raises(OSError, match="No space"):
        run(recipe(text="drawn anew"), out)
    monkeypatch.undo()
    assert (out / "labels.nii.gz").read_text() == "drawn anew", "the kill came after the rename"

    (out / "labels.nii.gz").write_text("corrected in between")
    with pytest.raises(NeedsPersonError):
        run(recipe(text="drawn anew"), out)
    (out / "labels.nii.gz").write_text("drawn anew")
    assert states(run(recipe(text="drawn anew"), out)) == [State.DONE, State.DONE]


def test_a_kept_edit_says_when_its_inputs_have_changed(tmp_path: Path) -> None:
    run(recipe(), tmp_path / "out")
    (tmp_path / "out" / "labels.nii.gz").write_text("mine")
    assert "has changed since" not in run(recipe(), tmp_path / "out")[0].note
    assert "has changed since" in run(recipe(text="another model"), tmp_path / "out")[0].note


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("settings = 5", "no table"),
        ("[settings]\nmeasure = 5", "no table"),
        ("[settings.measure]\nminimum_lesion_volume_ml = nan", "expected float"),
        ("[settings.measure]\nminimum_lesion_volume_ml = inf", "expected float"),
        ("[settings.assess]\ncriteria = [1]", "there is no criteria table 1"),
        ("[settings.assess]\ncriteria = ['hifu_suitability']\nclinical = 5", "clinical"),
        ("[settings.assess]\ncriteria = ['hifu_suitability']\nclinical = {inr = nan}", "finite"),
        ("[settings.assess]\ncriteria = ['hifu_suitability']\nclinical = {patient_name = 'x'}", "no rule knows"),
        ("[settings.ingest]\nstudy = 'a/b'\nphases = 3", "ingest.phases"),
    ],
)
def test_odd_settings_are_one_sentence_before_any_work(settings: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    stages = [s for s in ("ingest", "measure", "assess") if f"settings.{s}" in settings] or ["measure"]
    path.write_text(f"stages = {stages}\n{settings}")
    with pytest.raises((UsageError, InputRefusedError), match=message):
        [step.resolved() for step in load_recipe(path).steps]
