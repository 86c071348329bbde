"""A small abdomen of ellipsoids with hand-made numbers, to lay out and look at."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liverimg.core.assessment import Assessment, Finding, Verdict
from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, LabelQuality, Structure
from liverimg.core.measurement import (
    EvidencePoint,
    Lesion,
    Measurement,
    MeasurementSet,
    NotMeasured,
    Point,
)
from liverimg.core.study import Modality, Phase, PhaseEvidence, Rejected, Series, Study
from liverimg.core.vocabulary import Threshold
from liverimg.core.volume import Quantity, Volume
from liverimg.report.content import ReportContent
from liverimg.report.response_content import ResponseContent, laid_over

from .response_case import make_case

BODY, LIVER, TUMOUR, HEPATIC_VEIN, PORTAL_VEIN = 23, 1, 2, 3, 4
CODES = {
    Structure.LIVER: LIVER,
    Structure.TUMOUR: TUMOUR,
    Structure.HEPATIC_VEIN: HEPATIC_VEIN,
    Structure.PORTAL_VEIN: PORTAL_VEIN,
    Structure.BILE_DUCT: 5,
    Structure.BODY: BODY,
}
LESIONS = {"L1": (-62.0, -8.0, 18.0, 17.0), "L2": (-30.0, 20.0, -24.0, 8.0)}


def straight_grid() -> Grid:
    """Axial slices 4 mm apart, pixels 2.0 x 1.6 mm: no two spacings alike."""
    return Grid.from_axes(
        (44, 120, 200),
        spacing_mm=(4.0, 2.0, 1.6),
        origin_lps_mm=(-160.0, -120.0, -88.0),
        frame_of_reference_uid="1.2.3.4",
    )


def abdomen(grid: Grid, *, tumours: bool = True) -> tuple[Volume, LabelMap]:
    """Ellipsoid body, liver and tumours, two tubes for vessels, on any grid around the origin."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    x, y, z = np.moveaxis(grid.index_to_lps_mm(index), -1, 0)
    labels = np.zeros(grid.shape, dtype=np.uint8)
    values = np.full(grid.shape, -1000.0)

    def paint(where: Any, label: int, hu: float) -> None:
        labels[where] = label
        values[where] = hu

    paint((x / 145) ** 2 + (y / 105) ** 2 < 1, BODY, 20)
    paint(((x + 45) / 80) ** 2 + (y / 70) ** 2 + (z / 70) ** 2 < 1, LIVER, 105)
    paint(((y - 5) ** 2 + (z + 40 - 0.4 * (x + 100)) ** 2 < 25) & (x > -100) & (x < 0), HEPATIC_VEIN, 170)
    paint(((y + 25) ** 2 + (z + 10) ** 2 < 36) & (x > -90) & (x < 10), PORTAL_VEIN, 180)
    if tumours:
        for cx, cy, cz, radius in LESIONS.values():
            paint((x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2 < radius**2, TUMOUR, 55)
    noise = np.random.default_rng(3).normal(0, 8, grid.shape)
    volume = Volume((values + noise).astype(np.int16), grid, Quantity.HU)
    return volume, LabelMap(labels, grid, CODES)


def line(name: str, target: str, start: Point, end: Point, **changes: Any) -> Measurement:
    """A distance between two points, with a band of 1.5 mm to either side."""
    value = float(np.linalg.norm(np.subtract(start, end)))
    evidence = (EvidencePoint("start", start), EvidencePoint("end", end))
    made = Measurement(
        name, target, value, "mm", value - 1.5, value + 1.5, "between the two surfaces", evidence, ("1.2.3",)
    )
    return replace(made, **changes)


def lesion(name: str) -> Lesion:
    """A lesion with its diameters, depth, volume, one distance and one distance that is not known."""
    x, y, z, r = LESIONS[name]
    volume = 4 / 3 * np.pi * r**3 / 1000
    skin = -105 * float(np.sqrt(1 - (x / 145) ** 2))
    return Lesion(
        name,
        (x, y, z),
        (
            line("axial_long_diameter", name, (x - r, y, z), (x + r, y, z)),
            line("axial_short_diameter", name, (x, y - r, z), (x, y + r, z)),
            Measurement("volume", name, volume, "ml", volume * 0.9, volume * 1.1, "sum of voxels"),
            line("depth_from_skin_near", name, (x, skin, z), (x, y - r, z)),
            line("distance_to_portal_vein", name, (x, y, z - r), (x, -25.0, -4.0)),
            NotMeasured("distance_to_bile_duct", name, "bile ducts can't be seen in this phase"),
        ),
    )


def findings(measured: tuple[Lesion, ...]) -> tuple[Finding, ...]:
    """Met, not met and undetermined for each lesion, and one for the study."""
    rows = []
    for le in measured:
        size = le.quantity("axial_long_diameter")
        vessel = le.quantity("distance_to_portal_vein")
        duct = le.quantity("distance_to_bile_duct")
        five_cm = (Threshold(50, "mm", "expert centre table"),)
        one_cm = (Threshold(10, "mm", "expert centre table"),)
        rows += [
            Finding(
                "hifu.size",
                "hifu",
                le.id,
                "Size for one session",
                Verdict.MET,
                "It is smaller than 50 mm.",
                size,
                five_cm,
                "HIFU guide",
            ),
            Finding(
                "hifu.vessel",
                "hifu",
                le.id,
                "Distance to major vessels",
                Verdict.NOT_MET,
                "A vessel is near.",
                vessel,
                one_cm,
                "HIFU guide",
                notes=("Heat sink.",),
            ),
            Finding(
                "hifu.duct",
                "hifu",
                le.id,
                "Distance to bile ducts",
                Verdict.UNDETERMINED,
                "No number.",
                duct,
                one_cm,
                "HIFU guide",
                settled_by="an MR scan with gadoxetate",
            ),
        ]
    rows.append(
        Finding(
            "hifu.child_pugh",
            "hifu",
            "study",
            "Child-Pugh class",
            Verdict.UNDETERMINED,
            "The class was not given.",
            None,
            (),
            "HIFU guide",
            settled_by="the clinical record",
        )
    )
    return tuple(rows)


def make_content(
    grid: Grid | None = None, *, tumours: bool = True, strings: dict[str, Any], styles: Any
) -> ReportContent:
    """A whole report."""
    grid = grid or straight_grid()
    volume, labels = abdomen(grid, tumours=tumours)
    evidence = (PhaseEvidence("ContrastBolusStartTime", Phase.PORTAL_VENOUS, "72 s after the start of injection"),)
    reference = Series("1.2.3.10", Modality.CT, Phase.PORTAL_VENOUS, evidence, grid, "ABDOMEN PV 4.0", ("oblique",))
    other = Series("1.2.3.11", Modality.CT, Phase.UNENHANCED, (), grid, "ABDOMEN NATIVE")
    rejected = (Rejected("1.2.3.99", "localiser", "it is a localiser, not a stack of slices"),)
    lesions = tuple(lesion(name) for name in LESIONS) if tumours else ()
    organs = (
        Measurement("liver_volume", "liver", 1520.4, "ml", 1440.0, 1600.0, "sum of voxels"),
        NotMeasured("spleen_volume", "spleen", "the spleen was not outlined"),
    )
    return ReportContent(
        study=Study("1.2.3", "20260312", (other, reference), rejected),
        reference=reference,
        volume=volume,
        labels=labels,
        quality=LabelQuality("model", {Structure.LIVER: 2.0}, {Structure.BILE_DUCT: "no dilated ducts in this phase"}),
        measurements=MeasurementSet(lesions, organs, ("slices are 4 mm apart",)),
        assessment=Assessment(findings(lesions), ("two sources disagree on depth",)),
        structures=styles,
        strings=strings,
        provenance=(("Software", "liverimg 0.1.0"), ("Recipe", "pre_ablation")),
        notices=("The labels were edited by hand.",),
    )


@pytest.fixture(scope="session")
def strings(repository: Path) -> dict[str, Any]:
    """The words of a report, with small pictures."""
    shipped = tomllib.loads((repository / "src/liverimg/data/report_strings.toml").read_text("utf-8"))
    return laid_over(shipped, {"display": {"section_pixels": 240, "zoom_pixels": 160}})


@pytest.fixture(scope="session")
def styles(repository: Path) -> dict[Structure, tuple[str, str]]:
    table = tomllib.loads((repository / "src/liverimg/data/structures.toml").read_text("utf-8"))
    return {Structure(name): (row["title"], row["colour"]) for name, row in table.items()}


@pytest.fixture(scope="session")
def build(strings: dict[str, Any], styles: dict[Structure, tuple[str, str]]) -> Callable[..., ReportContent]:
    def make(grid: Grid | None = None, **options: Any) -> ReportContent:
        return make_content(grid, strings=strings, styles=styles, **options)

    return make


@pytest.fixture(scope="session")
def words(repository: Path, strings: dict[str, Any]) -> dict[str, Any]:
    """The words of the page about a study after treatment, with small pictures."""
    own = tomllib.loads((repository / "src/liverimg/data/response_strings.toml").read_text("utf-8"))
    small = {"zoom_pixels": 90, "pair": {"margin_mm": 6, "least_half_mm": 30, "liver_margin_mm": 6}}
    return laid_over(laid_over(strings, own), {"display": small})


@pytest.fixture(scope="session")
def case(words: dict[str, Any], styles: dict[Structure, tuple[str, str]]) -> ResponseContent:
    """A treated and an untreated lesion."""
    return make_case(words, styles)


@pytest.fixture(scope="session")
def content(build: Callable[..., ReportContent]) -> ReportContent:
    return build()


@pytest.fixture(scope="session")
def page(content: ReportContent) -> str:
    from liverimg.report.page import render_page

    return render_page(content)
