"""Folders as hospitals really send them, each with one thing wrong or odd, and the analytic truth about it."""

from tests.dicom.traps import files, multiframe, order, phases, values
from tests.dicom.traps.case import Case

CASES: dict[str, Case] = {
    name: case for part in (order, values, phases, multiframe, files) for name, case in part.trap.cases.items()
}
