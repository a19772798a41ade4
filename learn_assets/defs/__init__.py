"""The Dagster layer: thin assets, checks, partitions, jobs and schedules; no loop over records."""

import warnings

import dagster as dg

# The core is pinned exactly, so what is still in beta there cannot change under us.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)
