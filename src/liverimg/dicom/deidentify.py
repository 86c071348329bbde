"""De-identification of one data set by PS3.15 Annex E, with the options that research uses.

Basic Application Level Confidentiality Profile; Clean Pixel Data, Clean Graphics, Clean Structured Content and Clean
Descriptors Options; Retain Longitudinal Temporal Information with Modified Dates when dates are shifted; Retain Safe
Private Option for the two numbers that Philips MR signal needs. Institution and device identity are never retained.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final

from pydicom.datadict import dictionary_has_tag, dictionary_keyword, dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.tag import BaseTag
from pydicom.uid import PYDICOM_ROOT_UID, UID, ExplicitVRLittleEndian

import liverimg
from liverimg.core.errors import DicomRefusedError
from liverimg.dicom.codes import Code
from liverimg.dicom.deidentify_names import DUMMIES, REMOVED, Clock, Pseudonyms, is_standard, values_of
from liverimg.dicom.deidentify_rules import BYTES_VR, TEXT_VR, Action, DeidentifyRules
from liverimg.dicom.tags import PARSER_ERRORS

_IMPLEMENTATION_UID: Final = UID(PYDICOM_ROOT_UID + "20261121.2")
_PROFILE_CODES: Final = {
    "113100": "Basic Application Confidentiality Profile",
    "113101": "Clean Pixel Data Option",
    "113103": "Clean Graphics Option",
    "113104": "Clean Structured Content Option",
    "113105": "Clean Descriptors Option",
    "113107": "Retain Longitudinal Temporal Information Modified Dates Option",
    "113111": "Retain Safe Private Option",
}
# Not patients' but the standard's own, and of the objects' kinds.
_KIND_UIDS: Final = frozenset((
    "SOPClassUID", "MediaStorageSOPClassUID", "ReferencedSOPClassUID", "CodingSchemeUID", "ContextUID",
    "MappingResourceUID", "ReferencedTransferSyntaxUIDInFile", "ContextGroupExtensionCreatorUID",
))  # fmt: skip


_BODY_PARTS: Final = ("BodyPartExamined", "Laterality", "ImageLaterality")


class Deidentifier:
    """Cleans the data sets of one patient.

    Attributes:
        uids: Old UID to new, as far as they occurred.
    """

    def __init__(self, rules: DeidentifyRules, names: Pseudonyms, identity: re.Pattern[str]) -> None:
        self._rules = rules
        self._names = names
        self._identity = identity
        self.uids: dict[str, str] = {}
        self._kept_private = False

    def clean(self, dataset: Dataset, *, masked: bool) -> Dataset:
        """A new data set with what may stay, its file meta information written anew.

        Args:
            dataset: As read; not changed.
            masked: The pixels around the picture were blackened.

        Raises:
            DicomRefusedError: A kind of object that nobody knows.
        """
        sop_class = _uid_of(dataset, "SOPClassUID")
        if not is_standard(sop_class):
            raise DicomRefusedError(Code.UNREADABLE, "an object of a kind that the standard does not know")
        self._kept_private = False
        made = self._clean_items(dataset, depth=0)
        made.SpecificCharacterSet = "ISO_IR 192"
        made.SOPClassUID = sop_class
        made.PatientName = made.PatientID = self._names.patient_id
        if "BodyPartExamined" in dataset and not any(made.get(keyword) for keyword in _BODY_PARTS):
            # Whether a side is wanted can no longer be seen, so the attribute must be there (type 2C, C.7.3.1).
            made.Laterality = None
        self._say_what_was_done(made, masked)
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = UID(sop_class)
        meta.MediaStorageSOPInstanceUID = UID(str(made.get("SOPInstanceUID") or self._uid("")))
        syntax = dataset.file_meta.get("TransferSyntaxUID", ExplicitVRLittleEndian)
        meta.TransferSyntaxUID = syntax if is_standard(str(syntax)) else ExplicitVRLittleEndian
        meta.ImplementationClassUID = _IMPLEMENTATION_UID
        meta.ImplementationVersionName = "LIVERIMG"
        made.file_meta = meta
        return made

    def _say_what_was_done(self, made: Dataset, masked: bool) -> None:
        codes = ["113100", "113103", "113104", "113105"]
        codes += ["113107"] if self._names.offset is not None else []
        codes += ["113101"] if masked else []
        codes += ["113111"] if self._kept_private else []
        made.PatientIdentityRemoved = "YES"
        made.LongitudinalTemporalInformationModified = "REMOVED" if self._names.offset is None else "MODIFIED"
        made.DeidentificationMethod = [f"liverimg {liverimg.__version__}", self._rules.table["profile"][:64]]
        made.DeidentificationMethodCodeSequence = Items([_code(value) for value in sorted(codes)])

    # ---- one level ----

    def _clean_items(self, dataset: Dataset, *, depth: int) -> Dataset:
        made = Dataset()
        clock = Clock(self._rules, self._names.offset)
        for tag in list(dataset.keys()):
            try:
                element = dataset[tag]
            except PARSER_ERRORS:
                continue  # a value that can't be read can't be cleaned
            if element.tag.is_private:
                self._keep_private(dataset, element, made)
                continue
            kept = self._element(element, clock, depth)
            if kept is not None:
                made[kept.tag] = kept
        clock.write(made)
        self._clean_code(made)
        return made

    def _element(self, element: DataElement, clock: Clock, depth: int) -> DataElement | None:
        vr = _vr(element)
        action = self._rules.action(int(element.tag), vr)
        if action is Action.SHIFT:
            clock.add(element, vr)
            return None
        if action is Action.CLEAN_ITEMS:
            items = element.value if isinstance(element.value, Items) else []
            return _made(element, "SQ", Items([self._clean_items(item, depth=depth + 1) for item in items]))
        if action is Action.CLEAN_TEXT:
            return self._cleaned_text(element, vr)
        return self._kept(element, vr) if action is Action.KEEP else self._replaced(element, vr, action)

    def _replaced(self, element: DataElement, vr: str, action: Action) -> DataElement | None:
        if action is Action.EMPTY:
            return _made(element, vr, Items([]) if vr == "SQ" else None)
        if action is Action.DUMMY:
            return _made(element, vr, self._names.uid("") if vr == "UI" else DUMMIES.get(vr, REMOVED))
        return _made(element, vr, self._mapped(element)) if action is Action.MAP_UID else None

    def _kept(self, element: DataElement, vr: str) -> DataElement | None:
        """A harmless value, unless somebody wrote the patient into it."""
        if vr in TEXT_VR or vr in ("CS", "AS"):
            words = " ".join(str(v) for v in values_of(element))
            if self._identity.search(words) or len(words) > 1024:
                # Emptied, not removed: some must be there (Manufacturer is of type 2).
                return _made(element, vr, None)
            if vr == "CS" and not all(_is_code_string(str(v)) for v in values_of(element)):
                return None
        elif not all(isinstance(v, bytes if vr in BYTES_VR else int | float) for v in values_of(element)):
            return None
        return _made(element, vr, element.value)

    def _cleaned_text(self, element: DataElement, vr: str) -> DataElement | None:
        words = [self._rules.clean(str(v), self._identity) for v in values_of(element)]
        keyword = dictionary_keyword(element.tag)
        if not any(words):
            had_text = any(str(v).strip() for v in values_of(element))
            if self._rules.needs_value(keyword) and had_text:
                return _made(element, vr, REMOVED)
            return None
        return _made(element, vr, words if len(words) > 1 else words[0])

    def _mapped(self, element: DataElement) -> Any:
        keyword = dictionary_keyword(element.tag)
        new = []
        for value in values_of(element):
            uid = str(value).strip("\0 ")
            standard = is_standard(uid)
            # Of a kind that nobody knows: not the patient's, but not to be trusted either.
            new.append(uid if standard else self._uid(uid) if keyword not in _KIND_UIDS else "")
        return new if len(new) != 1 else new[0]

    def _uid(self, original: str) -> str:
        return self.uids.setdefault(original, self._names.uid(original))

    def _keep_private(self, dataset: Dataset, element: DataElement, made: Dataset) -> None:
        """Copies a safe private number with the creator that gives it its meaning."""
        for safe in self._rules.safe_private:
            block = element.tag.element >> 8
            if element.tag.group != safe.group or element.tag.element & 0xFF not in safe.elements or block < 0x10:
                continue
            creator_tag = BaseTag(safe.group << 16 | block)
            creator = str(dataset[creator_tag].value) if creator_tag in dataset else ""
            numbers = _numbers(element)
            if creator.strip().casefold() == safe.creator and numbers is not None:
                made.add_new(creator_tag, "LO", creator.strip())
                made.add_new(element.tag, "FL", numbers)
                self._kept_private = True

    def _clean_code(self, made: Dataset) -> None:
        """A code of a scheme that is not public says nothing that is known to be harmless."""
        if not any(keyword in made for keyword in ("CodeMeaning", "CodeValue", "LongCodeValue")):
            return
        if str(made.get("CodingSchemeDesignator", "")) in self._rules.coding_schemes:
            return
        for keyword in ("CodeMeaning", "CodeValue", "LongCodeValue", "CodingSchemeDesignator"):
            if keyword in made:
                setattr(made, keyword, REMOVED)
        if "CodingSchemeVersion" in made:
            del made.CodingSchemeVersion


# ---- small things ----


def _vr(element: DataElement) -> str:
    """The dictionary's VR for standard attributes, so that no file can smuggle text into a number; else the file's."""
    own = str(element.VR)
    if not dictionary_has_tag(element.tag):
        return own
    listed = dictionary_VR(element.tag)
    return own if own in listed.split(" or ") else listed.split(" or ")[0]


def _made(element: DataElement, vr: str, value: Any) -> DataElement | None:
    """A fresh element; None when its value does not fit its kind."""
    try:
        return DataElement(element.tag, vr, value)
    except PARSER_ERRORS:
        return None


def _is_code_string(value: str) -> bool:
    return len(value) <= 16 and re.fullmatch(r"[A-Z0-9 _]*", value) is not None


def _numbers(element: DataElement) -> list[float] | None:
    try:
        if isinstance(element.value, bytes):
            if len(element.value) != 4:
                return None
            import struct

            values = [struct.unpack("<f", element.value)[0]]
        else:
            values = [float(v) for v in values_of(element)]
    except PARSER_ERRORS:
        return None
    return values if values and all(math.isfinite(v) for v in values) else None


def _uid_of(dataset: Dataset, keyword: str) -> str:
    try:
        return str(dataset.get(keyword, "")).strip("\0 ")
    except PARSER_ERRORS:
        return ""


def _code(value: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", _PROFILE_CODES[value]
    return item
