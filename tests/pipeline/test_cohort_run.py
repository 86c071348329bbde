"""Real worker processes: a study that kills them takes no other along; killed and started again, the same bytes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, Structure
from liverimg.core.study import Modality
from liverimg.core.volume import Quantity, Volume
from liverimg.dicom.write import SeriesHeader, StudyHeader, uid_from, write_series
from liverimg.files import nifti, records
from liverimg.files.tables import structure_styles
from liverimg.pipeline import cohort_cluster, cohort_drive
from liverimg.pipeline.cohort_cluster import LocalWorkers, local
from liverimg.pipeline.cohort_drive import Drive, Limits
from liverimg.pipeline.cohort_ends import Counts, Ends
from liverimg.pipeline.cohort_folder import CohortFolder
from liverimg.pipeline.cohort_job import Attempt, Came, Job

RECIPE = """\
name = "small"
title = "Small"
stages = ["ingest", "segment", "measure"]
[settings.segment]
model = { CT = "liver_ct", MR = "liver_mr" }
"""
COUNT = 6
TABLES = ("measurements.csv", "measurements.parquet", "refusals.csv", "refusals.parquet", "cohort.html")


class Quiet:
    def cohort_moved(self, counts: Counts) -> None:
        self.counts = counts


def deadly_work() -> Callable[[Job, str], Attempt]:
    """Work that dies on one study. Made in here, so that it travels to the workers as code and not by name."""

    def work(job: Job, _version: str) -> Attempt:
        if job.id == "bad":
            os.kill(os.getpid(), signal.SIGKILL)
        return Attempt(Came.DONE, process=os.getpid())

    return work


@pytest.fixture
def cohort(tmp_path: Path) -> CohortFolder:
    folder = CohortFolder(tmp_path / "out")
    with folder.locked():
        pass
    return folder


def jobs(*names: str) -> list[Job]:
    return [Job(name, Path("in") / name, Path("out") / name, "pre_ablation") for name in names]


def test_a_study_that_kills_its_worker_takes_no_other_along(
    cohort: CohortFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cohort_drive, "work", deadly_work())
    names = [f"s{n}" for n in range(8)]
    ends = Ends(cohort, len(names) + 1, Quiet())
    with local(LocalWorkers(2, dashboard="")) as link:
        Drive(jobs("s0", "bad", *names[1:]), link, ends, Limits(tries=2)).through()
    assert (ends.counts.done, ends.counts.refused, ends.counts.failed) == (8, 0, 1)
    assert cohort.ending("bad").code == "worker_died"
    assert cohort.ending("bad").tries == 2
    assert not [name for name in names if cohort.ending(name)]


def test_a_worker_that_dask_gives_up_is_started_again(cohort: CohortFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cohort_drive, "work", deadly_work())
    # Dask closes the nanny before it has its worker back, as on a machine that is too busy to start one in time.
    monkeypatch.setitem(cohort_cluster.CONFIG, "distributed.deploy.lost-worker-timeout", "0s")
    monkeypatch.setattr(cohort_drive, "_HEAL_S", 2.0)
    ends = Ends(cohort, 3, Quiet())
    with local(LocalWorkers(1, dashboard="")) as link:
        Drive(jobs("bad", "a", "b"), link, ends, Limits(tries=2)).through()
    assert (ends.counts.done, ends.counts.failed) == (2, 1)


# ---- the command, killed ----


def write_study(folder: Path, number: int) -> None:
    """A ball of liver with a tumour in it, and its labels."""
    uid = uid_from("cohort", number)
    grid = Grid.from_axes(
        (24, 40, 48), spacing_mm=(6.0, 6.0, 6.0), origin_lps_mm=(-141.0, -117.0, 0.0), frame_of_reference_uid=uid
    )
    places = np.moveaxis(np.indices(grid.shape), 0, -1) * 6.0 - (69.0, 117.0, 141.0)

    def ball(centre_mm: tuple[float, float, float], radius_mm: float) -> np.ndarray:
        return np.linalg.norm(places - centre_mm, axis=-1) <= radius_mm

    body = np.hypot(places[..., 1] / 110, places[..., 2] / 135) <= 1
    liver, tumour = ball((0, -20, -45), 55), ball((0, -20, -40), 12.0 + number)
    noise = np.random.default_rng(number).normal(0, 8, grid.shape)
    values = np.select([tumour, liver, body], [70.0, 110.0, 40.0], -1000.0) + noise * body
    volume = Volume(values.astype(np.float32), grid, Quantity.HU)
    study = StudyHeader("PHANTOM^COHORT", f"PHANTOM-{number}", uid, "20260105", "094500")
    series = SeriesHeader(Modality.CT, 1, uid_from("cohort", number, 1), "Abd portal venous", "100110")
    write_series(volume, folder / "dicom", study=study, series=series)
    of = {structure: style.value for structure, style in structure_styles().items()}
    drawn = np.where(tumour, of[Structure.TUMOUR], np.where(liver, of[Structure.LIVER], 0)).astype(np.uint8)
    kept = {s: of[s] for s in (Structure.LIVER, Structure.TUMOUR)}
    nifti.write_labels(folder / "labels.nii.gz", LabelMap(drawn, grid, kept))
    (folder / "labels.json").write_text(records.dump({s.value: v for s, v in kept.items()}))


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six studies with their labels, and one that is not there."""
    place = tmp_path_factory.mktemp("studies")
    lines = ["id,study,labels", "gone,nowhere,"]
    for number in range(COUNT):
        write_study(place / f"s{number}", number)
        lines.append(f"s{number},s{number}/dicom,s{number}/labels.nii.gz")
    (place / "recipe.toml").write_text(RECIPE)
    (place / "manifest.csv").write_text("\n".join(lines))
    return place / "manifest.csv"


def command(manifest: Path, out: Path, *more: str) -> list[str]:
    recipe = manifest.with_name("recipe.toml")
    told = ["cohort", manifest, "--out", out, "--recipe", recipe, "--dashboard", "off", "--tries", "20", *more]
    return [sys.executable, "-m", "liverimg.cli", *map(str, told)]


def workers_of(run: subprocess.Popen) -> list[psutil.Process]:
    children = psutil.Process(run.pid).children(recursive=True)
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


def wait_for(true: Callable[[], object], run: subprocess.Popen) -> None:
    while not true() and run.poll() is None:
        time.sleep(0.02)


def results(out: Path) -> dict[str, bytes]:
    """Tables, page and every record of every study."""
    found = {name: (out / name).read_bytes() for name in TABLES}
    for path in sorted((out / "studies").rglob("*")):
        if path.is_file() and path.name != "log.txt" and path.parent.name != "provenance":
            found[path.relative_to(out).as_posix()] = path.read_bytes()
    return found


@pytest.mark.slow
def test_killed_workers_and_a_killed_command_change_no_byte(manifest: Path, tmp_path: Path) -> None:
    serial, out = tmp_path / "serial", tmp_path / "out"
    assert subprocess.run(command(manifest, serial, "--workers", "0"), check=False).returncode == 4, "one is not there"
    told = command(manifest, out, "--workers", "2")
    run = subprocess.Popen(told)
    wait_for(lambda: list(out.glob("studies/*/.draft-*")), run)
    workers_of(run)[0].kill()
    wait_for(lambda: list(out.glob("studies/*/provenance/measure.json")), run)
    assert run.poll() is None, "the command lives on when a worker dies"
    second = subprocess.run(told, check=False, capture_output=True, text=True)
    assert second.returncode == 2, "a second start is refused"
    assert "another cohort run" in second.stderr
    run.kill()
    run.wait()
    assert subprocess.run(told, check=False).returncode == 4
    assert results(out) == results(serial)
    assert len(list(out.glob("studies/*/measurements.json"))) == COUNT
    told = command(manifest, out, "--workers", "0", "--json")
    again = subprocess.run(told, check=False, capture_output=True, text=True)
    assert f'"fresh": {COUNT}' in again.stdout
    assert results(out) == results(serial)
