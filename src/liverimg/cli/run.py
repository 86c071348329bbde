"""The commands that assess a study before treatment: ``liverimg pre``, ``ingest`` and ``measure``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from liverimg.cli.answer import Answer
from liverimg.cli.options import (
    ClinicalOption,
    ContrastStartOption,
    CriteriaOption,
    DeviceOption,
    EarlierOption,
    ModelOption,
    OutOption,
    PaneOption,
    PhaseOption,
    RecipeOption,
    RedoOption,
    StudyArgument,
    TransducerOption,
    TransducersOption,
    UseOption,
)

if TYPE_CHECKING:
    from liverimg.pipeline.result import Result


def pre(
    study: StudyArgument,
    out: OutOption,
    clinical: ClinicalOption = None,
    own_criteria: CriteriaOption = None,
    recipe: RecipeOption = "pre_ablation",
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels",
            metavar="PATH",
            help="Labels drawn elsewhere, used instead of a model: NIfTI, NRRD, DICOM SEG, RTSTRUCT, a mask folder.",
        ),
    ] = None,
    model: ModelOption = None,
    phase: PhaseOption = None,
    use: UseOption = None,
    earlier: EarlierOption = None,
    transducer: TransducerOption = None,
    transducers_file: TransducersOption = None,
    device: DeviceOption = "auto",
    redo: RedoOption = None,
) -> Answer:
    """Assess a study before ablation: volumes, labels, measurements, suitability and a report."""
    from liverimg import api
    from liverimg.terminal.progress import TerminalReporter

    with TerminalReporter() as reporter:
        result = api.run(
            study,
            out=out,
            recipe=recipe,
            labels=labels,
            model=model,
            device=device,
            phase=phase,
            use=use,
            clinical=clinical,
            criteria=own_criteria,
            earlier=earlier,
            transducer=transducer,
            transducers=transducers_file,
            redo=redo,
            reporter=reporter,
        )
    return _answer(result)


def ingest(
    study: StudyArgument,
    out: OutOption,
    phase: PhaseOption = None,
    use: UseOption = None,
    contrast_start: ContrastStartOption = None,
    pane: PaneOption = None,
) -> Answer:
    """Turn a study folder into volumes (NIfTI, CT in HU), ultrasound cines and study.json; needs no model."""
    from liverimg import api
    from liverimg.terminal.progress import TerminalReporter

    with TerminalReporter() as reporter:
        result = api.ingest(
            study, out=out, phase=phase, use=use, contrast_start=contrast_start, pane=pane, reporter=reporter
        )
    return _answer(result)


def measure(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Output folder of an earlier run.")],
    clinical: ClinicalOption = None,
    own_criteria: CriteriaOption = None,
    earlier: EarlierOption = None,
) -> Answer:
    """Measure, assess and report again, after a label was corrected by hand."""
    from liverimg import api
    from liverimg.terminal.progress import TerminalReporter

    with TerminalReporter() as reporter:
        result = api.measure_again(out, clinical=clinical, criteria=own_criteria, earlier=earlier, reporter=reporter)
    return _answer(result)


def _answer(result: Result) -> Answer:
    from liverimg.terminal.as_json import result_record
    from liverimg.terminal.outcomes import show_outcomes

    return Answer(lambda: result_record(result), lambda: show_outcomes(result.outcomes, result.folder))
