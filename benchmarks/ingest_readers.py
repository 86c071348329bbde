"""Our reader and its peers behind one call: a folder in, volumes with their place in the patient out.

Each peer is used as its own documentation shows, with the option that helps it most where there is a choice.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import nibabel
import numpy as np
from tests.dicom.traps.judge import Answer

from liverimg.core.errors import LiverimgError
from liverimg.core.grid import Grid

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
REPOSITORY = Path(__file__).resolve().parent.parent


def ours(folder: Path) -> Answer:
    """liverimg: headers, then pixels; any flag or refusal counts as a warning."""
    # dicom2nifti brings a decoder that pydicom would use too; ours is measured with what it depends on.
    sys.modules["gdcm"] = None  # type: ignore[assignment]
    from liverimg.dicom.phase import PhaseRules
    from liverimg.dicom.pixels import load_volume
    from liverimg.dicom.study import read_study

    rules = (REPOSITORY / "src" / "liverimg" / "data" / "phases.toml").read_text(encoding="utf-8")
    answer, said = Answer(), []
    try:
        found = read_study(folder, phase_rules=PhaseRules.from_table(tomllib.loads(rules)))
    except LiverimgError as refusal:
        return Answer(warned=True, said=str(getattr(refusal, "code", refusal)))
    said += [entry.code for entry in found.study.rejected]
    for series, stack in zip(found.study.series, found.stacks, strict=True):
        try:
            volume = load_volume(stack)
        except LiverimgError as refusal:
            said.append(str(getattr(refusal, "code", refusal)))
            continue
        answer.volumes.append((volume.array, volume.grid))
        said += series.flags
    answer.warned, answer.said = bool(said), ", ".join(sorted(set(said)))
    return answer


def simpleitk(folder: Path) -> Answer:
    """SimpleITK's ImageSeriesReader over the series that GDCM finds, series details used, every subfolder asked."""
    import SimpleITK

    answer = Answer()
    with _standard_error() as said:
        for here in (folder, *sorted(p for p in folder.rglob("*") if p.is_dir())):
            for uid in SimpleITK.ImageSeriesReader.GetGDCMSeriesIDs(str(here), True):
                reader = SimpleITK.ImageSeriesReader()
                reader.SetFileNames(SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(here), uid, True))
                try:
                    image = reader.Execute()
                except RuntimeError as error:
                    answer.warned, answer.said = True, str(error).strip().splitlines()[-1][:120]
                    continue
                if image.GetNumberOfComponentsPerPixel() == 1:
                    parts = [image] if image.GetDimension() == 3 else [image[..., n] for n in range(image.GetSize()[3])]
                    answer.volumes += [(SimpleITK.GetArrayFromImage(part), _grid_of_image(part)) for part in parts]
    warnings = [line for line in said if "WARNING" in line or "Non uniform" in line]
    answer.warned = answer.warned or bool(warnings)
    answer.said = answer.said or (warnings[0].strip()[:120] if warnings else "")
    return answer


def dcm2niix(folder: Path) -> Answer:
    """dcm2niix, subfolders searched as deep as it can; where it adds a corrected volume, that one counts."""
    import dcm2niix as package

    with tempfile.TemporaryDirectory() as out:
        command = [package.bin, "-z", "n", "-b", "n", "-d", "9", "-f", "v%s_%p_%z", "-o", out, str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        paths = sorted(Path(out).rglob("*.nii"))
        corrected = {path.name.split("_Eq")[0].split("_Tilt")[0] for path in paths if _is_corrected(path)}
        kept = [path for path in paths if _is_corrected(path) or path.stem not in corrected]
        volumes = [volume for path in kept for volume in _nifti_volumes(path)]
    lines = (done.stdout + done.stderr).splitlines()
    said = [line for line in lines if ("Warning" in line or "Error" in line) and not any(n in line for n in _NOISE)]
    return Answer(volumes, bool(said) or done.returncode != 0, said[0][:120] if said else "")


def dicom2nifti(folder: Path) -> Answer:
    """dicom2nifti.convert_directory with its own settings; what it logs from WARNING upwards counts."""
    import dicom2nifti as package

    heard: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    with tempfile.TemporaryDirectory() as out:
        try:
            package.convert_directory(str(folder), out, compression=False, reorient=False)
        except Exception as error:  # noqa: BLE001 - whatever a peer raises is its refusal
            heard.append(repr(error))
        finally:
            logging.getLogger().removeHandler(handler)
        volumes = [volume for path in sorted(Path(out).rglob("*.nii")) for volume in _nifti_volumes(path)]
    return Answer(volumes, bool(heard), heard[0].splitlines()[0][:120] if heard else "")


# What dcm2niix says about every folder that no maker of scanners has written.
_NOISE = ("Unable to determine manufacturer", "Empty protocol name", "Check that output files")

READERS: dict[str, Callable[[Path], Answer]] = {
    "liverimg": ours, "dcm2niix": dcm2niix, "SimpleITK": simpleitk, "dicom2nifti": dicom2nifti,
}  # fmt: skip


def _is_corrected(path: Path) -> bool:
    return "_Eq" in path.name or "_Tilt" in path.name


def _nifti_volumes(path: Path) -> list[tuple[np.ndarray, Grid]]:
    image = nibabel.load(path)
    values = np.asarray(image.get_fdata(dtype=np.float32))
    values = values.reshape(*values.shape[:3], -1) if values.ndim >= 3 else values.reshape(*values.shape, 1, 1)
    affine = (RAS_TO_LPS @ image.affine)[:, [2, 1, 0, 3]]
    shape = values.shape[2], values.shape[1], values.shape[0]
    try:
        grid = Grid(shape, affine)
    except ValueError:
        return []
    return [(values[..., n].T, grid) for n in range(values.shape[3])]


def _grid_of_image(image: object) -> Grid:
    direction = np.array(image.GetDirection()).reshape(3, 3)  # type: ignore[attr-defined]
    columns, rows, slices = image.GetSize()  # type: ignore[attr-defined]
    return Grid.from_axes(
        (slices, rows, columns),
        spacing_mm=image.GetSpacing()[::-1],  # type: ignore[attr-defined]
        directions=direction.T[::-1],
        origin_lps_mm=image.GetOrigin(),  # type: ignore[attr-defined]
    )


@contextmanager
def _standard_error() -> Iterator[list[str]]:
    """Collects what libraries in C++ write to standard error."""
    lines: list[str] = []
    saved = os.dup(2)
    with tempfile.TemporaryFile("w+", errors="replace") as caught:
        os.dup2(caught.fileno(), 2)
        try:
            yield lines
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            caught.seek(0)
            lines += caught.read().splitlines()
