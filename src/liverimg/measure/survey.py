"""Everything that is measured of a study, in one go."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from liverimg.core.labels import LabelMap, LabelQuality, Structure
from liverimg.core.measurement import Lesion, Measured, MeasurementSet
from liverimg.core.side_by_side import side_by_side
from liverimg.core.study import Phase
from liverimg.core.volume import Volume
from liverimg.core.window import WindowMap
from liverimg.measure.acquired import Acquired
from liverimg.measure.approach import Approach
from liverimg.measure.attenuation import measure_attenuation, measure_liver_attenuation
from liverimg.measure.band import point
from liverimg.measure.branches import name_trees
from liverimg.measure.depth import measure_depth
from liverimg.measure.enhancement import measure_enhancement
from liverimg.measure.form import measure_form
from liverimg.measure.nearness import measure_nearness
from liverimg.measure.organs import measure_organs
from liverimg.measure.phases import PhaseImage
from liverimg.measure.reach import Around
from liverimg.measure.recist import measure_diameter_sums, measure_size_class
from liverimg.measure.remnant import measure_destruction, measure_remnants
from liverimg.measure.segment_map import AnySegments
from liverimg.measure.segments import find_segments, measure_lesion_segments, measure_segments
from liverimg.measure.settings import MeasureSettings
from liverimg.measure.size import measure_size
from liverimg.measure.subject import Body, Subject
from liverimg.measure.wall import in_the_way, measure_wall, obstacles_text
from liverimg.measure.ways import Ways, measure_ways


def survey(
    volume: Volume | None,
    labels: LabelMap,
    quality: LabelQuality,
    *,
    settings: MeasureSettings,
    phases: Mapping[Phase, PhaseImage] | None = None,
    sources: tuple[str, ...] = (),
    acquired: Acquired | None = None,
) -> MeasurementSet:
    """As :func:`survey_with_windows`, without ways in."""
    return survey_with_windows(
        volume, labels, quality, settings=settings, phases=phases, sources=sources, acquired=acquired
    )[0]


def survey_with_windows(
    volume: Volume | None,
    labels: LabelMap,
    quality: LabelQuality,
    *,
    settings: MeasureSettings,
    approach: Approach | None = None,
    phases: Mapping[Phase, PhaseImage] | None = None,
    sources: tuple[str, ...] = (),
    acquired: Acquired | None = None,
    segments: NDArray[np.uint8] | None = None,
) -> tuple[MeasurementSet, tuple[WindowMap, ...]]:
    """Measures every lesion and the organs around them; with it the map of each lesion's acoustic windows.

    The result does not depend on how the arrays are flipped or permuted: all work is done in standard order
    (Superior, Posterior, Left), all places are LPS mm.

    Args:
        volume: The image, for attenuation values; None to leave them out. It must lie on the labels' grid.
        labels: What was drawn.
        quality: How far it can be trusted.
        settings: Constants of the measurement.
        approach: How acoustic windows and needle paths are looked for; None to leave them out.
        phases: The study's images by contrast phase, the reference among them, on grids of their own; None to leave
            enhancement out.
        sources: Series UIDs to write beside each number.
        acquired: How the slices behind the labels' grid were acquired; None where that is not known.
        segments: Couinaud segments as somebody drew them, 1 to 8 on the labels' grid; None where nobody did.
    """
    body = Body.of(
        labels,
        quality,
        settings=settings,
        image=volume,
        phases=phases,
        sources=sources,
        acquired=acquired,
        segments=segments,
    )
    measured, warnings = [], list(_warnings(body))
    windows: list[WindowMap] = []
    ways = None if approach is None else Ways.of(body, approach)
    around = Around.of(body) if body.lesions else None
    told = find_segments(body, name_trees(body) if around is None else around.trees)
    each = side_by_side(lambda mask: _survey_lesion(Subject.of(mask, body), body, around, told, ways), body.lesions)
    for lesion, window, warning in each:
        measured.append(lesion)
        windows += [] if window is None else [window]
        warnings += [warning] if warning else []
    lesions = tuple(measured)
    whole = measure_organs(body, lesions)
    organs = (
        *whole,
        *measure_diameter_sums(body, lesions),
        *measure_segments(body, told),
        *measure_remnants(body, told),
        *measure_destruction(body, whole[0]),
        *measure_liver_attenuation(body),
    )
    return MeasurementSet(lesions, organs, tuple(warnings)), tuple(windows)


def _survey_lesion(
    subject: Subject, body: Body, around: Around | None, told: AnySegments | str, ways: Ways | None
) -> tuple[Lesion, WindowMap | None, str]:
    """All numbers of one lesion, the map of its acoustic windows, and what a reader must know of its depth."""
    mask = subject.lesion
    sizes = measure_size(subject, body)
    depths = measure_depth(subject, body)
    quantities: list[Measured] = [
        *sizes,
        *measure_form(subject, body),
        *measure_size_class(sizes[0], subject, body),
        *depths,
        measure_wall(depths[0], subject, body),
        *measure_nearness(subject, body, around),
        *measure_attenuation(subject, body),
        *measure_enhancement(subject, body),
        *measure_lesion_segments(subject, body, told),
    ]
    found, window = ([], None) if ways is None else measure_ways(depths[0], subject, body, ways)
    warning = ""
    if obstacles := in_the_way(depths[0], body.scene):
        warning = (
            f"The shortest line from the skin to {mask.id} crosses {obstacles_text(obstacles)}: the depth from "
            "the skin is measured along it, and it is no clear acoustic window."
        )
    site = "outside_liver" if subject.outside and body.liver is not None else "liver"
    return Lesion(mask.id, point(mask.centroid_lps_mm), (*quantities, *found), site), window, warning


def _warnings(body: Body) -> tuple[str, ...]:
    scene, found = body.scene, []
    if not scene.labels.knows(Structure.TUMOUR):
        found.append("Tumours were not looked for in these labels.")
    elif not body.lesions:
        found.append("No tumour is drawn; that does not prove that there is none.")
    if body.too_small:
        found.append(
            f"{body.too_small} part(s) of the tumour label smaller than {body.settings.minimum_lesion_volume_ml:g} ml "
            "were left out."
        )
    if scene.box(Structure.ABLATION_ZONE) is not None:
        found.append(
            "An ablation zone is drawn, so this study was made after a treatment: what is measured as tumour is only "
            "what lies outside the zone, and rules for untreated tumours may not fit it."
        )
    found += [f"{x.id} lies outside the liver." for x in body.apart if scene.box(Structure.LIVER) is not None]
    found += [
        f"{x.id} touches the edge of the image; its size is unknown." for x in body.lesions if x.touches_image_edge
    ]
    if scene.box(Structure.LIVER) is None:
        found.append("No liver is drawn.")
    if not scene.grid.is_orthogonal():
        found.append("The voxel grid is sheared; distances taken on it are approximate.")
    return tuple(found)
