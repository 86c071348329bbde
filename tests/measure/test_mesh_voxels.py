"""Voxels inside a surface: every voxel centre on the right side, on any grid."""

from __future__ import annotations

import numpy as np

from liverimg.core.grid import Grid
from liverimg.measure.mesh import Mesh, lesion_mesh
from liverimg.measure.mesh_voxels import voxels_inside


def _box(low: np.ndarray, high: np.ndarray) -> Mesh:
    corners = np.array([[(low, high)[i][0], (low, high)[j][1], (low, high)[k][2]]
                        for i in (0, 1) for j in (0, 1) for k in (0, 1)])  # fmt: skip
    faces = [(0, 1, 3), (0, 3, 2), (4, 6, 7), (4, 7, 5), (0, 4, 5), (0, 5, 1),
             (2, 3, 7), (2, 7, 6), (0, 2, 6), (0, 6, 4), (1, 5, 7), (1, 7, 3)]  # fmt: skip
    return Mesh(corners.astype(float), np.array(faces, dtype=np.int32))


def test_a_box_whose_edges_run_along_rows_of_voxels_holds_just_its_voxels() -> None:
    grid = Grid.from_axes((8, 9, 10), spacing_mm=(1.0, 1.0, 1.0), origin_lps_mm=(0.0, 0.0, 0.0))
    low, high = grid.index_to_lps_mm([(2.0, 3.0, 1.5), (5.0, 6.0, 7.5)])
    found = voxels_inside(_box(np.minimum(low, high), np.maximum(low, high)), grid)
    assert found[3:5, 4:6, 2:8].all()
    found[2:6, 3:7, 2:8] = False
    assert not found.any(), "a face through voxel centres may go to either side, and nothing lies beyond"


def test_the_surface_of_a_ball_gives_the_ball_back_on_an_oblique_grid(awkward_grid: Grid) -> None:
    index = np.stack(np.meshgrid(*[np.arange(n) for n in awkward_grid.shape], indexing="ij"), axis=-1)
    centre = awkward_grid.index_to_lps_mm((11.3, 19.6, 17.2))
    radius_mm = np.linalg.norm(awkward_grid.index_to_lps_mm(index) - centre, axis=-1)
    drawn = radius_mm <= 9.0
    found = voxels_inside(lesion_mesh(drawn, awkward_grid), awkward_grid)
    differs = found != drawn
    assert np.abs(radius_mm[differs] - 9.0).max(initial=0.0) < 0.5 * 2.5, "only voxels at the very border may differ"
    assert np.count_nonzero(differs) < 0.06 * np.count_nonzero(drawn)


def test_what_leaves_the_grid_is_cut_and_what_lies_beside_it_is_not_there(awkward_grid: Grid) -> None:
    step = awkward_grid.index_to_lps_mm((0, 0, 30)) - awkward_grid.index_to_lps_mm((0, 0, 0))
    index = np.stack(np.meshgrid(*[np.arange(n) for n in awkward_grid.shape], indexing="ij"), axis=-1)
    centre = awkward_grid.index_to_lps_mm((12, 20, 18))
    drawn = np.linalg.norm(awkward_grid.index_to_lps_mm(index) - centre, axis=-1) <= 8.0
    mesh = lesion_mesh(drawn, awkward_grid)
    whole = voxels_inside(mesh, awkward_grid)
    half = voxels_inside(Mesh(mesh.vertices_lps_mm + step * 18 / 30, mesh.faces), awkward_grid)
    np.testing.assert_array_equal(half[:, :, 18:], whole[:, :, :18])
    assert not half[:, :, :18].any()
    assert not voxels_inside(Mesh(mesh.vertices_lps_mm + 2 * step, mesh.faces), awkward_grid).any()
