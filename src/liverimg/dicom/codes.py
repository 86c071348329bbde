"""Names of everything that is refused and of everything that is tolerated with a mark.

What each one means and what to do about it stands in ``data/refusal_codes.toml``; a test keeps the two equal.
"""

from enum import StrEnum


class Code(StrEnum):
    """Why something was not used."""

    NOT_DICOM = "not_dicom"
    UNREADABLE = "unreadable"
    NO_IMAGE = "no_image"
    MODALITY_NOT_SUPPORTED = "modality_not_supported"
    SECONDARY_CAPTURE = "secondary_capture"
    LOCALISER = "localiser"
    PROJECTION = "projection"
    COLOUR = "colour"
    PIXEL_FORMAT = "pixel_format"
    TOO_LARGE = "too_large"
    MULTIFRAME_WITHOUT_GEOMETRY = "multiframe_without_geometry"
    POSITION_MISSING = "position_missing"
    ORIENTATION_INVALID = "orientation_invalid"
    PIXEL_SPACING_MISSING = "pixel_spacing_missing"
    PIXEL_SPACING_INVALID = "pixel_spacing_invalid"
    RESCALE_MISSING = "rescale_missing"
    RESCALE_INVALID = "rescale_invalid"
    NOT_HOUNSFIELD = "not_hounsfield"
    TOO_FEW_SLICES = "too_few_slices"
    MISSING_SLICES = "missing_slices"
    DUPLICATE_POSITIONS = "duplicate_positions"
    UNEVEN_SLICES = "uneven_slices"
    PIXEL_DATA_TRUNCATED = "pixel_data_truncated"
    PIXEL_DATA_ZERO_TAIL = "pixel_data_zero_tail"
    DECODING_FAILED = "decoding_failed"
    SEVERAL_PATIENTS = "several_patients"


class Flag(StrEnum):
    """An oddity that was tolerated or corrected; the volume is right all the same."""

    DUPLICATES_DROPPED = "duplicates_dropped"
    SPLIT_BY_TAG = "split_by_tag"
    SPLIT_BY_ORDER = "split_by_order"
    JOINED_SERIES = "joined_series"
    DERIVED_FROM_TILT = "derived_from_tilt"
    DERIVED_FROM_UNEVEN_SLICES = "derived_from_uneven_slices"
    DERIVED_IMAGE = "derived_image"
    SUBTRACTION = "subtraction"
    NOT_MAGNITUDE = "not_magnitude"
    FAT_OR_PHASE_SHIFTED = "fat_or_phase_shifted"
    LOSSY_COMPRESSION = "lossy_compression"
    NO_FRAME_OF_REFERENCE = "no_frame_of_reference"
    SERIES_UID_MADE_UP = "series_uid_made_up"
    THICKNESS_DIFFERS = "thickness_differs"
    RESCALE_TYPE_UNSPECIFIED = "rescale_type_unspecified"
    PADDING_IGNORED = "padding_ignored"
    PHASE_CONFLICT = "phase_conflict"
    PHASE_AMBIGUOUS = "phase_ambiguous"
    PHASE_BY_USER = "phase_by_user"
