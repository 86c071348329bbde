"""Fitting a network: passes, loss, steps, checkpoints, and the bundle that comes out."""
