"""How good a bundle is, how sure of it, and whether it may replace another."""
