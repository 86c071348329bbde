"""The craft of DICOM: headers, stacking slices into volumes, pixels, contrast phases, writing."""
