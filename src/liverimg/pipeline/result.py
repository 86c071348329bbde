"""What a run left in its folder, read when somebody asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from liverimg.core.assessment import Assessment
from liverimg.core.errors import UsageError
from liverimg.core.labels import LabelMap
from liverimg.core.measurement import MeasurementSet
from liverimg.core.response import StudyResponse
from liverimg.core.study import Study
from liverimg.core.volume import Volume
from liverimg.files.records import KINDS, Record
from liverimg.files.response_records import response_from_record
from liverimg.files.result_records import assessment_from_record, measurements_from_record
from liverimg.pipeline.runner import Outcome
from liverimg.stages.artefacts import read_labels, read_reference
from liverimg.stages.phase_looks import read_final_study
from liverimg.workspace import Artefact, Workspace

# The page that a person would open, the latest step of the work first.
_REPORTS = (Artefact.RESPONSE_REPORT, Artefact.PERFUSION_REPORT, Artefact.REPORT)


@dataclass(frozen=True)
class Result:
    """The output folder of one study.

    Nothing is read until it is asked for; what was read is kept. Asking for what this kind of run does not make, or
    what the run did not get to, raises UsageError.

    Attributes:
        folder: Where it lies.
        outcomes: What became of each stage in the run that returned this; empty when the folder was only read.
    """

    folder: Path
    outcomes: tuple[Outcome, ...] = ()

    @property
    def paths(self) -> Mapping[str, Path]:
        """Files and folders that are there, by the artefact's name in lower case, such as ``measurements``."""
        return {a.name.lower(): path for a in Artefact if (path := self._workspace.path(a)).exists()}

    @property
    def report(self) -> Path:
        """The page for people.

        Raises:
            UsageError: The folder holds none.
        """
        for artefact in _REPORTS:
            if (path := self._workspace.path(artefact)).is_file():
                return path
        raise UsageError(f"{self.folder} holds no report; run 'liverimg pre', 'post' or 'ceus' to its end first")

    @cached_property
    def study(self) -> Study:
        """What was ingested, with the phases that all evidence gives."""
        self._require(Artefact.STUDY)
        return read_final_study(self._workspace)

    @cached_property
    def reference(self) -> Volume:
        """Voxels of the series that labels and measurements refer to."""
        self._require(Artefact.STUDY)
        return read_reference(self._workspace)[1]

    @cached_property
    def labels(self) -> LabelMap:
        """The labels as they lie there, corrected by hand or not, on the grid of ``reference``."""
        self._require(Artefact.LABELS)
        return read_labels(self._workspace)

    @cached_property
    def measurements(self) -> MeasurementSet:
        """Of a study before treatment: each lesion and organ with its numbers, or why there is none."""
        return measurements_from_record(self.record("measurements"))

    @cached_property
    def assessment(self) -> Assessment:
        """Of a study before treatment: what the criteria say."""
        return assessment_from_record(self.record("assessment"))

    @cached_property
    def response(self) -> StudyResponse:
        """Of a CT or MR after treatment: margins, what is left, response."""
        return response_from_record(self.record("response"))

    def record(self, kind: str) -> Record:
        """A JSON record of the folder as plain values, held against its schema.

        Args:
            kind: Such as ``study``, ``measurements``, ``assessment``, ``response``, ``perfusion``.

        Raises:
            UsageError: There is no such kind, or the folder holds none.
            RecordInvalidError: It is broken.
        """
        artefacts = {a.value.removesuffix(".json"): a for a in Artefact if a.value.endswith(".json")}
        if kind not in artefacts or kind not in KINDS:
            known = ", ".join(name for name in artefacts if name in KINDS)
            raise UsageError(f"there is no record {kind!r} in a folder of results; expected one of: {known}")
        self._require(artefacts[kind])
        return self._workspace.record(artefacts[kind], kind)

    @property
    def _workspace(self) -> Workspace:
        return Workspace(self.folder)

    def _require(self, artefact: Artefact) -> None:
        if not self._workspace.path(artefact).is_file():
            raise UsageError(
                f"{self.folder} holds no {artefact.value}; this run did not get to it, or makes none: see "
                "docs/reference/output-folder.md"
            )


def read_result(folder: Path) -> Result:
    """The results in a folder.

    Raises:
        UsageError: It is no output folder of ours.
    """
    if not Workspace(folder).path(Artefact.STUDY).is_file():
        raise UsageError(f"{folder} holds no study.json; expected an output folder of 'liverimg pre', 'post' or 'ceus'")
    return Result(folder)
