"""Everything that is shown of a study folder, as rows of words."""

from __future__ import annotations

from dataclasses import dataclass

from liverimg.core.inspection import Pictures


@dataclass(frozen=True)
class VolumeRow:
    """One CT or MR volume, every word of it.

    Attributes:
        number: Its place in the list.
        series: The scanner's number of its series.
        what: Phase, kind, or both.
        is_known: Whether anything names it.
        confidence: One word.
        steps: The same as 0 (unknown) to 3 (sure).
        use: What becomes of it.
        is_reference: Whether labels and measurements refer to it.
        evidence: What the phase or the kind rests on; first the sentences that agree.
        against: Sentences of the evidence that names another phase.
        flags: Codes of what was tolerated or corrected.
    """

    number: int
    series: str
    uid: str
    modality: str
    description: str
    what: str
    is_known: bool
    confidence: str
    steps: int
    time: str
    matrix: str
    pixel: str
    gap: str
    thickness: str
    use: str
    is_reference: bool
    evidence: tuple[str, ...]
    against: tuple[str, ...]
    flags: tuple[str, ...]
    pictures: Pictures


@dataclass(frozen=True)
class ClipRow:
    """One ultrasound clip."""

    number: int
    series: str
    uid: str
    description: str
    frames: str
    times: str
    pixels: str
    scale: str
    scale_detail: str
    is_calibrated: bool
    use: str
    flags: tuple[str, ...]
    pictures: Pictures


@dataclass(frozen=True)
class RefusedRow:
    """Something that is not used, why, and what to do."""

    series: str
    what: str
    uid: str
    reason: str
    code: str
    action: str


@dataclass(frozen=True)
class Remark:
    """A sentence about some volumes, and the code it belongs to; without a code it is about the whole study."""

    text: str
    code: str = ""


@dataclass(frozen=True)
class InspectionRows:
    """Everything that is shown.

    Attributes:
        title: Date of the study.
        usable: How much can be used.
        left: How much is not used.
        warnings: What a person should look at.
        notes: What was corrected or tolerated and needs nobody.
        basis: Whether pixels were read.
        reference: Which volume labels and measurements refer to.
    """

    date: str
    usable: str
    left: str
    basis: str
    reference: str
    volumes: tuple[VolumeRow, ...]
    clips: tuple[ClipRow, ...]
    refused: tuple[RefusedRow, ...]
    warnings: tuple[Remark, ...]
    notes: tuple[Remark, ...]

    @property
    def is_usable(self) -> bool:
        """Whether the study holds anything that can be used."""
        return bool(self.volumes or self.clips)
