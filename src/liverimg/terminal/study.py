"""What the command line shows of a study folder: the table of its series, and what de-identification passed on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from liverimg.report.inspection_content import ClipRow, InspectionRows, RefusedRow, VolumeRow

_DOTS = ("○○○", "●○○", "●●○", "●●●")
_SURE = 2


def show_inspection(rows: InspectionRows, strings: Mapping[str, Any], *, with_evidence: bool = False) -> None:
    """The series table: what is here, which phase, used or not and why; then what a person should look at.

    Args:
        rows: From :func:`liverimg.stages.inspection.rows_of`.
        strings: The table ``inspection_strings``.
        with_evidence: Also what each phase rests on, and UIDs.
    """
    console = Console(highlight=False)
    heading = strings["heading"]
    console.print(
        Text.assemble((f"{strings['page']['study_date']}: {rows.date}. ", "bold"), _counts(rows, strings)),
        soft_wrap=True,
    )
    if rows.volumes:
        console.print(_volumes(rows.volumes, strings))
    if rows.clips:
        console.print(_clips(rows.clips, strings))
    if rows.refused:
        console.print(_refused(rows.refused, strings))
    if with_evidence:
        _show_evidence(console, rows, strings)
    for title, remarks in ((heading["warnings"], rows.warnings), (heading["notes"], rows.notes)):
        if remarks:
            console.print(Text(f"\n{title}", "bold"))
        for remark in remarks:
            console.print(Text.assemble("- ", remark.text, (f" ({remark.code})" if remark.code else "", "dim")))
    console.print(Text(f"\n{rows.basis}", "dim"))


def _counts(rows: InspectionRows, strings: Mapping[str, Any]) -> str:
    if not rows.is_usable:
        return str(strings["summary"]["nothing"])
    page = strings["page"]
    return f"{page['usable']}: {rows.usable}. {page['not_usable']}: {rows.left}."


def _table(title: str, headings: Sequence[str]) -> Table:
    table = Table(
        title=f"\n{title}",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_lines=False,
        leading=1,
    )
    for heading in headings:
        table.add_column(heading)
    return table


def _volumes(rows: Sequence[VolumeRow], strings: Mapping[str, Any]) -> Table:
    """Three lines a volume, so that 80 columns are enough."""
    column = strings["column"]
    table = _table(strings["heading"]["volumes"], [column[k] for k in ("number", "series", "slices", "what", "use")])
    for row in rows:
        table.add_row(
            str(row.number),
            Text(row.series),
            Text.assemble(
                (f"{row.modality} {row.description}", "bold"),
                f"\n{row.matrix}, {row.pixel}\n{row.gap}, {row.thickness}",
            ),
            Text.assemble(
                (row.what, "bold" if row.is_known else "italic"),
                (f"\n{_DOTS[row.steps]} {row.confidence}", "" if row.steps >= _SURE else "yellow"),
                f"\n{row.time}",
                (f"\n{strings['volume']['conflict']}" if row.against else "", "yellow"),
            ),
            Text(row.use, "bold" if row.is_reference else ""),
        )
    return table


def _clips(rows: Sequence[ClipRow], strings: Mapping[str, Any]) -> Table:
    column = strings["column"]
    keys = ("number", "series", "clip_time", "clip_scale")
    table = _table(strings["heading"]["clips"], [column[key] for key in keys])
    for row in rows:
        scale = (f"\n{row.scale}", "" if row.is_calibrated else "yellow")
        table.add_row(
            str(row.number),
            Text(row.series),
            Text.assemble((f"US {row.description}", "bold"), f"\n{row.frames}\n{row.times}"),
            Text.assemble(row.pixels, scale, f"\n{row.scale_detail}"),
        )
    return table


def _refused(rows: Sequence[RefusedRow], strings: Mapping[str, Any]) -> Table:
    column = strings["column"]
    table = _table(strings["heading"]["refused"], [column[key] for key in ("series", "description", "why", "action")])
    for row in rows:
        table.add_row(
            Text(row.series), Text(row.what), Text.assemble(row.reason, (f"\n{row.code}", "dim")), Text(row.action)
        )
    return table


def _show_evidence(console: Console, rows: InspectionRows, strings: Mapping[str, Any]) -> None:
    """UIDs, and what each phase rests on; long lines are left whole, for copying."""
    words = strings["volume"]
    console.print(Text(f"\n{words['evidence']}", "bold"))
    for row in rows.volumes:
        console.print(
            Text(f"{row.number}. {row.modality} {row.description}: {row.what}, {row.confidence}"), soft_wrap=True
        )
        for line in row.evidence or (words["no_evidence"],):
            console.print(Text(f"   {line}"), soft_wrap=True)
        for line in row.against:
            console.print(Text(f"   {line}", "yellow"), soft_wrap=True)
        console.print(Text(f"   {row.uid}", "dim"), soft_wrap=True)
    for clip in rows.clips:
        console.print(Text(f"{clip.number}. US {clip.description}\n   {clip.uid}"), soft_wrap=True)
    for refused in rows.refused:
        if refused.uid:
            console.print(Text(f"-  {refused.what}\n   {refused.uid}"), soft_wrap=True)


def show_deidentified(manifest: Mapping[str, Any], out: Path) -> None:
    """How many files were passed on, and what was left out and why."""
    console = Console(highlight=False)
    masked = sum(row["pixels"] == "masked" for row in manifest["files"])
    console.print(Text(f"{len(manifest['files'])} files passed on, {masked} of them masked: {out}"))
    for row in manifest["left_out"]:
        console.print(Text(f"left out: {row['files']} x {row['code']}: {row['reason']}"))
