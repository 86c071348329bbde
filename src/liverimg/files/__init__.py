"""Files other than DICOM: NIfTI (the one LPS to RAS flip), JSON records and their schemas, TOML tables."""
