"""Quality: whether a site's data as a whole look as a record system's do, by Kahn's categories."""
