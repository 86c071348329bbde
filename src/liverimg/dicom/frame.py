"""One slice as its header describes it, before any pixel is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from liverimg.dicom.codes import Code

Progress = Callable[[int, int], None]
Triple = tuple[float, float, float]


@dataclass(frozen=True)
class PixelBlock:
    """Where the pixel data of one file lie and how they are stored (PS3.3 C.7.6.3, PS3.5 section 8).

    Attributes:
        path: The file.
        transfer_syntax: UID; decides how the pixels are packed.
        rows: Height of a frame in pixels.
        columns: Width of a frame in pixels.
        frames: Number of frames in the file.
        bits_allocated: Bits per stored value.
        bits_stored: Bits that carry the value.
        high_bit: Most significant of those.
        signed: Two's complement.
        offset: First byte of an uncompressed pixel block, counted in the (inflated) file.
        length: Bytes of an uncompressed pixel block; None when it is compressed.
        available: Bytes that the file really holds from ``offset`` on; for a deflated file at most can hold.
        float_bits: 32 or 64 for floating-point numbers (PS3.3 C.7.6.24, C.7.6.25), 0 for integers.
    """

    path: Path
    transfer_syntax: str
    rows: int
    columns: int
    frames: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    offset: int
    length: int | None
    available: int
    float_bits: int = 0

    @property
    def frame_bytes(self) -> int:
        """Bytes of one uncompressed frame."""
        return self.rows * self.columns * self.bits_allocated // 8


@dataclass(frozen=True)
class Problem:
    """Why a frame, and with it its volume, cannot be used."""

    code: Code
    reason: str


@dataclass(frozen=True)
class PhaseTags:
    """The tags that speak for a contrast phase; free of identity.

    Attributes:
        series_description: Cleaned SeriesDescription.
        protocol_name: Cleaned ProtocolName.
        contrast_agent: Cleaned ContrastBolusAgent; None when the tag is absent, "" when it is empty.
        contrast_start_s: ContrastBolusStartTime in seconds after midnight.
        agent_phase: ContrastBolusAgentPhase, such as ``PORTAL_VENOUS`` (PS3.3 C.7.6.16.2.12); "" when absent.
        agent_amount: Whether a volume or a dose above 0 is on record.
    """

    series_description: str = ""
    protocol_name: str = ""
    contrast_agent: str | None = None
    contrast_start_s: float | None = None
    agent_phase: str = ""
    agent_amount: bool = False


@dataclass(frozen=True)
class SequenceTags:
    """How an MR image was made; free of identity.

    Attributes:
        scanning: ScanningSequence, or EchoPulseSequence of an enhanced object: SE, IR, GR, EP, SPIN, GRADIENT, BOTH.
        variant: SequenceVariant, such as SP (spoiled), SS (steady state).
        options: ScanOptions, such as FS (fat saturation).
        name: SequenceName or PulseSequenceName as the maker calls it, lower case.
        contrast: AcquisitionContrast of an enhanced object, such as T2 or DIFFUSION; "" when absent.
        repetition_ms: RepetitionTime.
        inversion_ms: InversionTime.
        flip_deg: FlipAngle.
        echo_train: EchoTrainLength.
        field_t: MagneticFieldStrength.
    """

    scanning: tuple[str, ...] = ()
    variant: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    name: str = ""
    contrast: str = ""
    repetition_ms: float | None = None
    inversion_ms: float | None = None
    flip_deg: float | None = None
    echo_train: int | None = None
    field_t: float | None = None


@dataclass(frozen=True)
class Frame:
    """One slice: geometry, scaling and everything that tells volumes of one series apart.

    Attributes:
        pixels: Where the stored values are.
        number: Index of the frame in its file.
        position_lps_mm: Centre of the first pixel.
        row_lps: Unit vector along increasing column index.
        column_lps: Unit vector along increasing row index.
        spacing_mm: Distance between rows, between columns.
        slope: Stored value to quantity; with ``intercept`` None when unknown.
        rescale_type: What rescaled values are, such as HU.
        unit: UCUM code of the real world values that the header maps stored values to; "" without such a mapping.
        rescale_assumed: The header gives no rescale; stored values of MR are taken as they are.
        padding: First and last stored value of the padding range, or None.
        time_offset_s: Time of the temporal position from the first one.
        dimensions: DimensionIndexValues of a multi-frame object.
        acquired_s: Acquisition time in seconds since year 1, for ordering and differences only.
        acquired_at: The same as ``YYYYMMDDHHMMSS``.
        problem: What forbids the use of this frame, if anything.
    """

    pixels: PixelBlock
    number: int
    sop_instance_uid: str
    series_instance_uid: str
    modality: str
    image_type: tuple[str, ...] = ()
    frame_of_reference_uid: str | None = None
    position_lps_mm: Triple | None = None
    row_lps: Triple | None = None
    column_lps: Triple | None = None
    spacing_mm: tuple[float, float] | None = None
    thickness_mm: float | None = None
    slope: float | None = None
    intercept: float | None = None
    rescale_type: str = ""
    unit: str = ""
    rescale_assumed: bool = False
    padding: tuple[int, int] | None = None
    acquisition_number: int | None = None
    temporal_position: int | None = None
    time_offset_s: float | None = None
    dimensions: tuple[int, ...] = ()
    acquired_s: float | None = None
    acquired_at: str | None = None
    content_s: float | None = None
    trigger_ms: float | None = None
    instance_number: int | None = None
    echo_ms: float | None = None
    b_value: float | None = None
    kernel: str = ""
    stack_id: str = ""
    lossy: bool = False
    made_up_series_uid: bool = False
    phase_tags: PhaseTags = field(default_factory=PhaseTags)
    sequence: SequenceTags = field(default_factory=SequenceTags)
    series_number: int | None = None
    problem: Problem | None = None
