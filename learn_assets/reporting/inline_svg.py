"""Inline SVG: matplotlib's document as one small element that can stand in a page among others.

What belongs here: what is dropped, shortened and renamed. A page holds every figure of every cell,
so a third of the bytes is what makes a study of many cells readable on a phone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

_FONT = "font-family: 'DejaVu Sans'"
_ROOT = "stroke-linejoin:round;stroke-linecap:butt;font-family:'DejaVu Sans',sans-serif"
_REFERENCE = re.compile(r'(?:url\(#|href="#)([^)"]+)')
# Coordinates are points: a hundredth is a hundredth of a pixel on a phone.
_LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}")


def inline_svg(document: str, identifier: str, title: str, alternative: str) -> str:
    """Return matplotlib's SVG document as an element without header, namespaces and metadata.

    Ids that nothing refers to are dropped, the others made from `identifier`, so that figures of
    one page do not share any; coordinates are rounded to a hundredth of a point. title,
    alternative: what the figure is and says, in words.
    """
    svg = document[document.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = svg.replace("xlink:href", "href")
    svg = _renamed(svg, identifier)
    # Only inside tags: a number that is written in a figure keeps its digits.
    svg = re.sub(r"<[^>]*>", lambda tag: _LONG_NUMBER.sub(_short, tag[0]), svg)
    svg = re.sub(r' transform="rotate\(-0 [^"]*"', "", svg)
    svg = re.sub(r' d="([^"]*)"', lambda found: f' d="{_short_path(found[1])}"', svg)
    svg = re.sub(r' style="([^"]*)"', lambda found: _short_style(found[1]), svg)
    svg = re.sub(r">\s+<", "><", svg).replace("<defs></defs>", "")
    svg = re.sub(r"<g\b[^>]*/>", "", svg)
    opening, rest = svg.split(">", 1)
    size = re.search(r'viewBox="[^"]*"', opening)
    box = size[0] if size else ""
    return (
        f'<svg {box} role="img" aria-labelledby="{identifier}-title {identifier}-desc" '
        f'style="{_ROOT}">'
        f'<title id="{identifier}-title">{_escaped(title)}</title>'
        f'<desc id="{identifier}-desc">{_escaped(alternative)}</desc>'
        f"{''.join(_without_bare_groups(rest.strip()))}"
    )


def _renamed(svg: str, identifier: str) -> str:
    """Return the element with ids of its own, short, and only those that are referred to."""
    used = dict.fromkeys(_REFERENCE.findall(svg))
    # Repeated hundreds of times, so it is short; cells of a page have long names.
    prefix = f"f{hashlib.sha256(identifier.encode()).hexdigest()[:8]}"
    names = {name: f"{prefix}-{number}" for number, name in enumerate(used, start=1)}
    svg = re.sub(
        r' id="([^"]+)"',
        lambda found: f' id="{names[found[1]]}"' if found[1] in names else "",
        svg,
    )
    svg = re.sub(r"url\(#([^)]+)\)", lambda found: f"url(#{names[found[1]]})", svg)
    return re.sub(r' href="#([^"]+)"', lambda found: f' href="#{names[found[1]]}"', svg)


def _short(number: re.Match[str]) -> str:
    text = f"{float(number[0]):.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _short_path(path: str) -> str:
    return re.sub(r"\s*([A-Za-z])\s*", r"\1", path).strip()


def _short_style(style: str) -> str:
    parts = [part.strip() for part in style.split(";")]
    kept = [re.sub(r":\s+", ":", part) for part in parts if part and part != _FONT]
    return f' style="{";".join(kept)}"' if kept else ""


def _without_bare_groups(svg: str) -> Iterator[str]:
    """Yield the pieces of an element without groups that say nothing of what is in them."""
    bare: list[bool] = []
    for piece in re.split(r"(<g>|<g [^>]*>|</g>)", svg):
        if piece.startswith("<g"):
            bare.append(piece == "<g>")
            if not bare[-1]:
                yield piece
        elif piece == "</g>":
            if not bare.pop():
                yield piece
        else:
            yield piece


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
