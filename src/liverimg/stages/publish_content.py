"""What one kind of results (before treatment, after it, contrast ultrasound) has to publish."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from liverimg.core.assessment import Verdict
from liverimg.core.catalogue import CodedConcept
from liverimg.core.labels import Structure
from liverimg.core.published import Group, Layer
from liverimg.dicom.phase_rules import PhaseRules
from liverimg.dicom.source import Scan, Source, find_source
from liverimg.dicom.sr_names import SrNames
from liverimg.dicom.study import StudyHeaders
from liverimg.dicom.study import read_study as read_study_folder
from liverimg.files.catalogue import quantity_rows, unit_codes
from liverimg.files.tables import Table, read_table, structure_styles
from liverimg.measure.mesh import Mesh
from liverimg.stages.artefacts import read_study, reference_index
from liverimg.stages.cines import ultrasound_rules
from liverimg.workspace import Artefact, Workspace

SEG: Final = "seg"
SEG_BEFORE: Final = "seg_before"
_ABNORMAL: Final = "abnormality"


@dataclass(frozen=True, eq=False)
class Surface:
    """A closed surface for planners.

    Attributes:
        name: Of its file, without suffix; never a reader's own words.
        target: What results call it.
        title: For readers.
        mesh: Its triangles.
        colour: sRGB.
        opacity: 0 to 1.
        tracking_uid: As in SEG and SR; None for what is no structure.
    """

    name: str
    target: str
    title: str
    mesh: Mesh
    colour: str
    opacity: float
    tracking_uid: str | None


@dataclass(frozen=True, eq=False)
class Content:
    """What is published.

    Attributes:
        scan: What everything refers to.
        groups: Measurements and findings.
        source: The series that labels lie on; None where there are no labels.
        layers: What the SEGs hold, by kind of object.
        surfaces: For planners.
        not_labelled: Structures that were looked for and are not there.
        left_out: Kinds of object that these results do not have, each with the reason.
    """

    scan: Scan
    groups: tuple[Group, ...]
    source: Source | None = None
    layers: Mapping[str, Layer] = field(default_factory=dict)
    surfaces: Iterable[Surface] = ()
    not_labelled: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)


class Read(Protocol):
    """Reads the content of a workspace."""

    def __call__(self, workspace: Workspace, study: Path, table: Table, /) -> Content:
        """Args: the workspace, the study folder that it was made from, and ``dicom_objects.toml``."""


@dataclass(frozen=True, eq=False)
class Results:
    """One kind of results.

    Attributes:
        name: As ``dicom_objects.toml`` calls it.
        record: What is there when these results are.
        page: Their report.
        made_by: The stages whose results must be those of what lies there now.
        again: The command that makes them anew.
        read: Reads them.
    """

    name: str
    record: Artefact
    page: Artefact
    made_by: tuple[str, ...]
    again: str
    read: Callable[[Workspace, Path, Table], Content]


def read_headers(study: Path) -> StudyHeaders:
    """The headers of a study folder, read as the stage ``ingest`` reads them."""
    rules = PhaseRules.from_table(read_table("phases"))
    return read_study_folder(study, phase_rules=rules, ultrasound_rules=ultrasound_rules())


def reference_source(workspace: Workspace, study: Path) -> Source:
    """The series of a study folder that the labels lie on."""
    known = read_study(workspace)
    return find_source(
        read_headers(study),
        known.series[reference_index(workspace)],
        study_instance_uid=known.study_instance_uid,
        patient_check=known.patient_check,
    )


def concepts(table: Mapping[str, Any]) -> dict[Structure, CodedConcept]:
    """The code of each structure with its meaning."""
    styles = structure_styles()
    return {s: CodedConcept("SCT", styles[s].sct, table["structure"][s.value]["meaning"]) for s in styles}


def is_abnormal(structure: Structure, table: Mapping[str, Any]) -> bool:
    """Whether a structure is something that was found, and no organ or tissue that things are found in."""
    return bool(table["structure"][structure.value]["category"] == _ABNORMAL)


def own(table: Mapping[str, Any], value: str, meaning: str) -> CodedConcept:
    """A concept of our own scheme."""
    return CodedConcept(str(table["equipment"]["scheme"]), value, meaning)


def sr_names(table: Table) -> SrNames:
    """What quantities, units, states and verdicts are called in a report."""
    scheme = table["equipment"]["scheme"]
    return SrNames(
        rows=quantity_rows(),
        units=unit_codes(),
        public=frozenset(table["sr"]["public_names"]),
        scheme=scheme,
        verdicts={Verdict(v): CodedConcept(scheme, **row) for v, row in table["sr"]["verdict"].items()},
    )
