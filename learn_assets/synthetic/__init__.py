"""Synthetic site: a TriNetX-layout extract of any size, made from a seed, with planted truth."""

from learn_assets.synthetic.site import SiteSummary, write_site

__all__ = ["SiteSummary", "write_site"]
