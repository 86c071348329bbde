"""liverimg: pre- and post-ablation assessment of liver tumours, from DICOM to measurements and a report.

Importing the package loads nothing but this line's version: torch, MONAI and the DICOM libraries are
imported by the rooms that need them, when they need them.
"""

__version__ = "0.1.0"
