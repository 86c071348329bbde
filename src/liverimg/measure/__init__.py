"""The craft of measuring labels: sizes, depths, distances, each with its band."""
