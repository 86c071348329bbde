"""The page about contrast ultrasound: self-contained, nothing fetched, no script."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray

from liverimg.core.measurement import Measured
from liverimg.report.ceus_charts import Chart, curve_chart, similarity_chart
from liverimg.report.ceus_pictures import CeusPicture, pictures_of
from liverimg.report.text import QuantityRow, date_text, quantity_rows, say

TEMPLATES = Path(__file__).parent / "templates"
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_HEADLINES: Final = ("ceus_non_enhancing_area", "ceus_long_diameter", "ceus_short_diameter")
_HOURS: Final = 12
_DEGREES: Final = 360.0


@dataclass(frozen=True, eq=False)
class CeusContent:
    """Everything that the page is made of.

    Attributes:
        record: ``perfusion.json``.
        quantities: Its quantities as values: by plane id, and those of the zone under an empty name.
        maps: Maps of each plane that has some.
        phases: From, to (seconds after the injection) and name of each phase.
        strings: The table ``ceus_strings``.
        provenance: Rows of label and value.
    """

    record: Mapping[str, Any]
    quantities: Mapping[str, tuple[Measured, ...]]
    maps: Mapping[str, Mapping[str, NDArray[Any]]] = field(repr=False)
    phases: tuple[tuple[float, float, str], ...]
    strings: Mapping[str, Any] = field(repr=False)
    provenance: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class PlanePanel:
    """One plane, laid out."""

    id: str
    headlines: tuple[QuantityRow, ...]
    rows: tuple[tuple[str, tuple[QuantityRow, ...]], ...]
    facts: tuple[str, ...]
    foci: tuple[str, ...] | None
    pictures: tuple[CeusPicture, ...]
    curves: Chart | None
    similarity: Chart | None
    has_reading: bool


def render_ceus_page(content: CeusContent) -> str:
    """Lays the page out; the same content gives the same bytes."""
    strings, record = content.strings, content.record
    panels = [_panel(row, content) for row in record["planes"]]
    baseline = record["baseline"]
    environment = Environment(
        loader=FunctionLoader(lambda name: str(_own(name))),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("ceus.html.j2").render(
        t=strings,
        say=lambda key, **values: say(strings, key, **values),
        policy=_POLICY,
        style=_own("page.css") + _own("ceus.css"),
        study_date=date_text(record["study"]["study_date"], {"header": strings["header"]}),
        baseline=None if baseline is None else date_text(baseline["study_date"], {"header": strings["header"]}),
        target=None if baseline is None else baseline["target"],
        warnings=record["warnings"],
        panels=panels,
        together=quantity_rows(content.quantities[""], strings),
        not_used=record["not_used"],
        provenance=content.provenance,
    )


def _own(name: str) -> Markup:
    # Files of this package, trusted as they are; nothing of a study ever passes through here.
    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))


def _panel(row: Mapping[str, Any], content: CeusContent) -> PlanePanel:
    strings, own = content.strings, content.quantities[row["id"]]
    targets = list(dict.fromkeys(q.target for q in own))
    rows = tuple(
        (_region_title(target, row["id"], strings), quantity_rows(tuple(q for q in own if q.target == target), strings))
        for target in targets
    )
    headlines = tuple(q for name in _HEADLINES for q in own if q.name == name)
    maps = content.maps.get(row["id"])
    pictures: tuple[CeusPicture, ...] = ()
    similarity = None
    if maps is not None:
        pictures = pictures_of(row, maps, liver_peak=_liver_peak(row), captions=_captions(maps, strings))
        limit = row["frames"]["similarity_limit"]
        similarity = similarity_chart(maps["similarity"], maps["similarity_before"], limit=limit)
    return PlanePanel(
        id=row["id"],
        headlines=quantity_rows(headlines, strings),
        rows=rows,
        facts=_facts(row, strings),
        foci=None if row["foci"] is None else tuple(_focus(focus, strings) for focus in row["foci"]),
        pictures=pictures,
        curves=_curves(row, content),
        similarity=similarity,
        has_reading=maps is not None,
    )


def _captions(maps: Mapping[str, NDArray[Any]], strings: Mapping[str, Any]) -> dict[str, str]:
    phase = next((p for p in ("portal", "late", "arterial") if f"enhancement_{p}" in maps), "")
    word = strings["phase"].get(phase, "")
    return {
        "b_mode": say(strings, "plane.b_mode"),
        "contrast": say(strings, "plane.contrast", phase=word),
        "peak": say(strings, "plane.peak"),
        "time_to_peak": say(strings, "plane.time_to_peak"),
    }


def _liver_peak(row: Mapping[str, Any]) -> float | None:
    for region in (row["curves"] or {"regions": ()})["regions"]:
        if region["name"] == "liver" and region["fit"] is not None:
            return float(region["fit"]["peak"])
    return None


def _curves(row: Mapping[str, Any], content: CeusContent) -> Chart | None:
    if row["curves"] is None:
        return None
    titles = {
        region["name"]: _region_title(f"{row['id']} {region['name']}", row["id"], content.strings)
        for region in row["curves"]["regions"]
    }
    zero_s = float(row["injection_s"] or 0.0)
    phases = tuple(
        (low + zero_s, high + zero_s, str(content.strings["phase"][name])) for low, high, name in content.phases
    )
    return curve_chart(row["curves"], titles=titles, phases=phases)


def _region_title(target: str, plane: str, strings: Mapping[str, Any]) -> str:
    name = target.removeprefix(plane).strip()
    if not name:
        return say(strings, "plane.heading", plane=plane)
    if name in strings["region"]:
        return str(strings["region"][name])
    return say(strings, "region.focus", id=name)


def _focus(focus: Mapping[str, Any], strings: Mapping[str, Any]) -> str:
    hour = round(focus["direction_deg"] / (_DEGREES / _HOURS)) % _HOURS or _HOURS
    return say(strings, "plane.focus", id=focus["id"], clock_hour=hour)


def _facts(row: Mapping[str, Any], strings: Mapping[str, Any]) -> tuple[str, ...]:
    frames, facts = row["frames"], []
    rejected = len(frames["rejected"])
    if frames["reference"] is None:
        facts.append(say(strings, "plane.no_motion"))
    else:
        used = frames["total"] - rejected
        facts.append(say(strings, "plane.frames", used=used, total=frames["total"], rejected=rejected))
    db = row["dynamic_range_db"]
    facts.append(say(strings, f"plane.dynamic_range_{row['dynamic_range_from']}", db="" if db is None else f"{db:g}"))
    spacing = row["spacing_ji_mm"]
    if spacing is None:
        facts.append(say(strings, "plane.not_calibrated"))
    else:
        facts.append(say(strings, "plane.calibrated", j=f"{spacing[0]:.3g}", i=f"{spacing[1]:.3g}"))
    return (*facts, say(strings, "plane.clock", detail=row["clock"]))
