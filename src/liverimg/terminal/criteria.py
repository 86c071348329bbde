"""What ``liverimg criteria`` shows."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from liverimg.assess.describe import rule_text
from liverimg.core.criteria import CriteriaSet
from liverimg.core.window import Transducer


def show_criteria(tables: Sequence[CriteriaSet]) -> None:
    """Each table with its rules, what they ask and where they come from; then what contradicts itself."""
    console = Console(highlight=False)
    for table in tables:
        console.print(Text(f"\n{table.title} ({table.id})", style="bold"))
        console.print(Text(f"{table.edition}"))
        shown = Table(show_lines=True)
        for heading, share in (("Rule", 2), ("Asks for", 4), ("Source", 3)):
            shown.add_column(heading, overflow="fold", ratio=share)
        for rule in table.criteria:
            shown.add_row(Text(f"{rule.title}\n{rule.id}"), Text(rule_text(rule.rule)), Text(rule.source))
        for category in table.categories:
            choices = "\n".join(f"{choice.title}: {rule_text(choice.rule)}" for choice in category.choices)
            shown.add_row(Text(f"{category.title}\n{category.id}"), Text(choices), Text(category.source))
        console.print(shown)
        for title, reason in table.unsupported:
            console.print(Text(f"not supported: {title}: {reason}"))
        for conflict in table.conflicts:
            console.print(Text(f"conflict: {conflict}"))


def show_transducers(transducers: Sequence[Transducer]) -> None:
    """Each transducer with its figures and where they come from; the first is the default."""
    shown = Table(show_lines=True)
    for heading, share in (("Name", 2), ("Transducer", 3), ("Sides and tilt, degrees", 2), ("Source", 5)):
        shown.add_column(heading, overflow="fold", ratio=share)
    for transducer in transducers:
        sides, tilt = (f"{low:g} to {high:g}" for low, high in (transducer.azimuth_deg, transducer.elevation_deg))
        figures = (
            f"{transducer.title}\n"
            f"aperture {transducer.aperture_mm:g} mm, focal length {transducer.focal_length_mm:g} mm, opening "
            f"{transducer.opening_mm:g} mm, {transducer.frequency_mhz:g} MHz, standoff {transducer.standoff_mm:g} mm"
        )
        shown.add_row(Text(transducer.id), Text(figures), Text(f"{sides}\n{tilt}"), Text(transducer.source))
    Console(highlight=False).print(shown)
