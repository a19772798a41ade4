"""Net benefit: what acting on a model's risks is worth, by threshold."""
