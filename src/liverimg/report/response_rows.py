"""What the page about a study after treatment says in words: rows that its template lays out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from liverimg.core.alignment import PlaceMotion
from liverimg.core.measurement import Measured, Measurement, NotMeasured
from liverimg.core.response import CriterionResponse, Fate, LesionResponse, Part, Spot
from liverimg.report.response_content import ResponseContent
from liverimg.report.rows import KeyFigure, key_figures
from liverimg.report.text import QuantityRow, Strings, band_text, number, quantity_rows, say, unit_label, value_text
from liverimg.report.verdicts import ClassRow, class_rows

MINIMUM = "minimal_ablation_margin"
_SEGMENTS = ("", "I", "II", "III", "IV", "V", "VI", "VII", "VIII")
# Of the verdict chips' symbols: covered is not said here, so a treated lesion gets no tick.
_FATES = {
    Fate.TREATED: "treated",
    Fate.PERHAPS_TREATED: "undetermined",
    Fate.UNTREATED: "not-met",
    Fate.NOT_FOUND: "undetermined",
    Fate.UNKNOWN: "undetermined",
}


@dataclass(frozen=True)
class SummaryRow:
    """One lesion at a glance.

    Attributes:
        id: Of the lesion.
        anchor: Where its panel is.
        fate: What became of it, in words.
        fate_kind: Its look.
        margin: Smallest margin with its band, or why there is none.
        classes: Proposed classes, short: title and answer.
        foci: How many residual foci, or that they could not be looked for.
        error: 95 % bound of the motion's error.
    """

    id: str
    anchor: str
    fate: str
    fate_kind: str
    margin: str
    margin_known: bool
    classes: tuple[tuple[str, str], ...]
    foci: str
    error: str


@dataclass(frozen=True)
class PartRow:
    """A zone, a focus or a tumour that may be new.

    Attributes:
        id: Its name.
        origin: Who drew it.
        numbers: A few of its numbers.
        where: Where it lies, in words; empty for zones.
        notes: What a reader must know.
        all_numbers: All of them.
    """

    id: str
    origin: str
    numbers: tuple[KeyFigure, ...]
    where: tuple[str, ...]
    notes: tuple[str, ...]
    all_numbers: tuple[QuantityRow, ...]


@dataclass(frozen=True)
class PlaceRow:
    """How one place was laid onto the later study."""

    name: str
    known: bool
    error: str
    pieces: str
    reason: str


@dataclass(frozen=True)
class CriterionRow:
    """The response of the study by one criterion."""

    title: str
    sums: tuple[tuple[str, str, str], ...]
    target: ClassRow
    overall: ClassRow
    targets: str
    left_out: tuple[tuple[str, str], ...]


def with_band(quantity: Measured, strings: Strings) -> str:
    """``5.5 mm (4.9 to 6.1 mm)``, or why it was not measured."""
    if isinstance(quantity, NotMeasured):
        return quantity.reason
    return say(strings, "response.with_band", value=value_text(quantity, strings), band=band_text(quantity, strings))


def summary_row(lesion: LesionResponse, anchor: str, content: ResponseContent) -> SummaryRow:
    """One line of the summary."""
    strings = content.strings
    margin = lesion.quantity(MINIMUM)
    shown = strings["display"]["summary_classes"]
    classes = [c for c in lesion.classifications if c.category_id in shown]
    answers = class_rows(sorted(classes, key=lambda c: shown.index(c.category_id)), strings)
    error = lesion.motion_error_mm
    return SummaryRow(
        id=lesion.id,
        anchor=anchor,
        fate=say(strings, f"fate.{lesion.fate.value}"),
        fate_kind=_FATES[lesion.fate],
        margin=with_band(margin, strings),
        margin_known=isinstance(margin, Measurement),
        classes=tuple((row.title, row.answer) for row in answers),
        foci=foci_words(lesion, content),
        error=say(strings, "response.no_motion") if error is None else _mm(error, strings),
    )


def foci_words(lesion: LesionResponse, content: ResponseContent) -> str:
    """How many residual foci there are, or why that is not known; none found is never none there."""
    strings, zones = content.strings, content.zones
    if lesion.foci:
        return say(strings, "response.foci_found", count=len(lesion.foci), names=", ".join(lesion.foci))
    if not lesion.zone:
        return say(strings, "response.foci_no_zone")
    if lesion.zone in zones.foci_unknown:
        return say(strings, "response.foci_unknown", reason=zones.foci_unknown[lesion.zone])
    least = zones.smallest_focus_mm
    if least is None:
        drawn = any(zone.id == lesion.zone and zone.origin == "drawn" for zone in zones.zones)
        return say(strings, "response.foci_none_drawn" if drawn else "response.foci_not_looked")
    return say(strings, "response.foci_none", least=_mm(least, strings))


def headline_figures(lesion: LesionResponse, content: ResponseContent) -> tuple[KeyFigure, ...]:
    """The numbers that head a lesion: of itself, and of its zone."""
    strings = content.strings
    names = strings["display"]["response_headlines"]
    zone = next((part for part in content.response.zones if part.id == lesion.zone), None)
    own = key_figures(lesion.quantities, names["lesion"], strings)
    if zone is None:
        return own
    of_zone = key_figures(zone.quantities, names["zone"], strings)
    return (*own, *(replace(f, title=say(strings, "response.of_zone", zone=zone.id, title=f.title)) for f in of_zone))


def untold(lesion: LesionResponse, content: ResponseContent) -> tuple[str, ...]:
    """What could not be told of a lesion and why, each reason once."""
    return tuple(dict.fromkeys(_sentence(reason) for reason in _reasons(lesion, content) if reason))


def untold_together(lines: Iterable[tuple[str, tuple[str, ...]]]) -> tuple[tuple[str, str], ...]:
    """The same for several lesions: each sentence once, after the names of all lesions that it holds for.

    Args:
        lines: Each lesion's name with its sentences.

    Returns:
        Names and sentence, in the order in which sentences first come.
    """
    names: dict[str, list[str]] = {}
    for name, sentences in lines:
        for sentence in sentences:
            names.setdefault(sentence, []).append(name)
    return tuple((", ".join(who), sentence) for sentence, who in names.items())


def _reasons(lesion: LesionResponse, content: ResponseContent) -> Iterator[str]:
    place = content.alignment.of_lesion(lesion.id)
    if place is not None and place.reason:
        yield place.reason
    elif lesion.motion is None:
        yield say(content.strings, "response.no_motion_reason", lesion=lesion.id)
    yield content.zones.absent.get(lesion.id, "")
    yield content.zones.foci_unknown.get(lesion.zone, "")
    wanted = content.strings["display"]["response_headlines"]["lesion"]
    for name in wanted:
        quantity = next((q for q in lesion.quantities if q.name == name), None)
        if isinstance(quantity, NotMeasured):
            yield quantity.reason
    for row in class_rows(lesion.classifications, content.strings):
        if not row.settled and row.settled_by:
            words = {"title": row.title, "answer": row.answer, "settled_by": row.settled_by}
            yield say(content.strings, "response.undecided", **words)


def _sentence(text: str) -> str:
    """A reason as a sentence: a capital first, a full stop last; names such as R1 stay as they are."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def spot_words(spot: Spot | None, strings: Strings) -> tuple[str, ...]:
    """Where a place lies: direction, segment, vessel, coordinates to aim at."""
    if spot is None:
        return ()
    lines = []
    if spot.direction:
        lines.append(say(strings, "spot.direction", direction=spot.direction))
    if len(spot.segments) == 1 or (spot.segments and not spot.note):
        names = say(strings, "spot.or").join(_SEGMENTS[s] if 0 < s < len(_SEGMENTS) else str(s) for s in spot.segments)
        lines.append(say(strings, "spot.segment", segments=names))
    if spot.note:
        lines.append(spot.note)
    if spot.vessel:
        vessel = spot.vessel.replace("_", " ")
        lines.append(say(strings, "spot.vessel", vessel=vessel, distance=with_band(spot.vessel_distance, strings)))
    elif isinstance(spot.vessel_distance, NotMeasured) and spot.vessel_distance.reason:
        lines.append(say(strings, "spot.no_vessel", reason=spot.vessel_distance.reason))
    lines.append(say(strings, "spot.now", place=_place(spot.now_lps_mm, strings)))
    if spot.before_lps_mm is not None:
        lines.append(say(strings, "spot.before", place=_place(spot.before_lps_mm, strings)))
    return tuple(lines)


def _place(lps_mm: tuple[float, float, float], strings: Strings) -> str:
    """Coordinates with the side in words, so that nobody has to know which sign is which."""
    words = strings["spot"]["axes"]
    return ", ".join(f"{abs(c):.1f} {words[axis][int(c > 0)]}" for axis, c in zip("xyz", lps_mm, strict=True))


def part_row(part: Part, strings: Strings, *, headlines: list[str]) -> PartRow:
    """A zone, focus or new tumour."""
    return PartRow(
        id=part.id,
        origin=say(strings, f"origin.{part.origin}") if part.origin in strings["origin"] else part.origin,
        numbers=key_figures(part.quantities, headlines, strings),
        where=spot_words(part.spot, strings),
        notes=part.notes,
        all_numbers=quantity_rows(part.quantities, strings),
    )


def place_rows(content: ResponseContent) -> tuple[PlaceRow, ...]:
    """The liver as a whole, then each lesion."""
    alignment = content.alignment
    return tuple(_place_row(place, content.strings) for place in (alignment.liver, *alignment.lesions))


def _place_row(place: PlaceMotion, strings: Strings) -> PlaceRow:
    known = place.motion is not None and place.error_mm is not None
    liver = say(strings, "alignment.liver") if place.name == "liver" else place.name
    return PlaceRow(
        name=liver,
        known=known,
        error=_mm(place.error_mm, strings)
        if known and place.error_mm is not None
        else say(strings, "response.no_motion"),
        pieces=say(strings, "alignment.pieces_of", used=place.pieces, tried=place.pieces_tried)
        if place.pieces_tried
        else "",
        reason=place.reason,
    )


def criterion_row(found: CriterionResponse, strings: Strings) -> CriterionRow:
    """Sums, response of the targets and overall response."""
    target, overall = class_rows((found.target, found.overall), strings)
    sums = tuple(
        (say(strings, f"criteria.{word}"), value_text(q, strings), band_text(q, strings))
        if isinstance(q, Measurement)
        else (say(strings, f"criteria.{word}"), "", q.reason)
        for word, q in (("baseline", found.baseline), ("nadir", found.nadir), ("current", found.current))
    )
    return CriterionRow(
        title=target.title,
        sums=sums,
        target=target,
        overall=overall,
        targets=", ".join(found.targets),
        left_out=tuple(found.left_out.items()),
    )


def _mm(value: float, strings: Strings) -> str:
    return number(value, "mm", strings) + unit_label("mm", strings)
