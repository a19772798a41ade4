"""Commands: what `learn-assets` can be asked to do, as text for people or JSON for programs."""
