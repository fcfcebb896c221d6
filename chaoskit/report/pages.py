"""What our HTML pages share: the templates, the style sheet, and a policy that lets nothing else in."""

from __future__ import annotations

import re
from base64 import b64encode
from functools import cache
from hashlib import sha256
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

__all__ = ["both", "digest", "environment", "source"]

_TEMPLATES = Path(__file__).parent / "templates"
_UNIT = re.compile(r"(\d) (%|ms|s|min|h)(?!\w)")


@cache
def environment() -> Environment:
    """Templates that escape all they are given, and fail where they are not given all they need."""
    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["nb"] = _unbroken
    return made


def _unbroken(text: str) -> str:
    """A number keeps its unit on the same line, and the arrow of a link is one character that cannot be torn apart."""
    return _UNIT.sub("\\1\u00a0\\2", text.replace("->", "→"))


@cache
def source(name: str) -> str:
    """The text of a style sheet or a script."""
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def digest(text: str) -> str:
    """How a content security policy names the one style sheet or script that it lets in."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def both(wide: Markup, narrow: Markup) -> Markup:
    """A picture for wide screens and one for phones; the style sheet shows one of them."""
    return Markup('<div class="wide">{}</div><div class="narrow">{}</div>').format(wide, narrow)
