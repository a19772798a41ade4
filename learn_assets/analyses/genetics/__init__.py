"""Genetics: what a genetic score adds to the clinical one."""
