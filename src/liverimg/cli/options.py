"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from liverimg.cli import complete as offer

StudyArgument = Annotated[Path, typer.Argument(metavar="STUDY", help="Folder with the DICOM files of one study.")]
OutOption = Annotated[Path, typer.Option("--out", metavar="OUT", help="Folder for the results of this one study.")]
PhaseOption = Annotated[
    list[str] | None,
    typer.Option(
        "--phase",
        metavar="SERIES_UID=NAME",
        help="Contrast phase of a series as you know it; may be given several times.",
    ),
]
UseOption = Annotated[
    list[str] | None,
    typer.Option(
        "--use",
        metavar="ROLE=NUMBER|SERIES_UID",
        help="Volume for a role (reference, unenhanced, arterial, portal_venous, delayed, hepatobiliary), by the "
        "number that inspect shows or its series UID; may be given several times.",
        autocompletion=offer.roles,
    ),
]
ContrastStartOption = Annotated[
    list[str] | None,
    typer.Option(
        "--contrast-start",
        metavar="SERIES_UID=SECONDS",
        help="Ultrasound: start of injection after a clip's first frame; may be given several times.",
    ),
]
PaneOption = Annotated[
    list[str] | None,
    typer.Option(
        "--pane",
        metavar="SERIES_UID=left|right|whole|none",
        help="Ultrasound: which picture of a clip shows contrast; may be given several times.",
    ),
]
ClinicalOption = Annotated[
    Path | None,
    typer.Option("--clinical", metavar="FILE", help="TOML file with clinical data (Child-Pugh score, INR, ...)."),
]
EarlierOption = Annotated[
    Path | None,
    typer.Option(
        "--earlier", metavar="OUT", help="Output folder of an earlier study of the same patient, to tell growth."
    ),
]
CriteriaOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--criteria",
        metavar="FILE.toml",
        help="Rules of your own beside those that come with liverimg; may be given several times.",
    ),
]
TransducerOption = Annotated[
    str | None,
    typer.Option(
        "--transducer",
        metavar="NAME",
        help="Transducer for the acoustic window; liverimg transducers lists them.",
        autocompletion=offer.transducers,
    ),
]
TransducersOption = Annotated[
    Path | None,
    typer.Option("--transducers", metavar="FILE.toml", help="Transducers of your own instead of those built in."),
]
RecipeOption = Annotated[
    str,
    typer.Option(
        "--recipe",
        metavar="FILE",
        help="Recipe: a TOML file, or the name of one that is built in.",
        autocompletion=offer.recipes,
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME|PATH",
        help="Model instead of the recipe's: a folder with a MONAI bundle, totalsegmentator, or nnunet:MODEL.",
        autocompletion=offer.models,
    ),
]
DeviceOption = Annotated[
    str,
    typer.Option("--device", metavar="auto|cpu|cuda", help="Where the model runs.", autocompletion=offer.devices),
]
RedoOption = Annotated[
    str | None,
    typer.Option(
        "--redo",
        metavar="STAGE",
        help="Run a stage again; discards corrections made to its outputs.",
        autocompletion=offer.stages,
    ),
]
