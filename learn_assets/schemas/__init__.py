"""Pandera contracts of every table, raw to score: the one source of columns, types and meaning."""
