"""The craft of drawing labels: opening a MONAI bundle, running it, tidying what it drew."""
