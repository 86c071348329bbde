"""Phantom studies for the naming of phases: random people scanned at random times, with headers as sites spoil them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap
from liverimg.core.study import Modality, Phase
from liverimg.core.volume import Quantity, Volume
from liverimg.dicom.write import SeriesHeader, StudyHeader, uid_from, write_series
from liverimg.files.tables import read_table, structure_styles
from liverimg.phantom import render
from liverimg.phantom.contrast import Contrast, Look
from liverimg.phantom.extent import extent_of
from liverimg.phantom.people import random_scene
from liverimg.phantom.scene import Scene, Tissue

U, E, A, P, D, H = (
    Phase.UNENHANCED, Phase.EARLY_ARTERIAL, Phase.ARTERIAL, Phase.PORTAL_VENOUS, Phase.DELAYED, Phase.HEPATOBILIARY,
)  # fmt: skip
PROTOCOLS: Mapping[str, tuple[Modality, tuple[Phase, ...]]] = {
    "triphasic CT": (Modality.CT, (A, P, D)),
    "four-phase CT": (Modality.CT, (U, A, P, D)),
    "five-phase CT": (Modality.CT, (U, E, A, P, D)),
    "gadoxetate MR": (Modality.MR, (U, A, P, D, H)),
}
# When sites scan, seconds after the start of injection; not the limits of any rule.
TIMES_S: Mapping[Modality, Mapping[Phase, tuple[float, float]]] = {
    Modality.CT: {U: (-240, -60), E: (15, 23), A: (30, 42), P: (62, 88), D: (160, 300)},
    Modality.MR: {U: (-300, -60), A: (20, 36), P: (58, 85), D: (150, 300), H: (900, 1300)},
}
# One organ and one set of words a language; a site uses one. In the order of the phases, from unenhanced to the last.
_WORDS = (
    "Abd: non contrast | early arterial | late arterial | portal venous | delayed 5min | HBP 20min",
    "LIVER: W/O | EARLY ART | ART | PV | DELAY | HBP",
    "Leber: nativ 3.0 | früharteriell | spätarteriell | portalvenös | Spätphase | leberspezifisch",
    "Foie: sans injection | artériel précoce | temps artériel | temps portal | temps tardif | phase hépatobiliaire",
    "Hígado: sin contraste | arterial precoz | fase arterial | fase portal | fase tardía | fase hepatobiliar",
    "Fegato: senza mdc | arteriosa precoce | fase arteriosa | fase portale | fase tardiva | fase epatobiliare",
    "Fígado: sem contraste | arterial precoce | fase arterial | fase portal | fase equilíbrio | hepatobiliar",
    "Lever: blanco | vroeg-arterieel | arteriële fase | portoveneuze fase | laat | hepatobiliair",
    "печень: без контраста | ранняя артериальная | артериальная | портальная фаза | отсроченная | гепатобилиарная",
    "肝脏: 平扫 | 动脉早期 | 动脉晚期 | 门脉期 | 延迟期 | 肝胆期",
    "肝: 単純 | 早期動脈相 | 後期動脈相 | 門脈相 | 平衡相 | 肝細胞造影相",
    "간: 조영전 | 조기 동맥기 | 동맥기 | 문맥기 | 지연기 | 간담도기",
)


def _described(line: str) -> Mapping[Phase, str]:
    organ, _, words = line.partition(": ")
    return {phase: f"{organ} {word}" for phase, word in zip((U, E, A, P, D, H), words.split(" | "), strict=True)}


LANGUAGES: Sequence[Mapping[Phase, str]] = tuple(_described(line) for line in _WORDS)
BARE = ("ABD 3.0", "Liver 5.0 B30f", "AX", "", "Recon 2")
AGENTS = {Modality.CT: "Iohexol 350", Modality.MR: "Primovist"}
_INJECTION_S = 36_000.0
_NO_TIMES = dict.fromkeys(("AcquisitionTime", "ContentTime", "SeriesTime", "AcquisitionNumber"), "")


@dataclass(frozen=True)
class Planned:
    """One series: its true phase and what its header says; None leaves a tag out."""

    phase: Phase
    time_s: float
    description: str
    acquired_s: float | None
    start_s: float | None
    agent: str | None


@dataclass(frozen=True)
class Person:
    """A random person on a coarse grid, ready to be scanned at any time."""

    scene: Scene
    labels: LabelMap
    layers: render.Layers

    @classmethod
    def of(cls, seed: int) -> Person:
        """The person of that seed."""
        scene = random_scene(seed)
        room = extent_of(scene)
        low = np.array((*room.body_low_xy, room.liver_low_z - 25)) - 5
        high = np.array((*room.body_high_xy, room.liver_high_z + 15)) + 5
        spacing_mm = (5.0, 2.5, 2.5)
        k, j, i = (int(n) for n in np.ceil((high - low)[::-1] / spacing_mm))
        origin = (float(low[0]), float(low[1]), float(low[2]))
        grid = Grid.from_axes((k, j, i), spacing_mm=spacing_mm, origin_lps_mm=origin, frame_of_reference_uid="1.2.3")
        values = {structure: style.value for structure, style in structure_styles().items()}
        return cls(scene, render.labels(scene, grid, values), render.layers(scene, grid))

    def scan(self, modality: Modality, time_s: float, dose: float, rng: np.random.Generator) -> Volume:
        """One image at a time after injection; every tissue a few percent off the table.

        Args:
            modality: CT or MR.
            time_s: After the start of injection, negative before.
            dose: Factor on all enhancement: contrast, weight and heart of the person.
            rng: For noise and tissues.
        """
        contrast = Contrast.from_table(read_table("phantom"), modality)
        looks = {}
        for tissue in Tissue:
            plain, shown = contrast.value(tissue, None), contrast.value(tissue, time_s if time_s > 0 else None)
            spread = 3.0 if modality is Modality.CT else 0.04 * plain
            mean = plain + dose * (shown - plain) + float(rng.normal(0, spread))
            looks[tissue] = Look(mean, contrast.texture[tissue])
        quantity = Quantity.HU if modality is Modality.CT else Quantity.MR_SIGNAL
        seed = int(rng.integers(1 << 30))
        return render.image(self.layers, looks, background=contrast.background, noise=14, seed=seed, quantity=quantity)


def plan(protocol: str, rng: np.random.Generator) -> list[Planned]:
    """A study whose headers say everything, in one site's language."""
    modality, phases = PROTOCOLS[protocol]
    words = LANGUAGES[int(rng.integers(len(LANGUAGES)))]
    planned = []
    for phase in phases:
        time_s = round(float(rng.uniform(*TIMES_S[modality][phase])))
        enhanced = phase is not U
        planned.append(
            Planned(
                phase,
                time_s,
                words[phase] if modality is Modality.CT else f"T1 VIBE {words[phase]}",
                _INJECTION_S + time_s,
                _INJECTION_S if enhanced else None,
                AGENTS[modality] if enhanced else None,
            )
        )
    return planned


Spoil = Callable[[list[Planned], np.random.Generator], list[Planned]]


def _bare(planned: list[Planned], rng: np.random.Generator) -> list[Planned]:
    text = BARE[int(rng.integers(len(BARE)))]
    mr = planned[0].description.startswith("T1 VIBE")
    return [replace(p, description=f"T1 VIBE {text}".strip() if mr else text) for p in planned]


def _without(planned: list[Planned], *names: str) -> list[Planned]:
    return [replace(p, **dict.fromkeys(names)) for p in planned]  # type: ignore[arg-type]


def _swapped(planned: list[Planned], rng: np.random.Generator) -> list[Planned]:
    """Two neighbours bear each other's description."""
    at = int(rng.integers(len(planned) - 1))
    words = [p.description for p in planned]
    words[at], words[at + 1] = words[at + 1], words[at]
    return [replace(p, description=text) for p, text in zip(planned, words, strict=True)]


def _one_wrong(planned: list[Planned], rng: np.random.Generator) -> list[Planned]:
    """The technician forgot to change the description: a series bears that of the one before."""
    at = int(rng.integers(1, len(planned)))
    return [replace(p, description=planned[at - 1].description) if n == at else p for n, p in enumerate(planned)]


def _delays(planned: list[Planned]) -> list[Planned]:
    def text(p: Planned) -> str:
        if p.time_s < 0:
            return p.description
        return f"LIVER {p.time_s:.0f}s" if p.time_s < 120 else f"LIVER {round(p.time_s / 60)} min"

    return [replace(p, description=text(p)) for p in planned]


def _post(planned: list[Planned]) -> list[Planned]:
    prefix = "T1 VIBE " if planned[0].description.startswith("T1 VIBE") else "ABD "
    return [replace(p, description=prefix + ("pre" if p.phase is U else "post")) for p in planned]


SPOILT: Mapping[str, Spoil] = {
    "all tags": lambda p, _: p,
    "descriptions only, no times": lambda p, _: _without(p, "acquired_s", "start_s", "agent"),
    "times and agent, bare descriptions": _bare,
    "no start of injection, bare descriptions": lambda p, rng: _without(_bare(p, rng), "start_s"),
    "acquisition times only": lambda p, rng: _without(_bare(p, rng), "start_s", "agent"),
    "no tag at all": lambda p, rng: _without(_bare(p, rng), "acquired_s", "start_s", "agent"),
    "pre and post only": lambda p, _: _without(_post(p), "start_s", "agent"),
    "delays in descriptions": lambda p, _: _without(_delays(p), "start_s", "agent"),
    "copied start of injection": lambda p, _: [replace(s, start_s=s.acquired_s) for s in p],
    "one time for all": lambda p, _: [replace(s, acquired_s=0.0, start_s=None) for s in p],
    "start of injection off by minutes": lambda p, _: [
        replace(s, start_s=None if s.start_s is None else s.start_s - 150) for s in p
    ],
    "descriptions swapped, times right": _swapped,
    "descriptions swapped, no start": lambda p, rng: _without(_swapped(p, rng), "start_s", "agent"),
    "description of the one before": lambda p, rng: _without(_one_wrong(p, rng), "start_s", "agent"),
    "description of the one before, no times": lambda p, rng: _without(
        _one_wrong(p, rng), "acquired_s", "start_s", "agent"
    ),
}


def write_headers(
    folder: Path, planned: Sequence[Planned], modality: Modality, rng: np.random.Generator
) -> dict[str, int]:
    """Writes three tiny slices a series, with the tags as planned. Returns the number of each series by UID."""
    grid = Grid.from_axes((3, 8, 8), spacing_mm=(50, 40, 40), frame_of_reference_uid="1.2.3")
    quantity = Quantity.HU if modality is Modality.CT else Quantity.MR_SIGNAL
    volume = Volume(np.zeros(grid.shape, dtype=np.int16), grid, quantity)
    study = StudyHeader("PHANTOM^PHASES", "P", uid_from("phases", int(rng.integers(1 << 30))), "20260101", "095000")
    order = list(range(len(planned)))
    rng.shuffle(order)
    uids: dict[str, int] = {}
    for place in order:
        one = planned[place]
        uid = uid_from(study.study_instance_uid, place, int(rng.integers(1 << 30)))
        uids[uid] = place
        header = SeriesHeader(
            modality, place + 1, uid, one.description,
            clock(one.acquired_s if one.acquired_s is not None else 0.0),
            contrast_agent=one.agent or "",
            contrast_start_time="" if one.start_s is None else clock(one.start_s),
            more=_NO_TIMES if one.acquired_s is None else {},
        )  # fmt: skip
        write_series(volume, folder / f"{place}", study=study, series=header, compressed=False)
    return uids


def clock(seconds: float) -> str:
    """Seconds after midnight as DICOM writes them."""
    whole = round(seconds) % 86_400
    return f"{whole // 3600:02d}{whole // 60 % 60:02d}{whole % 60:02d}"
