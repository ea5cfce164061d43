"""docs/check_site.py finds planted faults; it needs a browser and is skipped without one."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from tests.test_examples import ROOT

pytest.importorskip("playwright", reason="the check needs the extra browser")
if shutil.which("chromium") is None:
    pytest.skip("the check needs chromium on the PATH", allow_module_level=True)

pytestmark = pytest.mark.slow

PAGE = """<!DOCTYPE html>
<html lang="en"><head><title>Page</title><link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width, initial-scale=1">
<script>
const dark = matchMedia("(prefers-color-scheme: dark)").matches;
document.documentElement.dataset.theme = dark ? "dark" : "light";
</script></head>
<body><h1 id="top">Page</h1><a href="search.html#top">search</a>{}</body></html>
"""
FORMULA = "<math><mi>x</mi></math>"
FAULTS = {
    '<a href="absent.html">x</a>': "index.html: broken link to absent.html",
    '<a href="search.html#absent">x</a>': "index.html: no anchor #absent in search.html",
    '<img src="absent.png" alt="">': "image not shown",
    "<script>console.error('oh')</script>": "error on the console: oh",
    "<script>absent()</script>": "error in a script",
    '<div style="width: 700px">x</div>': "index.html (phone light): wider than the screen",
    '<div style="overflow: hidden"><p class="cut" style="width: 700px">x</p></div>': "p.cut",
    '<div style="overflow:auto"><h1>x</h1><p class="side" style="width:70em">x</p></div>': "p.side",
    '<div class="math">x^2</div>': "formula not drawn: 'x^2'",
    "<p>\\frac{1}{2}</p>": "formula not drawn",
    '<header class="bd-header" style="position: sticky; top: 0">bar</header>'
    '<section><section id="far"><h2 style="margin: 0">x</h2><p style="height: 9000px">x</p>'
    "</section></section>": "heading under the bar: #far",
    '<img src="http://192.0.2.1/x.png" alt="">': "asks another host for http://192.0.2.1/x.png",
    f"<!--{'x' * 1_500_000}-->": "bytes, allowed are 1500000",
}


def check(folder, body):
    """Status and output of the check of a site whose landing page has this body."""
    (folder / "index.html").write_text(PAGE.format(body), "utf-8")
    (folder / "search.html").write_text(PAGE.format(""), "utf-8")
    done = subprocess.run(
        [sys.executable, ROOT / "docs/check_site.py", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr
    return done.returncode, done.stdout


def test_a_site_without_faults_passes(tmp_path):
    scrolled = '<div style="overflow: auto"><p style="width: 2000px">x</p></div>'
    highlight = '<a href="search.html#:~:text=Page">text</a>'
    status, printed = check(tmp_path, FORMULA + scrolled + highlight)
    assert status == 0, printed
    assert "desktop light: 2 pages" in printed


def test_every_planted_fault_is_reported(tmp_path):
    (tmp_path / "orphan.html").write_text(PAGE.format(""), "utf-8")
    status, printed = check(tmp_path, "\n".join(FAULTS))
    assert status == 1
    assert not [fault for fault in FAULTS.values() if fault not in printed], printed
    assert "orphan.html: no link leads to it" in printed
    assert "index.html (desktop light): wider than the screen" not in printed
