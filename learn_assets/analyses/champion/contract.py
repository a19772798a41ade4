"""What is declared of the champion: no table, but a history of decisions."""

from __future__ import annotations

from learn_assets.schemas.declared import RISK_MODELS, Declared

TABLES = {"champion": Declared(RISK_MODELS, in_report=True)}
