"""Drugs: real generic ingredients with invented identifiers, and how a site codes them.

What belongs here: the ingredient list and the invented products made of it. RXCUIs start at
9000001, far above any real one, and labeler codes of NDCs at 90000, so neither can be mistaken for
RxNorm or FDA content.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from learn_assets.synthetic.concepts import CONCEPTS

_FIRST_RXCUI = 9_000_001
_FIRST_LABELER = 90_000

_ORAL = ("5 MG Oral Tablet", "10 MG Oral Tablet", "25 MG Oral Capsule", "100 MG Oral Tablet")
_TOPICAL = ("0.1 % Topical Cream", "0.05 % Topical Ointment", "0.1 % Topical Lotion")
_EYE = ("0.05 % Ophthalmic Solution", "0.5 % Ophthalmic Suspension")
_INJECTION = ("10 MG/ML Injectable Solution", "40 MG/ML Injectable Suspension")
_INHALED = ("0.09 MG/ACTUAT Metered Dose Inhaler", "0.25 MG/ML Inhalation Solution")

_FORMS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ("triamcinolone", "clobetasol", "hydrocortisone", "desonide", "fluocinonide", "tacrolimus",
         "betamethasone", "mometasone", "minoxidil", "clotrimazole", "mupirocin", "tretinoin",
         "nystatin", "lidocaine"), _TOPICAL),
    **dict.fromkeys(
        ("cyclosporine", "carboxymethylcellulose", "lifitegrast", "timolol", "latanoprost",
         "brimonidine", "dorzolamide", "ofloxacin"), _EYE),
    **dict.fromkeys(
        ("filgrastim", "romiplostim", "enoxaparin", "heparin", "insulin_glargine", "oxytocin",
         "tetanus_toxoid", "influenza_vaccine", "pneumococcal_vaccine", "ketorolac"), _INJECTION),
    **dict.fromkeys(
        ("albuterol", "montelukast", "budesonide", "tiotropium", "salmeterol", "fluticasone"),
        _INHALED),
}  # fmt: skip

# Given after the outcome, so they belong to no concept of the past.
LUPUS_INGREDIENTS: tuple[str, ...] = ("hydroxychloroquine", "prednisone", "mycophenolate")


@dataclass(frozen=True)
class Product:
    """One clinical drug with its invented RXCUI, NDCs and, for some, a retired RXCUI."""

    ingredient: str
    form: str
    rxcui: int
    ingredient_rxcui: int
    component_rxcui: int
    brand_rxcui: int | None
    retired_rxcui: int | None
    ndcs: tuple[str, ...]

    @property
    def name(self) -> str:
        """RxNorm-style name of the clinical drug."""
        return f"{self.ingredient.replace('_', ' ')} {self.form}"

    @property
    def brand_name(self) -> str:
        """RxNorm-style name of the branded drug; the brand is invented."""
        return f"{self.name} [Samplebrand {self.rxcui % 1000}]"


def ingredients() -> tuple[str, ...]:
    """Return every ingredient some concept or the outcome uses, sorted."""
    named = {name for concept in CONCEPTS for name in concept.ingredients.split()}
    return tuple(sorted(named | set(LUPUS_INGREDIENTS)))


@cache
def products() -> tuple[Product, ...]:
    """Return every invented product; the same on every machine."""
    names = ingredients()
    result: list[Product] = []
    for number, ingredient in enumerate(names):
        for form in _FORMS.get(ingredient, _ORAL):
            result.append(_product(len(result), ingredient, form, _FIRST_RXCUI + number))
    return tuple(result)


def _product(position: int, ingredient: str, form: str, ingredient_rxcui: int) -> Product:
    base = _FIRST_RXCUI + 1_000 + 4 * position
    return Product(
        ingredient=ingredient,
        form=form,
        rxcui=base,
        ingredient_rxcui=ingredient_rxcui,
        component_rxcui=base + 1,
        brand_rxcui=base + 2 if position % 3 == 0 else None,
        retired_rxcui=base + 3 if position % 5 == 0 else None,
        ndcs=tuple(_ndc(position, package) for package in range(4)),
    )


def _ndc(position: int, package: int) -> str:
    """Return an 11-digit NDC; the first package has a labeler code with a leading zero."""
    labeler = (_FIRST_LABELER if package else 9_000) + position % 900
    return f"{labeler:05d}{position:04d}{package + 1:02d}"


def written_ndc(ndc: str, style: int) -> str:
    """Return an 11-digit NDC as charts write it: plain, dashed, or 10 digits where that is exact.

    A 10-digit form drops the zero that the 11-digit form pads with, so it exists only where the
    labeler, product or package segment starts with one.
    """
    labeler, product, package = ndc[:5], ndc[5:9], ndc[9:]
    if style == 1:
        return f"{labeler}-{product}-{package}"
    if style == 2 and labeler.startswith("0"):
        return f"{labeler[1:]}-{product}-{package}"
    if style == 2 and product.startswith("0"):
        return f"{labeler}-{product[1:]}-{package}"
    if style == 3 and package.startswith("0"):
        return f"{labeler}-{product}-{package[1:]}"
    if style == 4 and labeler.startswith("0"):
        return f"{labeler[1:]}{product}{package}"
    return ndc
