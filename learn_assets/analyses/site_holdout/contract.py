"""Contract of the leave-one-site-out results."""

from __future__ import annotations

import pandera.polars as pa
import polars as pl

from learn_assets.schemas.declared import SENSITIVITY, Declared
from learn_assets.schemas.estimates import FEATURE_SET, LEARNER, LOWER, UPPER
from learn_assets.schemas.records import Table

_ESTIMATE = "Value; empty when undefined."


class SiteHoldout(Table):
    """Models of all other institutions at each one of a network, and over the sites together."""

    care_site: str = pa.Field(nullable=True, description="Site held out; empty: over all judged.")
    feature_set: str = pa.Field(description=FEATURE_SET)
    learner: str = pa.Field(description=LEARNER)
    metric: str = pa.Field(
        description="As in `performance`, at the site; `auroc_cross_validation`: the same patients "
        "by the ordinary cross-validation; `sites...`, `too_small_n` and `without_care_site_n`: "
        "who is judged and who is not."
    )
    estimate: pl.Float64 = pa.Field(nullable=True, description=_ESTIMATE)
    lower: pl.Float64 = pa.Field(
        nullable=True, description=f"{LOWER} Over all sites: Hartung and Knapp."
    )
    upper: pl.Float64 = pa.Field(nullable=True, description=UPPER)
    prediction_lower: pl.Float64 = pa.Field(
        nullable=True, description="Lower end of where 95 % of further sites lie; three sites on."
    )
    prediction_upper: pl.Float64 = pa.Field(nullable=True, description="Upper end of it.")
    between_sites: pl.Float64 = pa.Field(
        nullable=True, ge=0, description="SD between sites; of AUROC on the logit scale."
    )


TABLES = {
    "site_holdout": Declared(SENSITIVITY, SiteHoldout, in_report=True),
}
