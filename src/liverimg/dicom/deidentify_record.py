"""What de-identification is asked for, and what became of each file."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Wishes:
    """What the user asked for.

    Attributes:
        salt: Secret that the patient's pseudonym and the shift of dates come from.
        uid_salt: Secret that new UIDs come from.
        patient_id: New PatientID; made up when None.
        keep_dates: Shift dates and times instead of removing them.
        accept_burned_in: Pass on pictures that may show writing.
    """

    salt: bytes = field(repr=False)
    uid_salt: bytes = field(repr=False)
    patient_id: str | None = None
    keep_dates: bool = True
    accept_burned_in: bool = False


@dataclass(frozen=True)
class CleanedFile:
    """One file that was written.

    Attributes:
        name: Relative to the output folder; of our own making.
        kind: Name of its SOP class.
        modality: As the file says, or empty.
        pixels: ``none``, ``unchanged`` or ``masked``.
        masked_pixels: Pixels of a frame that were painted black.
        attributes_before: Elements of the top level as read; ``attributes_after``: as written.
    """

    name: str
    kind: str
    modality: str
    pixels: str
    masked_pixels: int
    attributes_before: int
    attributes_after: int


@dataclass(frozen=True)
class Cleaned:
    """What became of a study.

    Attributes:
        files: Written.
        left_out: Refusal code and reason, and how many files it concerns.
        patient_id: The new one.
        offset_s: What was added to dates and times, in seconds; None when they were removed. Secret.
        original_id: Secret, as are ``uids``, old UID to new.
    """

    files: tuple[CleanedFile, ...]
    left_out: tuple[tuple[str, str, int], ...]
    patient_id: str
    offset_s: float | None = field(repr=False)
    original_id: str = field(repr=False)
    uids: dict[str, str] = field(repr=False)
