"""Recipes, and the runner that takes a study through the stages."""
