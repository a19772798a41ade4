"""Vocabulary: what codes mean, from packaged files and the study's code lists."""
