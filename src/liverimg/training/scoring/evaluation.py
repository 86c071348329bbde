"""``liverimg evaluate``: scores of a bundle on labelled cases, beside another bundle, and the gate between the two."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from liverimg.core.errors import InputRefusedError, NeedsPersonError, UsageError
from liverimg.core.labels import Structure
from liverimg.files import records
from liverimg.files.tables import read_table
from liverimg.segmentation.bundle import Bundle, open_bundle
from liverimg.training.data.layouts import DataSet, Source, read_dataset
from liverimg.training.data.names import NameTable
from liverimg.training.data.splits import read_split
from liverimg.training.learning.contract import record_validation
from liverimg.training.scoring.cases import phantom_cases, synthetic_cases
from liverimg.training.scoring.data_cases import data_cases, truth_of
from liverimg.training.scoring.gate import GateRules, Verdict, judge
from liverimg.training.scoring.promote import check_recipe, promote
from liverimg.training.scoring.score import CaseScore, measuring_rules, score, summary
from liverimg.workspace import hash_file

_SCHEMA_VERSION = "0.1"


@dataclass(frozen=True)
class Request:
    """What the user asks for.

    Attributes:
        bundle: The model.
        out: JSON file for the scores.
        data: Folder of a data set; or else ``maps`` and ``fine``, or ``phantoms``.
        against: Another model, scored on the same cases.
        cases: At most so many cases.
        names: TOML file with the meaning of names.
        split: JSON file with a split; only its validation cases are scored.
        device: ``auto``, ``cpu`` or ``cuda``.
        record: Whether the scores are written into the model's contract.
        promote: Recipe whose model is to become this one, if the gate lets it.
        maps: Folder of body maps for made images, with ``fine``.
        fine: Folder of fine maps.
        phantoms: Number of analytic phantoms.
    """

    bundle: Path
    out: Path
    data: Path | None = None
    against: Path | None = None
    cases: int | None = None
    names: Path | None = None
    split: Path | None = None
    device: str = "auto"
    record: bool = False
    promote: Path | None = None
    maps: Path | None = None
    fine: Path | None = None
    phantoms: int = 0


@dataclass(frozen=True)
class Evaluation:
    """What came of it.

    Attributes:
        record: As it was written to the JSON file.
        summaries: Of the model itself, then of the other.
        verdict: Of the gate; None without another model.
    """

    record: Mapping[str, Any]
    summaries: Sequence[Mapping[str, Any]]
    verdict: Verdict | None


def evaluate(request: Request, *, tell: Callable[[float], None], note: Callable[[str], None]) -> Evaluation:
    """Scores one or two models, writes the JSON file, and changes the recipe when that was asked for and is earned.

    Args:
        request: What the user asks for.
        tell: Told the fraction done.
        note: Told what the user should know.

    Raises:
        NeedsPersonError: The gate does not let the model into the recipe; the scores are written all the same.
        UsageError: The request contradicts itself.
    """
    _check(request)
    folders = [request.bundle, *([request.against] if request.against else [])]
    if request.promote is not None and request.against is not None:
        check_recipe(request.promote, request.against)
    scores = _on_data(request, folders, tell, note) if request.data else _on_made(request, folders, tell)
    summaries = [summary(one) for one in scores]
    verdict = judge(scores[1], scores[0], GateRules.from_table(read_table("gate"))) if request.against else None
    record = _record(request, folders, scores, summaries, verdict)
    records.check(record, "scores", request.out.name)
    request.out.parent.mkdir(parents=True, exist_ok=True)
    request.out.write_text(records.dump(record), encoding="utf-8")
    if request.record:
        record_validation(request.bundle, summaries[0])
    done = Evaluation(record, summaries, verdict)
    if request.promote is not None and request.against is not None and verdict is not None and verdict.passes:
        promote(request.promote, request.bundle, old=request.against)
        note(f"{request.promote.name} uses {request.bundle.name} from now on")
    return done


def refuse_unless_passed(evaluation: Evaluation, recipe: Path) -> None:
    """Ends with exit code 4 when the gate kept a model out of a recipe.

    Raises:
        NeedsPersonError: It did.
    """
    if evaluation.verdict is not None and not evaluation.verdict.passes:
        raise NeedsPersonError(
            f"{recipe.name} was not changed: {'; '.join(evaluation.verdict.reasons)}; look at the table, and change "
            "the recipe by hand if you know better"
        )


def _check(request: Request) -> None:
    made = request.maps is not None or request.phantoms > 0
    if (request.data is None) == (not made):
        raise UsageError("give either --data FOLDER, or --maps and --fine, or --phantoms N")
    if (request.maps is None) != (request.fine is None):
        raise UsageError("made images need both --maps and --fine")
    if request.promote is not None and (request.against is None or request.data is None):
        raise UsageError("--promote compares with the model in use on real cases; give --against OLD and --data FOLDER")
    if request.record and request.data is None:
        raise UsageError("--record is for scores on labelled data; give --data FOLDER")
    if request.cases is not None and request.cases < 1:
        raise UsageError(f"--cases {request.cases}: expected 1 or more")
    if request.against is not None and request.against.resolve() == request.bundle.resolve():
        raise UsageError("--against names the model itself; give another one")


def _on_data(
    request: Request, folders: Sequence[Path], tell: Callable[[float], None], note: Callable[[str], None]
) -> list[list[CaseScore]]:
    assert request.data is not None
    names = NameTable.built_in() if request.names is None else NameTable.built_in().with_file(request.names)
    dataset = read_dataset(request.data, names)
    sources = list(dataset.sources)
    if request.split is not None:
        kept = read_split(request.split, [s.name for s in sources]).validation
        sources = [s for s in sources if s.name in kept]
    fresh = [s for s in sources if not _was_learned(s, folders)]
    if len(fresh) < len(sources):
        note(f"{len(sources) - len(fresh)} of {len(sources)} cases were left out: a model was trained on them")
    if not fresh:
        raise InputRefusedError("every case was learned from by one of the models; give cases that are new to them")
    return score_sources(folders, dataset, fresh[: request.cases], names, device=request.device, tell=tell)


def _was_learned(source: Source, folders: Sequence[Path]) -> bool:
    learned: set[str] = set()
    for folder in folders:
        path = folder / "configs" / "metadata.json"
        found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        learned |= set(found.get("liverimg", {}).get("trained", {}).get("images_sha256", []))
    return bool(learned) and any(hash_file(image) in learned for image in source.images)


def score_sources(
    folders: Sequence[Path],
    dataset: DataSet,
    sources: Sequence[Source],
    names: NameTable,
    *,
    device: str,
    tell: Callable[[float], None],
) -> list[list[CaseScore]]:
    """Scores every model on every case; one list of scores per model.

    Args:
        folders: Of the models, which need not have been evaluated yet.
        dataset: What the cases' labels mean.
        sources: The cases.
        names: Where unlabelled structures hide.
        device: ``auto``, ``cpu`` or ``cuda``.
        tell: Told the fraction done.
    """
    bundles = [open_bundle(folder, device=device, unevaluated=True) for folder in folders]
    truth = truth_of(dataset, names, _drawn(bundles))
    low, high = read_table("dataset_names")["plausible"]["liver_median_hu"]
    rules = measuring_rules()
    scores: list[list[CaseScore]] = [[] for _ in bundles]
    for number, (case, unknown) in enumerate(
        data_cases(dataset, sources, truth, liver_median_hu=(float(low), float(high)))
    ):
        for bundle, own in zip(bundles, scores, strict=True):
            found = score(
                case, bundle, (), groups=truth.groups, unknown=unknown, not_told=truth.not_told, measuring=rules
            )
            own.append(found)
        tell((number + 1) / len(sources))
    return scores


def _drawn(bundles: Sequence[Bundle]) -> list[Structure]:
    return sorted({structure for bundle in bundles for structure in bundle.values})


def _on_made(request: Request, folders: Sequence[Path], tell: Callable[[float], None]) -> list[list[CaseScore]]:
    bundles = [open_bundle(folder, device=request.device, unevaluated=True) for folder in folders]
    structures = _drawn(bundles)
    if request.maps is not None and request.fine is not None:
        total = request.cases or 12
        cases = synthetic_cases(request.maps, request.fine, total)
    else:
        total = request.phantoms
        cases = phantom_cases(total, tuple(structures))
    rules = measuring_rules()
    scores: list[list[CaseScore]] = [[] for _ in bundles]
    for number, case in enumerate(cases):
        for bundle, own in zip(bundles, scores, strict=True):
            own.append(score(case, bundle, structures, measuring=rules))
        tell((number + 1) / total)
    return scores


def _record(
    request: Request,
    folders: Sequence[Path],
    scores: Sequence[Sequence[CaseScore]],
    summaries: Sequence[Mapping[str, Any]],
    verdict: Verdict | None,
) -> dict[str, Any]:
    models = []
    for folder, own, means in zip(folders, scores, summaries, strict=True):
        cases = [asdict(one) for one in own]
        for case, one in zip(cases, own, strict=True):
            for row, error in zip(case["measurements"], one.measurements, strict=True):
                row["error"] = error.error
        metadata = json.loads((folder / "configs" / "metadata.json").read_text(encoding="utf-8"))
        models.append(
            {
                "name": str(metadata["name"]),
                "version": str(metadata["version"]),
                "summary": dict(means),
                "cases": cases,
            }
        )
    whole = {
        "record": "scores",
        "schema_version": _SCHEMA_VERSION,
        "on": "labelled data" if request.data else "made images" if request.maps else "analytic phantoms",
        "models": models,
        "gate": None if verdict is None else asdict(verdict),
    }
    # As it will be read: tuples are lists in JSON.
    plain: dict[str, Any] = json.loads(json.dumps(whole))
    return plain
