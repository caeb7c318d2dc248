"""The few SVG elements that the picture is made of; ElementTree escapes every text and attribute."""

from __future__ import annotations

from typing import Final
from xml.etree.ElementTree import Element, SubElement

HEAD: Final = {
    "viewBox": "0 0 8 8",
    "refX": "7",
    "refY": "4",
    "markerWidth": "8",
    "markerHeight": "8",
    "orient": "auto",
    "markerUnits": "userSpaceOnUse",
}


def document(width: float, height: float, title: str, description: str, style: str) -> Element:
    """Return an SVG root that screen readers announce by `title` and `description`."""
    size = {"width": number(width), "height": number(height)}
    root = Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {size['width']} {size['height']}",
            **size,
            "class": "phaseline",
            "role": "img",
            "aria-labelledby": "phaseline-title phaseline-desc",
        },
    )
    SubElement(root, "title", id="phaseline-title").text = title
    SubElement(root, "desc", id="phaseline-desc").text = description
    SubElement(root, "style").text = style
    return root


def group(parent: Element, look: str, title: str) -> Element:
    """Add a group with a title, which browsers show as a tool tip."""
    element = SubElement(parent, "g", {"class": look})
    SubElement(element, "title").text = title
    return element


def arrow_heads(parent: Element, kinds: tuple[str, ...]) -> None:
    """Define one arrow head a kind, since a marker can't take the colour of its line everywhere."""
    definitions = SubElement(parent, "defs")
    for kind in kinds:
        head = SubElement(definitions, "marker", {"id": f"phaseline-{kind}", **HEAD})
        draw(head, "path", f"head {kind}", d="M0 0 L8 4 L0 8 Z")


def arrow(parent: Element, kind: str, path: str, *, dashed: bool = False) -> None:
    """Add a line with a head at its end."""
    look = f"arrow {kind} dashed" if dashed else f"arrow {kind}"
    draw(parent, "path", look, d=path).set("marker-end", f"url(#phaseline-{kind})")


def text(parent: Element, look: str, x: float, y: float, words: str) -> None:
    """Add one line of text; `y` is its base line."""
    draw(parent, "text", look, x=x, y=y).text = words


def draw(parent: Element, shape: str, look: str, **attributes: str | float) -> Element:
    """Add an element whose looks come from the style sheet."""
    values = {key: value if isinstance(value, str) else number(value) for key, value in attributes.items()}
    return SubElement(parent, shape, {"class": look, **values})


def number(value: float) -> str:
    """Return a length with at most one decimal.

    >>> number(12.0), number(12.34)
    ('12', '12.3')
    """
    return f"{value:.1f}".removesuffix(".0")
