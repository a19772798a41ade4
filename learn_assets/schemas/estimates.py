"""Words that the contracts of estimates share."""

from __future__ import annotations

FEATURE_SET = "Feature set."
LEARNER = "Learner."
LOWER = "Lower end of the 95 % interval."
UPPER = "Upper end of the 95 % interval."
