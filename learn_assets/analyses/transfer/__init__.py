"""Transfer: what models of other sites achieve here, and how the sites differ."""
