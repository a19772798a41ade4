"""Repeats: how much results depend on who falls into which fold."""
