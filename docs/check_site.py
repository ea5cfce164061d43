"""Walk the built site in headless Chromium and report what a reader would stumble over.

    python docs/check_site.py docs/_build/html

Every page that links lead to is opened at desktop and at phone width, in light and in dark, and
once without JavaScript. Reported are broken links, anchors and images, pages that no link leads to,
formulas that are not drawn, errors on the console, requests to other hosts, pages wider than the
screen, headings that hide under the bar when a link jumps to them, and a landing page of more than
1.5 MB. The exit status is 1 if there is any.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.error import HTTPError
from urllib.parse import unquote, urldefrag, urlsplit
from urllib.request import Request, urlopen

from playwright.sync_api import Browser, Page, Response, sync_playwright

LANDING_PAGE = "index.html"
LANDING_PAGE_BYTES = 1_500_000
SEARCH_PAGE = "search.html"  # reached by a form
PATIENCE = 120_000  # milliseconds for a page to load on a machine that does other work as well
WIDTHS = {"desktop": (1280, 900), "phone": (390, 844)}

# What a page shows, seen from inside the browser; images that wait for scrolling are fetched.
INSPECT = r"""
async () => {
  const seen = element => {
    const box = element.getBoundingClientRect();
    return box.width > 0 && box.height > 0;
  };
  const hidden = element => element.closest("details:not([open]), [hidden], dialog");
  const images = [...document.images];
  await Promise.all(images.map(image => {
    image.loading = "eager";
    return image.decode().catch(() => null);
  }));
  const root = document.documentElement;
  // Code, tables and formulas may scroll in a box of their own, the page as a whole may not.
  const scrolls = element => element && !element.querySelector("h1") && (
    /auto|scroll/.test(getComputedStyle(element).overflowX) || scrolls(element.parentElement)
  );
  const wide = [...document.body.querySelectorAll("*")]
    .filter(element => element.checkVisibility({visibilityProperty: true}) && seen(element))
    .filter(element => element.getBoundingClientRect().right > root.clientWidth + 1)
    .filter(element => !scrolls(element))
    .map(element => element.tagName.toLowerCase() + "." + element.className);
  const text = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const tex = [];
  while (text.nextNode()) {
    const inCode = text.currentNode.parentElement.closest("pre, code, script, style, annotation");
    if (!inCode && /\\[a-zA-Z]{2,}|\$\$/.test(text.currentNode.data)) {
      tex.push(text.currentNode.data.trim());
    }
  }
  const under = [];
  const bar = document.querySelector("header.bd-header");
  for (const section of document.querySelectorAll("section section[id]")) {
    section.scrollIntoView({behavior: "instant", block: "start"});
    const heading = section.querySelector("h2, h3, h4");
    if (bar && seen(bar) && heading && seen(heading) &&
        heading.getBoundingClientRect().top < bar.getBoundingClientRect().bottom - 1) {
      under.push(section.id);
    }
  }
  scrollTo({top: 0, behavior: "instant"});
  return {
    under,
    links: [...document.querySelectorAll("a[href]")].map(link => link.href),
    anchors: [...document.querySelectorAll("[id]")].map(element => element.id),
    broken: images.filter(image => !image.naturalWidth).map(image => image.src),
    formulas: [
      ...[...document.querySelectorAll("math")].filter(
        formula => !hidden(formula) && (!seen(formula) || formula.querySelector("merror"))
      ).map(formula => formula.textContent),
      ...[...document.querySelectorAll(".math")].filter(
        place => !place.querySelector("math")
      ).map(place => place.textContent),
      ...tex,
    ],
    overflow: root.scrollWidth > root.clientWidth || wide.length
      ? `${root.clientWidth} px: ${wide.slice(0, 3)}` : null,
    title: document.querySelector("h1") && seen(document.querySelector("h1")),
    theme: root.dataset.theme,
  };
}
"""


@dataclass(frozen=True)
class View:
    """How a page is looked at: a name, a context of the browser, the theme expected, if any."""

    name: str
    context: dict[str, Any]
    theme: str | None


VIEWS = [
    View(
        f"{width} {theme}",
        {"viewport": {"width": size[0], "height": size[1]}, "color_scheme": theme},
        theme,
    )
    for width, size in WIDTHS.items()
    for theme in ("light", "dark")
] + [View("without JavaScript", {"java_script_enabled": False}, None)]


@dataclass
class Walk:
    """What is found on the way: links and anchors by page, and what is wrong."""

    origin: str
    links: dict[str, set[str]] = field(default_factory=dict)
    anchors: dict[str, set[str]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    bytes_of_landing_page: int = 0

    def internal(self, url: str) -> str | None:
        """Return the path of a URL of the site, without its fragment. None for others."""
        if not url.startswith(self.origin):
            return None
        path = unquote(urlsplit(url).path).lstrip("/")
        return path + LANDING_PAGE if path.endswith("/") or not path else path


class Handler(SimpleHTTPRequestHandler):
    """Serve files and say nothing."""

    def log_message(self, *_: Any) -> None:
        """No log."""


class Server(ThreadingHTTPServer):
    """A server that takes it when the browser leaves a page before it is loaded."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Show only errors that are not the browser's hanging up."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on the loopback interface; give its URL."""
    server = Server(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def listen(page: Page, walk: Walk, where: list[str]) -> None:
    """Note what goes wrong while pages load; ``where`` names the page and the view."""

    def fault(text: str) -> None:
        walk.faults.append(f"{where[0]}: {text}")

    def answered(response: Response) -> None:
        if response.status >= 400:
            fault(f"{response.status} for {response.url}")
        elif where[0] == f"{LANDING_PAGE} ({VIEWS[0].name})":
            walk.bytes_of_landing_page += len(response.body())

    def other_host(route: Any) -> None:
        fault(f"asks another host for {route.request.url}")
        route.abort()

    page.on("response", answered)
    page.on("pageerror", lambda error: fault(f"error in a script: {error}"))
    page.on(
        "console",
        lambda message: message.type == "error" and fault(f"error on the console: {message.text}"),
    )
    page.route(lambda url: not url.startswith((walk.origin, "data:", "blob:")), other_host)


def inspect(page: Page, path: str, view: View, walk: Walk, where: list[str]) -> None:
    """Open a page in a view, and note what is wrong with it."""
    where[0] = f"{path} ({view.name})"
    page.goto(walk.origin + path, wait_until="load")
    found = page.evaluate(INSPECT)
    walk.anchors.setdefault(path, set()).update(found["anchors"])
    walk.links.setdefault(path, set()).update(found["links"])
    faults = [f"image not shown: {url}" for url in found["broken"]]
    faults += [f"formula not drawn: {text!r}" for text in found["formulas"]]
    faults += [f"heading under the bar: #{name}" for name in found["under"]]
    if found["overflow"]:
        faults.append(f"wider than the screen, {found['overflow']}")
    if not found["title"]:
        faults.append("no heading to be seen")
    if view.theme is not None and found["theme"] != view.theme:
        faults.append(f"theme {found['theme']}, expected {view.theme}")
    walk.faults += [f"{where[0]}: {text}" for text in faults]


def walk_site(browser: Browser, walk: Walk, view: View, screenshots: Path | None) -> list[str]:
    """Follow the links from the landing page in one view; give the pages opened."""
    context = browser.new_context(**view.context)
    context.set_default_timeout(PATIENCE)
    page, where = context.new_page(), [""]
    listen(page, walk, where)
    waiting, opened = [LANDING_PAGE, SEARCH_PAGE], []
    while waiting:
        path = waiting.pop(0)
        inspect(page, path, view, walk, where)
        opened.append(path)
        if screenshots:
            name = f"{path.removesuffix('.html').replace('/', '-')} {view.name}.png"
            page.screenshot(path=screenshots / name.replace(" ", "_"), full_page=True)
        for url in sorted(walk.links[path]):
            target = walk.internal(url)
            if not target or not target.endswith(".html") or target in {*opened, *waiting}:
                continue
            if _status(walk.origin + target) == 200:
                waiting.append(target)
    context.close()
    return opened


def check_links(walk: Walk) -> None:
    """Note links to files or anchors that do not exist."""
    known: dict[str, int] = {}
    for path, links in walk.links.items():
        for url in sorted(links):
            target = walk.internal(url)
            if target is None:
                continue
            if target not in known:
                known[target] = _status(walk.origin + target)
            # What follows :~: is text to be highlighted, not an anchor.
            fragment = unquote(urldefrag(url).fragment.partition(":~:")[0])
            if known[target] != 200:
                walk.faults.append(f"{path}: broken link to {target}")
            elif fragment and target in walk.anchors and fragment not in walk.anchors[target]:
                walk.faults.append(f"{path}: no anchor #{fragment} in {target}")


def _status(url: str) -> int:
    """HTTP status of a URL."""
    try:
        with urlopen(Request(url, method="HEAD")) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


def check(site: Path, browser_path: str | None, screenshots: Path | None) -> Walk:
    """Walk a built site in all views."""
    with served(site) as origin, sync_playwright() as playwright:
        # Chromium refuses its sandbox to root, as whom containers run.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=browser_path, args=arguments)
        walk, opened = Walk(origin), []
        for view in VIEWS:
            opened = walk_site(browser, walk, view, screenshots)
            print(f"{view.name}: {len(opened)} pages")
        browser.close()
        check_links(walk)
    pages = {path.relative_to(site).as_posix() for path in site.rglob("*.html")}
    lost = {path for path in pages if not path.startswith("_")} - set(opened)
    walk.faults += [f"{path}: no link leads to it" for path in sorted(lost)]
    weight = walk.bytes_of_landing_page
    print(f"{sum(map(len, walk.links.values()))} links; the landing page weighs {weight} bytes")
    if weight > LANDING_PAGE_BYTES:
        walk.faults.append(f"{LANDING_PAGE}: {weight} bytes, allowed are {LANDING_PAGE_BYTES}")
    return walk


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("site", type=Path, help="folder of the built site")
    parser.add_argument(
        "--browser",
        default=shutil.which("chromium"),
        help="Chromium to use; default: the one on the PATH, else that of Playwright",
    )
    parser.add_argument("--screenshots", type=Path, help="folder for pictures of all pages")
    options = parser.parse_args()
    if not (options.site / LANDING_PAGE).is_file():
        parser.error(f"{options.site} holds no {LANDING_PAGE}: build the site first")
    if options.screenshots:
        options.screenshots.mkdir(parents=True, exist_ok=True)
    walk = check(options.site, options.browser, options.screenshots)
    for fault in dict.fromkeys(walk.faults):
        print(fault)
    return 1 if walk.faults else 0


if __name__ == "__main__":
    sys.exit(main())
