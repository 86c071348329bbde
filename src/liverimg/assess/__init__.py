"""The craft of judging measurements against published criteria, which live in data."""
