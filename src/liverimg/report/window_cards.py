"""What the page shows of each lesion's acoustic window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from liverimg.core.labels import Structure
from liverimg.core.side_by_side import side_by_side
from liverimg.core.window import PathPiece, WindowMap
from liverimg.report.content import ReportContent
from liverimg.report.overlays import LesionMask
from liverimg.report.planes import Scene
from liverimg.report.text import Strings, say
from liverimg.report.window_figures import window_pictures
from liverimg.report.window_studio import WindowPicture, WindowStudio

_SHORT_MM = 1.5  # shorter stretches on the beam's axis are left out of the sentence


@dataclass(frozen=True)
class WindowCard:
    """One lesion's window.

    Attributes:
        device: The transducer's name.
        pictures: Maps and cuts.
        path: What lies on the beam's axis, in words; empty without a best entry.
    """

    device: str
    pictures: tuple[WindowPicture, ...]
    path: str


def window_cards(
    scene: Scene,
    masks: Mapping[str, LesionMask],
    colours: Mapping[Structure, str],
    grey: tuple[float, float],
    content: ReportContent,
) -> dict[str, WindowCard]:
    """A card for each lesion that has a map, by the lesion's id.

    Args:
        scene: Image and labels.
        masks: Voxels of the lesions.
        colours: Of structures.
        grey: Values shown as black and white.
        content: Where the maps are.
    """
    if not content.windows or content.transducer is None:
        return {}
    device = content.transducer
    studio = WindowStudio.of(scene, colours, grey, content.strings)

    def card(window: WindowMap) -> WindowCard:
        mask = masks.get(window.lesion)
        tumour = None if mask is None else (mask.mask, scene.grid.cropped(mask.start_kji, (*mask.mask.shape,)))
        return WindowCard(
            device=device.title,
            pictures=window_pictures(studio, window, device, tumour),
            path="" if window.beam is None else path_text(window.beam.path, content.strings),
        )

    made = side_by_side(card, content.windows)
    return {window.lesion: found for window, found in zip(content.windows, made, strict=True)}


def path_text(path: tuple[PathPiece, ...], strings: Strings) -> str:
    """Such as "2 mm skin, 22 mm fat, 7 mm muscle"; neighbours of one kind are one."""
    stretches: list[tuple[str, float]] = []
    for piece in path:
        length = piece.end_mm - piece.start_mm
        if length < _SHORT_MM:
            continue
        if stretches and stretches[-1][0] == piece.tissue:
            length += stretches.pop()[1]
        stretches.append((piece.tissue, length))
    return ", ".join(f"{length:.0f} mm {say(strings, f'window.tissue.{tissue}')}" for tissue, length in stretches)
