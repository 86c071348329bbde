"""The craft of archives: asking, fetching, sending (DIMSE and DICOMweb), and receiving into a crash-safe spool."""
