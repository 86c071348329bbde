"""Writes the reference pages that come from code and data; ``python -m tools.reference`` writes them all."""
