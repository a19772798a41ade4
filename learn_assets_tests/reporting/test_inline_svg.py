"""Inline SVG: smaller than what matplotlib wrote, and the same picture."""

from __future__ import annotations

import re
from io import StringIO
from xml.etree import ElementTree

import pytest
from matplotlib.figure import Figure

from learn_assets.reporting.inline_svg import inline_svg

NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


@pytest.fixture(scope="module")
def document() -> str:
    from matplotlib import rc_context

    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "x", "font.family": "DejaVu Sans"}):
        figure = Figure(figsize=(4, 3), layout="constrained")
        axes = figure.add_subplot()
        axes.plot([0, 1, 2], [0.123456, 1.0, 0.5], marker="o", label="A & B < C")
        axes.fill_between([0, 1, 2], [0, 0, 0], [1, 2, 1], alpha=0.2)
        axes.text(1, 0.5, "turned", rotation=90)
        axes.text(0, 0.5, "+0.144 [+0.071, +0.200]")
        axes.legend()
        target = StringIO()
        figure.savefig(target, format="svg", metadata={"Date": None})
    return target.getvalue()


@pytest.fixture(scope="module")
def element(document: str) -> ElementTree.Element:
    return ElementTree.fromstring(inline_svg(document, "figure-1", "A & B", "1 < 2"))


def drawn(root: ElementTree.Element, tag: str) -> list[ElementTree.Element]:
    return [part for part in root.iter() if part.tag.rsplit("}", 1)[-1] == tag]


def numbers(paths: list[ElementTree.Element]) -> list[list[float]]:
    return [[float(n) for n in NUMBER.findall(path.get("d") or "")] for path in paths]


def test_paths_and_words_are_those_of_the_document(
    document: str, element: ElementTree.Element
) -> None:
    whole = ElementTree.fromstring(document)
    for before, after in zip(
        numbers(drawn(whole, "path")), numbers(drawn(element, "path")), strict=True
    ):
        assert after == pytest.approx(before, abs=0.006)
    texts = [
        ["".join(text.itertext()) for text in drawn(root, "text")] for root in (whole, element)
    ]
    assert texts[0] == texts[1]
    assert {"turned", "+0.144 [+0.071, +0.200]"} <= set(texts[1])


def test_what_turns_a_text_or_colors_a_line_is_kept(element: ElementTree.Element) -> None:
    (turned,) = [text for text in drawn(element, "text") if text.text == "turned"]
    assert re.search(r"rotate\(-90", turned.get("transform") or "")
    lines = [path.get("style") or "" for path in drawn(element, "path")]
    assert any("fill:none" in style and "stroke:#1f77b4" in style for style in lines)
    assert "font-family" in (element.get("style") or "")


def test_ids_are_few_and_lead_somewhere(document: str) -> None:
    svg = inline_svg(document, "figure-1", "t", "d")
    used = set(re.findall(r"(?:url\(|href=\")#([^)\"]+)", svg))
    made = re.findall(r' id="([^"]+)"', svg)
    assert set(made) == used | {"figure-1-title", "figure-1-desc"}
    other = set(re.findall(r' id="([^"]+)"', inline_svg(document, "figure-2", "t", "d")))
    assert not other & set(made)


def test_a_figure_takes_less_than_two_thirds_of_its_document(document: str) -> None:
    assert len(inline_svg(document, "figure-1", "t", "d")) < 0.65 * len(document)
