"""Names for everything that a structured report holds; a FHIR bundle has the same."""

from liverimg.core.coded_names import CodedNames as SrNames

__all__ = ["SrNames"]
