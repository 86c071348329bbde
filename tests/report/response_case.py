"""Two studies of one abdomen, the later one moved, with a zone around one of its tumours: all in closed form."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np

from liverimg.core.alignment import Alignment, Pieces, PlaceMotion
from liverimg.core.assessment import Classification, NotApplied
from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, Structure
from liverimg.core.measurement import EvidencePoint, Measurement, NotMeasured
from liverimg.core.motion import RigidMotion
from liverimg.core.response import (
    CriterionResponse,
    Fate,
    LesionResponse,
    Part,
    Spot,
    StudyResponse,
    Timepoint,
    Treatment,
)
from liverimg.core.study import Modality, Phase, Series, Study
from liverimg.core.volume import Quantity, Volume
from liverimg.core.zones import Focus, Zone, ZoneMap
from liverimg.report.margin_surface import MarginSurface
from liverimg.report.response_content import Examination, ResponseContent

CODES = {
    Structure.LIVER: 1,
    Structure.TUMOUR: 2,
    Structure.HEPATIC_VEIN: 3,
    Structure.ABLATION_ZONE: 4,
    Structure.BODY: 23,
}
LIMITS = (0.0, 5.0, 10.0)
# In the earlier study: L1 was treated, L2 was not.
TUMOURS = {"L1": ((-50.0, -5.0, 8.0), 12.0), "L2": ((-20.0, 15.0, -14.0), 7.0)}
ZONE_RADIUS, OFFSET = 16.0, np.array([5.0, 0.0, 0.0])
_ORIGIN = (0.0, 0.0, 0.0)
_TURN = np.deg2rad(6.0)
MOTION = RigidMotion(
    np.array([[np.cos(_TURN), -np.sin(_TURN), 0], [np.sin(_TURN), np.cos(_TURN), 0], [0, 0, 1]]),
    np.array([4.0, -3.0, 8.0]),
)


def grid(frame: str) -> Grid:
    """No two spacings alike."""
    return Grid.from_axes(
        (36, 62, 70), spacing_mm=(3.0, 2.4, 2.2), origin_lps_mm=(-120.0, -75.0, -50.0), frame_of_reference_uid=frame
    )


def centre_now(name: str) -> Any:
    """A tumour's centre in the later study."""
    return MOTION.apply(np.array(TUMOURS[name][0]))


def _examination(uid: str, day: str, motion: RigidMotion, *, treated: bool) -> Examination:
    own = grid(f"{uid}.9")
    index = np.stack(np.meshgrid(*[np.arange(n) for n in own.shape], indexing="ij"), axis=-1)
    points = motion.inverse().apply(own.index_to_lps_mm(index))
    x, y, z = np.moveaxis(points, -1, 0)
    labels, values = np.zeros(own.shape, np.uint8), np.full(own.shape, -1000.0)

    def paint(where: Any, code: int, hu: float) -> None:
        labels[where], values[where] = code, hu

    paint((x / 80) ** 2 + (y / 70) ** 2 < 1, 23, 20)
    paint(((x + 40) / 55) ** 2 + (y / 50) ** 2 + (z / 45) ** 2 < 1, 1, 105)
    paint(((y + 20) ** 2 + (z - 5) ** 2 < 25) & (abs(x + 40) < 40), 3, 170)
    for name, (at, radius) in TUMOURS.items():
        apart = np.linalg.norm(points - np.array(at), axis=-1)
        if treated and name == "L1":
            moved = motion.inverse().apply(centre_now("L1") + OFFSET)
            paint(np.linalg.norm(points - moved, axis=-1) < ZONE_RADIUS, 4, 50)
        else:
            paint(apart < radius, 2, 65)
    noise = np.random.default_rng(5).normal(0, 6, own.shape)
    volume = Volume((values + noise).astype(np.int16), own, Quantity.HU)
    series = Series(f"{uid}.1", Modality.CT, Phase.PORTAL_VENOUS, (), own, "ABDOMEN PV")
    return Examination(Study(uid, day, (series,)), series, volume, LabelMap(labels, own, CODES))


def ball(centre: Any, radius: float, rings: int = 24) -> tuple[Any, Any]:
    """Vertices and triangles of a sphere."""
    turn = np.linspace(0, 2 * np.pi, 2 * rings, endpoint=False)
    tilt = np.linspace(0, np.pi, rings + 1)
    a, b = np.meshgrid(tilt, turn, indexing="ij")
    points = np.stack([np.sin(a) * np.cos(b), np.sin(a) * np.sin(b), np.cos(a)], axis=-1).reshape(-1, 3)
    faces = []
    for row in range(rings):
        for column in range(2 * rings):
            here, beside = row * 2 * rings + column, row * 2 * rings + (column + 1) % (2 * rings)
            faces += [(here, here + 2 * rings, beside), (beside, here + 2 * rings, beside + 2 * rings)]
    return np.asarray(centre) + radius * points, np.array(faces, dtype=np.int32)


def margin_surface() -> MarginSurface:
    """L1 in its zone: the margin of a point is how much nearer the zone's centre it lies than the zone's edge."""
    centre, radius = centre_now("L1"), TUMOURS["L1"][1]
    points, faces = ball(centre, radius)
    zone_centre = centre + OFFSET
    away = points - zone_centre
    length = np.linalg.norm(away, axis=1)
    zone_points, zone_faces = ball(zone_centre, ZONE_RADIUS)
    return MarginSurface(
        vertices_before_lps_mm=MOTION.inverse().apply(points),
        vertices_lps_mm=points,
        triangles=faces,
        margin_mm=ZONE_RADIUS - length,
        nearest_on_zone_lps_mm=zone_centre + away / length[:, None] * ZONE_RADIUS,
        zone_vertices_lps_mm=zone_points,
        zone_triangles=zone_faces,
    )


def thinnest() -> tuple[Any, Any]:
    """The thinnest place on tumour and zone: away from the zone's centre."""
    way = -OFFSET / np.linalg.norm(OFFSET)
    return centre_now("L1") + TUMOURS["L1"][1] * way, centre_now("L1") + OFFSET + ZONE_RADIUS * way


def _measured(name: str, value: float, unit: str, target: str = "L1", **more: Any) -> Measurement:
    return Measurement(name, target, value, unit, value - 0.5, value + 0.5, f"how {name} was measured", **more)


def _classified(category: str, title: str, possible: tuple[str, ...], target: str = "L1") -> Classification:
    answer = possible[0] if len(possible) == 1 else ""
    return Classification(category, "response", target, title, answer, possible, f"why {title}", f"source of {title}")


def _treated() -> LesionResponse:
    on_tumour, on_zone = (tuple(float(c) for c in p) for p in thinnest())
    points = (EvidencePoint("on_tumour", on_tumour), EvidencePoint("on_zone", on_zone))
    shares = ((-1.0, "below_0"), (38.0, "0_to_5"), (62.0, "5_to_10"), (0.5, "above_10"))
    return LesionResponse(
        id="L1",
        tracking_uid="2.25.1",
        fate=Fate.TREATED,
        statement="L1 was treated: zone Z1.",
        before_lps_mm=TUMOURS["L1"][0],
        now_lps_mm=tuple(float(c) for c in centre_now("L1")),
        motion=MOTION,
        motion_error_mm=0.8,
        zone="Z1",
        foci=("R1",),
        baseline=(_measured("volume", 7.2, "ml"),),
        quantities=(
            _measured("minimal_ablation_margin", -1.0, "mm", evidence=points),
            _measured("uncovered_tumour_volume", 0.6, "ml"),
            *(_measured(f"surface_share_margin_{word}_mm", max(value, 0.5), "%") for value, word in shares),
            NotMeasured("shell_coverage_5_mm", "L1", "no shell for the test"),
        ),
        thinnest=Spot(
            on_tumour,
            (1.0, 2.0, 3.0),
            "to the right",
            (8,),
            "right_hepatic_vein",
            _measured("nearest_vessel_distance", 9.0, "mm"),
        ),
        classifications=(
            _classified("ablation_margin_class", "Margin class", ("A1", "A2")),
            _classified("li_rads_treatment_response", "LI-RADS TR", ("LR-TR Viable",)),
        ),
        not_applied=(NotApplied("response", "Technical success", "L1", "the wrong day"),),
    )


def _untreated() -> LesionResponse:
    return LesionResponse(
        id="L2",
        tracking_uid="2.25.2",
        fate=Fate.UNTREATED,
        statement="L2 was not treated.",
        before_lps_mm=TUMOURS["L2"][0],
        now_lps_mm=tuple(float(c) for c in centre_now("L2")),
        motion=MOTION,
        motion_error_mm=1.9,
        zone="",
        foci=(),
        baseline=(),
        quantities=(NotMeasured("minimal_ablation_margin", "L2", "no zone lies on L2"),),
    )


def _zones(now: Examination) -> ZoneMap:
    array = np.where(now.labels.array == 4, 1, 0).astype(np.uint8)
    points = now.volume.grid.index_to_lps_mm(np.argwhere(np.ones(array.shape)))
    near = (np.linalg.norm(points - thinnest()[0], axis=1) < 5).reshape(array.shape)
    array[near] = 101
    return ZoneMap(
        array,
        now.volume.grid,
        (Zone("Z1", 1, ("L1",), "rule", 1.0),),
        (Focus("R1", 101, "Z1", ("L1",), "rule", ("arterial",)),),
        absent={"L2": "no zone lies on L2"},
        smallest_focus_mm=5.0,
    )


def _alignment() -> Alignment:
    places = np.stack(
        np.meshgrid(*[np.linspace(-70, -10, 4), np.linspace(-30, 30, 4), np.linspace(-20, 20, 3)]), -1
    ).reshape(-1, 3)
    moved = MOTION.apply(places)
    agrees = np.ones(len(places), bool)
    agrees[3] = False
    pieces = Pieces(places, moved, moved + 0.3, agrees, np.linspace(0.4, 4.5, len(places)))
    made = [PlaceMotion(n, TUMOURS[n][0], MOTION, 0.8, pieces=9, pieces_tried=10) for n in TUMOURS]
    liver = PlaceMotion("liver", (-40.0, 0.0, 0.0), MOTION, 3.0, pieces=40, pieces_tried=48)
    return Alignment(liver, tuple(made), ("the liver bent by 4 mm",), ("portal_venous", "portal_venous"), pieces, 1.2)


def make_case(strings: dict[str, Any], styles: Any) -> ResponseContent:
    """All of it."""
    before = _examination("1.2.3", "20260105", RigidMotion.none(), treated=False)
    now = _examination("1.2.4", "20260216", MOTION, treated=True)
    spot = Spot(
        tuple(float(c) for c in thinnest()[0]),
        None,
        "to the right",
        (),
        "",
        NotMeasured("nearest_vessel_distance", "R1", "no vessels were looked for"),
    )
    sum_now = NotMeasured("easl_sum_current", "study", "L2: not measured")
    response = StudyResponse(
        treatments=(Treatment(date(2026, 1, 20), "hifu"),),
        timepoint=Timepoint(27, ("early",), "27 days after treatment.", "zones shrink with time"),
        lesions=(_treated(), _untreated()),
        zones=(
            Part("Z1", "2.25.3", "rule", _ORIGIN, (_measured("volume", 17.2, "ml", "Z1"),), ("L1",), notes=("gas",)),
        ),
        foci=(Part("R1", "2.25.4", "rule", _ORIGIN, (_measured("volume", 0.5, "ml", "R1"),), ("L1",), "Z1", spot),),
        candidates=(),
        new_lesion=False,
        criteria=(
            CriterionResponse(
                "easl", ("L2",), {"L1": "it was ablated"}, _measured("easl_sum_baseline", 100.0, "mm2", "study"),
                _measured("easl_sum_nadir", 100.0, "mm2", "study"), sum_now,
                _classified("response.easl", "EASL", ("PR", "SD"), "study"),
                _classified("response.easl.overall", "EASL overall", ("SD",), "study"),
            ),
        ),
        not_applied=(NotApplied("response", "RECIST 1.1", "study", "there is no target lesion"),),
        warnings=("zones shrink with time", "the study has no delayed phase"),
    )  # fmt: skip
    return ResponseContent(
        before=before,
        now=now,
        response=response,
        alignment=_alignment(),
        zones=_zones(now),
        margins={"L1": margin_surface()},
        limits_mm=LIMITS,
        structures=styles,
        strings=strings,
        provenance=(("Software", "liverimg 0.1.0"),),
        notices=("The zones were corrected by hand.",),
    )
