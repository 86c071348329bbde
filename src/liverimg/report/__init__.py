"""The craft of showing: figures and the one HTML page."""
