"""Small scans with labels on them, ready to be written as DICOM objects."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations, product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from liverimg.core.catalogue import CodedConcept
from liverimg.core.grid import Grid
from liverimg.core.published import Algorithm, Equipment, ObjectStyle, Segment
from liverimg.dicom.phase_rules import PhaseRules
from liverimg.dicom.source import Source, find_source
from liverimg.dicom.study import read_study

ORIENTATIONS = [(order, signs) for order in permutations(range(3)) for signs in product((1, -1), repeat=3)]
EQUIPMENT = Equipment("liverimg", "liverimg", "0.0", "99LIVERIMG", "our own codes", "Research use only.")
STYLE = ObjectStyle(9701, "Labels", "LIVERIMG")
ANATOMY = CodedConcept("SCT", "123037004", "Anatomical Structure")
LIVER = CodedConcept("SCT", "10200004", "Liver")
LESION = CodedConcept("SCT", "52988006", "Lesion")
ABNORMAL = CodedConcept("SCT", "49755003", "Morphologically Abnormal Structure")


def turned_grid(order: tuple[int, ...], signs: tuple[int, ...], shape: tuple[int, int, int] = (7, 18, 21)) -> Grid:
    """One of the 48 ways in which array axes can run along the patient's."""
    return Grid.from_axes(
        shape,
        spacing_mm=(2.5, 0.9, 0.8),
        directions=np.eye(3)[list(order)] * np.array(signs)[:, None],
        origin_lps_mm=(11.5, -20.25, 300.125),
        frame_of_reference_uid="1.2.3",
    )


def labels_on(grid: Grid, *, seed: int = 1, count: int = 3) -> NDArray[np.uint8]:
    """Ragged regions with holes, pieces and voxels that touch at corners; the first and last slices stay empty."""
    rng = np.random.default_rng(seed)
    array = np.zeros(grid.shape, dtype=np.uint8)
    for value in range(1, count + 1):
        noise = rng.normal(size=grid.shape)
        smooth = gaussian_filter(noise, 1.2) * 3 + 0.4 * rng.normal(size=grid.shape)
        array[smooth > 0.6] = value
    array[0] = array[-1] = 0
    array[1, 0, 0] = 1
    return array


def segments(count: int = 3, *, algorithm: Algorithm | None = None) -> tuple[Segment, ...]:
    """The first is the liver, the others are lesions."""
    liver = Segment(
        1, "liver", "Liver parenchyma", ANATOMY, LIVER, None, "2.25.101", "#c8845a", algorithm, "ORGAN", False
    )
    lesions = [
        Segment(
            n,
            f"L{n - 1}",
            f"Tumour L{n - 1}",
            ABNORMAL,
            LESION,
            LIVER,
            f"2.25.{100 + n}",
            "#ffd23f",
            algorithm,
            "",
            True,
        )
        for n in range(2, count + 1)
    ]
    return (liver, *lesions)


def named(one: Segment, label: str) -> Segment:
    """The segment under another name."""
    return replace(one, label=label, target=label)


def source_of(folder: Path, rules: PhaseRules, *, which: int = 0) -> Source:
    """The scan in a folder, as published objects refer to it."""
    headers = read_study(folder, phase_rules=rules)
    assert headers.study.series, headers.study.rejected
    study = headers.study
    return find_source(
        headers,
        study.series[which],
        study_instance_uid=study.study_instance_uid,
        patient_check=study.patient_check,
    )


def program(name: str) -> str | None:
    """A program that came with a package of this environment, or of the system."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.is_file() else shutil.which(name)


def errors(path: Path) -> list[str]:
    """What ``dciodvfy`` finds wrong with a file."""
    done = subprocess.run(
        [str(program("dciodvfy")), str(path)], capture_output=True, text=True, errors="replace", check=False
    )
    lines = (done.stdout + done.stderr).splitlines()
    assert any(re.match(r"\w+$", line) for line in lines), "dciodvfy recognises what kind of object it is"
    return [line for line in lines if line.startswith(("Error", "Abort"))]


def run(command: Sequence[Any]) -> str:
    """Runs a program that has to succeed."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
