"""learn_assets: health-record extracts to leak-safe cohorts, embeddings, risk models and scores."""

__version__ = "0.1.0"
