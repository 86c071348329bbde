"""De-identification of a study folder: a salt, a folder that appears whole or not at all, a manifest."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import liverimg
from liverimg.core.errors import UsageError
from liverimg.dicom.deidentify_record import Cleaned, Wishes
from liverimg.dicom.deidentify_rules import DeidentifyRules
from liverimg.dicom.deidentify_study import deidentify_folder
from liverimg.files import records
from liverimg.files.records import Record
from liverimg.files.tables import read_table

MANIFEST = "manifest.json"
_SALT_BYTES = 32
_FEWEST_SALT_BYTES = 16
_SCHEMA_VERSION = "0.1"


@dataclass(frozen=True)
class Request:
    """What ``liverimg deidentify`` was asked for.

    Attributes:
        study: Folder with the DICOM files of one patient.
        out: New or empty folder.
        keep_dates: ``shifted`` or ``removed``.
        keep_uids: ``mapped``: the same original gives the same UID in every run with this salt; ``replaced``: new
            ones in every run.
        salt_file: Secret that pseudonyms come from; made when absent. None: a secret that is forgotten.
        patient_id: New PatientID.
        mapping: Where to write old names beside new ones; None: nowhere.
        accept_burned_in: Pass on pictures that may show writing.
    """

    study: Path
    out: Path
    keep_dates: str = "shifted"
    keep_uids: str = "mapped"
    salt_file: Path | None = None
    patient_id: str | None = None
    mapping: Path | None = None
    accept_burned_in: bool = False


def deidentify(request: Request, *, progress: Callable[[float], None] | None = None) -> Record:
    """De-identifies a study; the output folder appears when everything in it is whole.

    Returns:
        The manifest as it was written.

    Raises:
        UsageError: An option, or an output folder that is not empty.
        InputRefusedError: Nothing that may be passed on.
    """
    _check(request)
    rules = DeidentifyRules(read_table("deidentify"))
    salt = _salt(request.salt_file)
    place = request.out.with_name(f".{request.out.name}.part")
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    try:
        cleaned = deidentify_folder(
            request.study,
            place,
            wishes=Wishes(
                salt=salt,
                uid_salt=salt if request.keep_uids == "mapped" else secrets.token_bytes(_SALT_BYTES),
                patient_id=request.patient_id,
                keep_dates=request.keep_dates == "shifted",
                accept_burned_in=request.accept_burned_in,
            ),
            rules=rules,
            progress=None if progress is None else lambda done, total: progress(done / total),
        )
        manifest = _manifest(cleaned, request, rules)
        records.check(manifest, "deidentification", MANIFEST)
        _write(place / MANIFEST, records.dump(manifest), mode=0o644)
        if request.mapping is not None:
            _write(request.mapping, records.dump(_mapping(cleaned)), mode=0o600)
        if request.out.is_dir():
            request.out.rmdir()  # empty, as was checked
        place.rename(request.out)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return manifest


def _check(request: Request) -> None:
    for option, value, allowed in (
        ("--keep-dates", request.keep_dates, ("shifted", "removed")),
        ("--keep-uids", request.keep_uids, ("mapped", "replaced")),
    ):
        if value not in allowed:
            raise UsageError(f"{option} {value!r}: expected {' or '.join(allowed)}")
    given = request.patient_id
    if given is not None and (not 1 <= len(given.strip()) <= 64 or "\\" in given or not given.isprintable()):
        raise UsageError("--patient-id: expected 1 to 64 printable characters without a backslash")
    if request.out.exists() and (not request.out.is_dir() or any(request.out.iterdir())):
        raise UsageError(f"{request.out} is not an empty folder; give --out a new or an empty one")
    for option, path in (("--salt-file", request.salt_file), ("--mapping", request.mapping)):
        if path is None:
            continue
        for folder in (request.out, request.study):
            if path.resolve().is_relative_to(folder.resolve()):
                raise UsageError(f"{option} {path} lies inside {folder}; it is secret: keep it somewhere else")
    if request.mapping is not None and request.mapping.exists():
        raise UsageError(f"--mapping {request.mapping} exists; give a new file")


def _salt(path: Path | None) -> bytes:
    """The secret of the file; a new one, readable by its owner only, when there is no file."""
    if path is None:
        return secrets.token_bytes(_SALT_BYTES)
    if not path.exists():
        _write(path, secrets.token_hex(_SALT_BYTES) + "\n", mode=0o600)
    if not path.is_file():
        raise UsageError(f"--salt-file {path} is no file; give a file with at least {_FEWEST_SALT_BYTES} bytes")
    salt = path.read_bytes().strip()
    if len(salt) < _FEWEST_SALT_BYTES:
        raise UsageError(f"--salt-file {path} holds {len(salt)} bytes; a secret has at least {_FEWEST_SALT_BYTES}")
    return salt


def _manifest(cleaned: Cleaned, request: Request, rules: DeidentifyRules) -> Record:
    return {
        "record": "deidentification",
        "schema_version": _SCHEMA_VERSION,
        "software": f"liverimg {liverimg.__version__}",
        "profile": rules.table["profile"],
        "options": {
            "dates": request.keep_dates,
            "uids": request.keep_uids,
            "accept_burned_in": request.accept_burned_in,
            "same_pseudonyms_in_later_runs": request.salt_file is not None,
        },
        "files": [
            {
                "file": entry.name,
                "kind": entry.kind,
                "modality": entry.modality,
                "pixels": entry.pixels,
                "masked_pixels": entry.masked_pixels,
                "attributes_before": entry.attributes_before,
                "attributes_after": entry.attributes_after,
            }
            for entry in cleaned.files
        ],
        "left_out": [{"code": code, "reason": reason, "files": count} for code, reason, count in cleaned.left_out],
    }


def _mapping(cleaned: Cleaned) -> Record:
    return {
        "record": "deidentification_mapping",
        "patient_id": {cleaned.original_id: cleaned.patient_id},
        "dates_moved_by_s": cleaned.offset_s,
        "uids": cleaned.uids,
    }


def _write(path: Path, text: str, *, mode: int) -> None:
    """A new file with these rights from its first byte on."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except OSError as error:
        raise UsageError(f"{path} can't be written ({error.strerror}); give another place") from error
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
