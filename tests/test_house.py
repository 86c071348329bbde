"""Rules of the house that no linter knows: where numbers live, where data may go, what DICOM may be committed."""

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "liverimg"
# Counts, indices, halves and unit conversions; a clinical threshold looks different.
PLAIN = {0, 1, 2, 3, 4, 5, 6, 8, 9, -1, 0.5, 10, 100, 1000}
# Rooms that judge or measure. Their other numbers are constants of geometry with a name and a comment.
JUDGING = ("assess", "measure")


def numbers(path: Path) -> Iterator[tuple[int, float, bool]]:
    """Line, value and whether it is given a name at the top of its module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    named = {
        id(node)
        for statement in tree.body
        if isinstance(statement, ast.Assign | ast.AnnAssign)
        for node in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
            yield node.lineno, node.value, id(node) in named


@pytest.mark.parametrize("room", JUDGING)
def test_no_threshold_is_buried_in_code(room: str) -> None:
    tiny = 1e-3  # guards against division by zero
    buried = [
        f"{path.name}:{line}: {value}"
        for path in sorted((SOURCE / room).glob("*.py"))
        for line, value, named in numbers(path)
        if value not in PLAIN and abs(value) > tiny and not named
    ]
    assert not buried, "give it a row in data/ with unit and source, or a name and a comment"


def test_the_judging_room_names_no_number_either() -> None:
    named = [
        f"{path.name}:{line}: {value}"
        for path in sorted((SOURCE / "assess").glob("*.py"))
        for line, value, _ in numbers(path)
        if value not in PLAIN
    ]
    assert not named


def test_nothing_prints_but_the_command_line() -> None:
    for path in SOURCE.rglob("*.py"):
        if path.relative_to(SOURCE).parts[0] in ("cli", "terminal", "training"):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
        assert not [n.lineno for n in calls if n.func.id == "print"], path.name


def refusal(path: Path) -> str | None:
    """The verdict of the hook that guards commits."""
    spec = importlib.util.spec_from_file_location("hook", ROOT / "tools" / "refuse_real_dicom.py")
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)
    return hook.refusal(path)


def dicom_named(name: str, path: Path) -> Path:
    dataset = pydicom.Dataset()
    dataset.PatientName = name
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)
    return path


def test_the_commit_hook_refuses_real_patients(tmp_path: Path) -> None:
    assert refusal(dicom_named("PHANTOM^ONE", tmp_path / "a.dcm")) is None
    assert refusal(dicom_named("DOE^JANE", tmp_path / "innocent.txt"))
    assert refusal(dicom_named("", tmp_path / "b"))
    (tmp_path / "broken").write_bytes(bytes(128) + b"DICM" + b"\xff" * 40)
    assert refusal(tmp_path / "broken")
    (tmp_path / "note.txt").write_text("no DICOM")
    assert refusal(tmp_path / "note.txt") is None


def test_every_committed_dicom_file_is_a_phantom() -> None:
    refused = [refusal(p) for folder in ("sample_dicom", "tests") for p in (ROOT / folder).rglob("*") if p.is_file()]
    assert not [r for r in refused if r]
