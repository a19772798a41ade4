"""Embedding: texts of any length become one vector each, exactly, resumably and only once."""
