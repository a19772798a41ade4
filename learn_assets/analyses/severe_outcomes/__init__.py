"""Severe outcomes: what the score says of outcomes beyond the study's own."""
