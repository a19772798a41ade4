"""The Dagster layer: thin assets, checks, partitions, jobs and schedules; no loop over records."""
