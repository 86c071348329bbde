"""Everything that can go wrong in a way the user can mend, and the exit code each one leaves by.

A message is one sentence that says what was found, what was expected and what to do. It never carries a
patient's name, a patient ID or a path taken from inside a DICOM file.
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the shell sees."""

    DONE = 0
    USAGE = 2
    INPUT_REFUSED = 3
    NEEDS_A_PERSON = 4
    INTERNAL = 5


class LiverimgError(Exception):
    """Base of every error the pipeline raises on purpose."""

    exit_code = ExitCode.INTERNAL


class UsageError(LiverimgError):
    """The command or a settings file asks for something that does not exist."""

    exit_code = ExitCode.USAGE


class InputRefusedError(LiverimgError):
    """The input cannot be used, and no setting would change that."""

    exit_code = ExitCode.INPUT_REFUSED


class NeedsPersonError(LiverimgError):
    """A decision that only a person can take: which series, which correction."""

    exit_code = ExitCode.NEEDS_A_PERSON


class GridMismatchError(InputRefusedError):
    """Two arrays that should lie on the same voxel grid do not."""


class DicomRefusedError(InputRefusedError):
    """A DICOM file or series cannot be turned into a volume that is certain to be right.

    Attributes:
        code: Refusal code, documented in ``docs/reference/refusal-codes.md``.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class MemoryShortError(InputRefusedError):
    """The work asks for more memory than this machine has free now."""


class ModelRefusedError(InputRefusedError):
    """A model bundle is damaged, unsafe or keeps another contract than ours."""


class RecordInvalidError(InputRefusedError):
    """A JSON or TOML record does not keep its schema."""


class PeerError(LiverimgError):
    """An archive or another DICOM node can't be reached, does not want us, or did not do what was asked."""

    exit_code = ExitCode.NEEDS_A_PERSON


class WorkspaceError(LiverimgError):
    """The output folder cannot be written, or holds another study."""

    exit_code = ExitCode.USAGE


class WorkspaceBusyError(WorkspaceError):
    """Another run is at work in the output folder; when it has ended, the same command goes through."""
