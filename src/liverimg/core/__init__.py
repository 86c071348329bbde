"""What things are: grids, volumes, labels, measurements, findings. Frozen values on numpy alone."""
