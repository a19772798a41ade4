"""Modeling: feature matrices, preprocessing, learners, cross-validation and model bundles."""
