"""Pandera contracts of every table, raw to score: the one source of columns, types and meaning."""

from learn_assets.schemas.registry import TABLES, empty_frame, schema_of

__all__ = ["TABLES", "empty_frame", "schema_of"]
