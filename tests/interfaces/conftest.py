"""A patient with a name in every attribute that may hold one, taken through the whole recipe."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.datadict import keyword_for_tag
from tests.dicom.build import write_series
from tests.dicom.sentinels import Sentinels, filled

from liverimg.cli import main
from liverimg.core.grid import Grid
from liverimg.core.labels import Structure
from liverimg.dicom.deidentify_rules import DeidentifyRules
from liverimg.files import nifti
from liverimg.files.tables import read_table

GRID = Grid.from_axes(
    (18, 42, 46), spacing_mm=(5.2, 4.0, 4.0), origin_lps_mm=(-90.0, -80.0, -46.0), frame_of_reference_uid="1.2.3"
)
NAME = "Sentinel00000X"
# What a study is read by: without it there would be no study, and with it nobody is named.
_READ_BY = ("StudyDate", "AcquisitionDate", "AcquisitionDateTime", "SeriesDate", "ContentDate")
_KEPT = ("SOPInstanceUID", "SOPClassUID", "Modality", "SpecificCharacterSet", "SeriesDescription")


@dataclass(frozen=True)
class Spoken:
    """How a command ended, and all that it said."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Secretive:
    """A study full of names, and what the program made of it.

    Attributes:
        home: Folder with everything that was written; the study itself lies elsewhere.
        study: Its folder, which is called after the patient.
        labels: Drawn beside it, in a folder that is called after the patient.
        secrets: What must not be found anywhere.
        said: All that was printed on the way.
    """

    home: Path
    study: Path
    labels: Path
    secrets: list[str]
    said: str


def call(*arguments: object) -> Spoken:
    """Runs a command as the shell would."""
    before, out, err = sys.argv, io.StringIO(), io.StringIO()
    sys.argv = ["liverimg", *map(str, arguments)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
        code = 0
    except SystemExit as leaving:
        code = int(leaving.code or 0)
    finally:
        sys.argv = before
    return Spoken(code, out.getvalue(), err.getvalue())


def body() -> tuple[np.ndarray, np.ndarray]:
    """Labels and HU of an egg-shaped liver with one ball in it, inside a trunk."""
    places = GRID.index_to_lps_mm(np.stack(np.meshgrid(*map(np.arange, GRID.shape), indexing="ij"), axis=-1))
    values = np.zeros(GRID.shape, dtype=np.uint8)
    trunk = ((places / (80, 72, 200)) ** 2).sum(-1) <= 1
    values[((places - (-20, 5, 0)) / (45, 40, 36)).__pow__(2).sum(-1) <= 1] = 1
    values[np.linalg.norm(places - (-20, 5, 2), axis=-1) <= 14] = 2
    hu = np.where(values == 2, 60.0, np.where(values == 1, 110.0, np.where(trunk, 40.0, -1000.0)))
    return values, hu + np.random.default_rng(5).normal(0, 6, GRID.shape)


@pytest.fixture(scope="session")
def secretive(tmp_path_factory: pytest.TempPathFactory) -> Secretive:
    """Run, measured again after a correction, exported in every format, refused and logged."""
    sentinels, hidden, home = Sentinels(), tmp_path_factory.mktemp("hidden"), tmp_path_factory.mktemp("home")
    tags = DeidentifyRules(read_table("deidentify")).tags_of_the_table
    told = frozenset(
        t for t in tags if t >> 16 not in (0x0020, 0x0028, 0x7FE0) and keyword_for_tag(t) not in (*_READ_BY, *_KEPT)
    )
    whole = filled(told, sentinels)
    values, hu = body()

    def edit(dataset: Any, k: int) -> None:
        for element in whole:
            if element.tag not in dataset:
                dataset[element.tag] = element
        dataset.PatientName, dataset.PatientID = f"{NAME}^Jane", NAME
        dataset.SeriesDescription = f"abd portal venous {NAME} jane"

    study, labels = hidden / f"{NAME} Jane", hidden / f"{NAME} labels" / "labels.nii.gz"
    write_series(study, grid=GRID, values=np.round(hu).astype(np.int16), edit=edit)
    labels.parent.mkdir()
    nifti.write_label_values(labels, values, GRID)
    labels.with_name("labels.json").write_text(json.dumps({Structure.LIVER.value: 1, Structure.TUMOUR.value: 2}))
    out, log = home / "out", home / "hospital.jsonl"
    spoken = [
        call("inspect", study, "--json", "--log", log),
        call("pre", study, "--out", out, "--labels", labels, "--json", "--log", log),
        call("pre", study, "--out", out, "--labels", labels, "--log", log),
        call("export", out, "--csv", home / "a.csv", "--xlsx", home / "a.xlsx", "--fhir", home / "a.json"),
        call("validate", home / "a.json", "--json"),
    ]
    assert [one.code for one in spoken] == [0] * len(spoken), spoken
    # Refusals that quote what was given: a path with a name in it.
    refused = [
        call("pre", study, "--out", study / "out", "--json", "--log", log),
        call("pre", study.parent / f"{NAME} Joan", "--out", home / "other", "--labels", labels, "--log", log),
        call("pre", study, "--out", home / "third", "--labels", study, "--log", log),
    ]
    assert [one.code for one in refused] == [2, 3, 3], refused
    return Secretive(home, study, labels, [*sentinels.texts, NAME, "jane"], "".join(s.out + s.err for s in spoken))
