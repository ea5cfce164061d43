"""Formulas as MathML, which browsers draw themselves: no script to load, no LaTeX to install."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the renderer under the name ``mathml``."""
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def visit_math(translator: Any, node: nodes.math) -> None:
    """Write a formula in a line of text."""
    translator.body.append(_mathml(node, as_block=False))
    raise nodes.SkipNode


def visit_math_block(translator: Any, node: nodes.math_block) -> None:
    """Write a displayed formula."""
    translator.body.append(f'<div class="math">{_mathml(node, as_block=True)}</div>\n')
    raise nodes.SkipNode


def _mathml(node: nodes.Element, as_block: bool) -> str:
    r"""Convert; docutils knows ``\bigl`` but not ``\big``, which has the same size.

    Bars are ordinary symbols in TeX; as operators they would be stretched and spaced.
    """
    tex = re.sub(r"\\(big|Big|bigg|Bigg)(?![a-zA-Z])", r"\\\1l", node.astext())
    try:
        mathml = tex2mathml(tex, as_block=as_block)
    except MathError as error:
        logger.warning("formula not understood: %s", error, location=node, type="mathml")
        return node.astext()
    bar = '<mo(?: stretchy="false")?>([|‖])</mo>'
    return re.sub(bar, r'<mo stretchy="false" lspace="0" rspace="0">\1</mo>', mathml)
