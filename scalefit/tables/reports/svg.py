"""SVG made fit to stand in a page: nothing live in it, and ids that clash with no other's."""

from __future__ import annotations

import re
from xml.etree import ElementTree

_SVG = "http://www.w3.org/2000/svg"
_HREF = "{http://www.w3.org/1999/xlink}href"
_ELEMENTS = frozenset({
    "svg", "g", "defs", "use", "symbol", "title", "desc", "text", "tspan", "path", "rect", "circle",
    "ellipse", "line", "polyline", "polygon", "clipPath", "mask", "marker", "pattern",
    "linearGradient", "radialGradient", "stop",
})  # fmt: skip
_REFERENCE = re.compile(r"url\(\s*['\"]?#([^'\")]+)['\"]?\s*\)")
# A backslash is how CSS spells a word so that a search for it fails.
_LIVE = re.compile(r"(?i)url\(\s*(?!['\"]?#)|expression\s*\(|@import|script:|\\")


def cleaned(svg: str, prefix: str) -> str:
    """One `<svg>` element with allowed parts only, every id renamed to `prefix-1`, `prefix-2`, ...

    Scripts, styles, images, metadata, handlers and links out of the picture are dropped; ids that
    nothing refers to are dropped too, for they only cost bytes.

    Args:
        svg: SVG text; a prolog before the element is cut away.
        prefix: Start of every id.

    Raises:
        ValueError: `svg` is not one well-formed `<svg>` element.
    """
    try:
        root = ElementTree.fromstring(svg[max(svg.find("<svg"), 0) :])
    except ElementTree.ParseError as error:
        raise ValueError(f"not an SVG picture: {error}") from error
    if root.tag not in ("svg", f"{{{_SVG}}}svg"):
        raise ValueError(f"not an SVG picture: the outermost element is {root.tag}")
    _drop_strangers(root)
    _rename_ids(root, prefix)
    root.set("xmlns", _SVG)
    return ElementTree.tostring(root, encoding="unicode").strip()


def _drop_strangers(element: ElementTree.Element) -> None:
    """Keep allowed elements and attributes, and free their names of namespaces."""
    element.tag = _local(element.tag)
    for name, value in list(element.attrib.items()):
        del element.attrib[name]
        name = "href" if name == _HREF else name
        outward = name == "href" and not value.startswith("#")
        if not (name.startswith(("{", "on")) or outward or _LIVE.search(value)):
            element.set(name, value)
    for child in list(element):
        if _local(child.tag) in _ELEMENTS:
            _drop_strangers(child)
        else:
            element.remove(child)


def _local(tag: str) -> str:
    """Name of an element of SVG without its namespace; anything else stays as it is."""
    return tag.removeprefix(f"{{{_SVG}}}")


def _rename_ids(root: ElementTree.Element, prefix: str) -> None:
    """Give the ids that are referred to new names, in order of appearance."""
    wanted = set()
    for element in root.iter():
        for name, value in element.attrib.items():
            wanted.update(_REFERENCE.findall(value))
            if name == "href":
                wanted.add(value[1:])
    names: dict[str, str] = {}
    for element in root.iter():
        old = element.attrib.pop("id", None)
        if old is not None and old in wanted and old not in names:
            names[old] = f"{prefix}-{len(names) + 1}"
            element.set("id", names[old])
    for element in root.iter():
        for name, value in element.attrib.items():
            if name == "href":
                element.set(name, f"#{names.get(value[1:], value[1:])}")
            elif "url(" in value:
                element.set(name, _REFERENCE.sub(lambda m: f"url(#{names.get(m[1], m[1])})", value))
