"""Labelled images of others: their layouts, names, splits and patches."""
