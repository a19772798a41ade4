"""Temporal validation: models of earlier patients on later ones."""
