"""Contrast-enhanced ultrasound: what bubbles say about blood in one plane."""
