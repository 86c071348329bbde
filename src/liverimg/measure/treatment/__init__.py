"""What a treatment left: zones, how they cover tumours, what is left over, what is new."""
