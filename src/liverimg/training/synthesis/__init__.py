"""From maps to images and labels: matter, looks, scanners."""
