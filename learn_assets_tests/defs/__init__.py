"""Tests of the Dagster layer, most of them on one small study that is materialized once."""
