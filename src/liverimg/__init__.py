"""liverimg: pre- and post-ablation assessment of liver tumours, from DICOM to measurements and a report.

Importing the package loads nothing but this page: what it offers is imported when it is first asked for, and torch,
MONAI and the DICOM libraries only by the rooms that need them, when they need them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from liverimg.api import (
        export,
        ingest,
        inspect,
        measure_again,
        publish,
        read_result,
        run,
        timeline,
        to_fhir,
        validate,
    )
    from liverimg.core.assessment import Assessment, Classification, Finding, Verdict
    from liverimg.core.errors import (
        DicomRefusedError,
        ExitCode,
        InputRefusedError,
        LiverimgError,
        NeedsPersonError,
        UsageError,
    )
    from liverimg.core.inspection import Inspection
    from liverimg.core.labels import LabelMap, Structure
    from liverimg.core.measurement import Lesion, Measurement, MeasurementSet, NotMeasured
    from liverimg.core.response import LesionResponse, StudyResponse, Treatment
    from liverimg.core.study import Phase, Series, Study
    from liverimg.core.timeline import Course
    from liverimg.core.volume import Volume
    from liverimg.pipeline.result import Result
    from liverimg.pipeline.runner import Outcome, Reporter

__version__ = "0.1.0"

__all__ = [
    "Assessment",
    "Classification",
    "Course",
    "DicomRefusedError",
    "ExitCode",
    "Finding",
    "InputRefusedError",
    "Inspection",
    "LabelMap",
    "Lesion",
    "LesionResponse",
    "LiverimgError",
    "Measurement",
    "MeasurementSet",
    "NeedsPersonError",
    "NotMeasured",
    "Outcome",
    "Phase",
    "Reporter",
    "Result",
    "Series",
    "Structure",
    "Study",
    "StudyResponse",
    "Treatment",
    "UsageError",
    "Verdict",
    "Volume",
    "__version__",
    "export",
    "ingest",
    "inspect",
    "measure_again",
    "publish",
    "read_result",
    "run",
    "timeline",
    "to_fhir",
    "validate",
]

_HOMES = {
    "api": (
        "export", "ingest", "inspect", "measure_again", "publish", "read_result", "run", "timeline", "to_fhir",
        "validate",
    ),
    "core.assessment": ("Assessment", "Classification", "Finding", "Verdict"),
    "core.errors": (
        "DicomRefusedError", "ExitCode", "InputRefusedError", "LiverimgError", "NeedsPersonError", "UsageError",
    ),
    "core.inspection": ("Inspection",),
    "core.labels": ("LabelMap", "Structure"),
    "core.measurement": ("Lesion", "Measurement", "MeasurementSet", "NotMeasured"),
    "core.response": ("LesionResponse", "StudyResponse", "Treatment"),
    "core.study": ("Phase", "Series", "Study"),
    "core.timeline": ("Course",),
    "core.volume": ("Volume",),
    "pipeline.result": ("Result",),
    "pipeline.runner": ("Outcome", "Reporter"),
}  # fmt: skip
_HOME = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """A public name, imported on its first use."""
    if name not in _HOME:
        raise AttributeError(f"module 'liverimg' has no attribute {name!r}; it offers: {', '.join(__all__)}")
    value = getattr(import_module(f"liverimg.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
