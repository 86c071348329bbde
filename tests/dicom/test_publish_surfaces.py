"""Surfaces for planners on shapes whose volume is known, and a browser that is missing, breaks or takes too long."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh

from liverimg.core.grid import Grid
from liverimg.files.meshes import Body, write_glb, write_stl
from liverimg.files.pdf import Browser, NotPrintedError, find_browser, print_page
from liverimg.measure.mesh import Mesh, lesion_mesh, structure_mesh

CENTRE = 15.0


def points_mm(grid: Grid) -> np.ndarray:
    """Place of each voxel centre from the middle of the grid, in mm, shape (k, j, i, 3)."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    return np.asarray(grid.index_to_lps_mm(index) - grid.centre_lps_mm)


def closed(mesh: Mesh | None) -> trimesh.Trimesh:
    assert mesh is not None
    made = trimesh.Trimesh(mesh.vertices_lps_mm, mesh.faces, process=False)
    assert made.is_watertight and made.is_winding_consistent
    assert made.volume > 0
    assert made.volume / 1000 == pytest.approx(mesh.volume_ml, rel=1e-6)
    return made


def test_a_ball_on_an_oblique_left_handed_grid(awkward_grid: Grid) -> None:
    radius_mm = 9.0
    mask = np.linalg.norm(points_mm(awkward_grid), axis=-1) < radius_mm
    true_ml = 4 / 3 * np.pi * radius_mm**3 / 1000
    for mesh in (lesion_mesh(mask, awkward_grid), structure_mesh(mask, awkward_grid, pitch_mm=0.7, smoothing=0.6)):
        made = closed(mesh)
        assert made.volume / 1000 == pytest.approx(true_ml, rel=0.03)
        assert np.abs(made.center_mass - awkward_grid.centre_lps_mm).max() < 0.15
        away_mm = np.linalg.norm(made.vertices - awkward_grid.centre_lps_mm, axis=1)
        assert np.abs(away_mm - radius_mm).mean() < 0.4


@pytest.mark.parametrize("radius_mm", [0.8, 1.2, 2.0])
def test_a_thin_vessel_keeps_its_volume(radius_mm: float) -> None:
    grid = Grid.from_axes((20, 50, 50), spacing_mm=(2.5, 0.8, 0.8))
    along = np.array([0.6, 0.3, 0.74])
    along /= np.linalg.norm(along)
    away = points_mm(grid)
    mask = np.linalg.norm(away - (away @ along)[..., None] * along, axis=-1) < radius_mm
    mesh = structure_mesh(mask, grid, pitch_mm=0.8, smoothing=0.6)
    assert closed(mesh).volume / 1000 == pytest.approx(np.count_nonzero(mask) * grid.voxel_ml, rel=0.03)


def test_a_single_voxel_an_edge_and_nothing() -> None:
    grid = Grid.from_axes((4, 5, 6), spacing_mm=(3, 1, 1))
    mask = np.zeros(grid.shape, dtype=bool)
    assert structure_mesh(mask, grid, pitch_mm=1, smoothing=0.6) is None
    mask[0, 0, 0] = True
    closed(structure_mesh(mask, grid, pitch_mm=5, smoothing=0.6))
    whole = np.ones(grid.shape, dtype=bool)
    made = closed(structure_mesh(whole, grid, pitch_mm=1, smoothing=0.6))
    assert made.bounds[0] == pytest.approx([-0.5, -0.5, -1.5], abs=0.6)


def test_a_coarse_pitch_makes_fewer_triangles() -> None:
    grid = Grid.from_axes((40, 60, 60), spacing_mm=(1, 0.7, 0.7))
    mask = np.linalg.norm(points_mm(grid), axis=-1) < CENTRE
    fine, coarse = (structure_mesh(mask, grid, pitch_mm=pitch, smoothing=0.6) for pitch in (0.7, 3.0))
    assert fine is not None and coarse is not None
    assert len(coarse.faces) < len(fine.faces) / 5
    assert coarse.volume_ml == pytest.approx(fine.volume_ml, rel=0.01)


def test_files_are_read_back_where_they_were(tmp_path: Path, awkward_grid: Grid) -> None:
    mask = np.linalg.norm(points_mm(awkward_grid), axis=-1) < 6
    mesh = lesion_mesh(mask, awkward_grid)
    bodies = [Body(name, mesh.vertices_lps_mm, mesh.faces, "#ffd23f", 0.5) for name in ("tumour_1", "tumour_2")]
    write_stl(tmp_path / "a.stl", bodies[0])
    write_glb(tmp_path / "all.glb", bodies)
    stl = trimesh.load(tmp_path / "a.stl")
    assert np.abs(np.sort(stl.bounds, axis=0) - trimesh.Trimesh(mesh.vertices_lps_mm, mesh.faces).bounds).max() < 1e-3
    scene = trimesh.load(tmp_path / "all.glb")
    assert set(scene.geometry) == {"tumour_1", "tumour_2"}
    left, posterior, superior = awkward_grid.centre_lps_mm / 1000
    assert scene.bounds.mean(axis=0) == pytest.approx((left, superior, -posterior), abs=3e-4)
    before = (tmp_path / "all.glb").read_bytes()
    write_glb(tmp_path / "all.glb", bodies)
    assert (tmp_path / "all.glb").read_bytes() == before


def fake(folder: Path, script: str) -> Browser:
    path = folder / "browser"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return Browser(path, "Fake 1")


@pytest.mark.parametrize(
    "script",
    ["exit 1", "exit 0", "sleep 30", 'for a; do case $a in --print-to-pdf=*) echo no > "${a#*=}";; esac; done'],
)
def test_a_browser_that_prints_nothing(script: str, tmp_path: Path) -> None:
    with pytest.raises(NotPrintedError, match="browser"):
        print_page(tmp_path / "page.html", fake(tmp_path, script), timeout_s=1.5, moment="20260101120000")


def test_the_date_of_a_pdf_is_that_of_the_scan(tmp_path: Path) -> None:
    content = "%%PDF-1.4 (D:20991231235959+00'00')"
    script = f'for a; do case $a in --print-to-pdf=*) printf "{content}" > "${{a#*=}}";; esac; done'
    pdf = print_page(tmp_path / "page.html", fake(tmp_path, script), timeout_s=20, moment="20260105101112.5")
    assert pdf == b"%PDF-1.4 (D:20260105101112+00'00')"


def test_which_browser(tmp_path: Path) -> None:
    assert find_browser({"LIVERIMG_CHROMIUM": "/no/such/program"}) is None
    browser = fake(tmp_path, "echo Chromium 1.2")
    assert find_browser({"LIVERIMG_CHROMIUM": str(browser.program)}) == Browser(browser.program, "Chromium 1.2")
