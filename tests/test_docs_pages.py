"""The documentation in a real browser, at the width of a desk and of a phone.

Pages are built quickly, without running the gallery; with `CONVOP_PAGES=docs/_build` those there are looked at.
"""

import json
import os
import queue
import shutil
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

HERE = Path(__file__).parent
WIDTHS = (1280, 390)
SEARCHES = ("antireflective", "convmtx2", "deconvolve")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the pages."""
    if "CONVOP_PAGES" in os.environ:
        return Path(os.environ["CONVOP_PAGES"]).resolve()
    source, built = tmp_path_factory.mktemp("source") / "docs", tmp_path_factory.mktemp("built")
    shutil.copytree(HERE.parent / "docs", source, ignore=shutil.ignore_patterns("_build", "gallery", "generated"))
    for page in HERE.parent.glob("*.md"):  # some are included
        shutil.copy(page, source.parent)
    quickly = ("-D", "plot_gallery=0", "-D", "autosummary_generate=0")
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-b", "html", *quickly, source, built],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return built


class Handler(SimpleHTTPRequestHandler):
    """Serves the pages, hands out the questions, takes the answers, and notes what was not there."""

    asked, told, missing = b"", queue.Queue(), []

    def do_GET(self):
        if self.path == "/asked":
            self.answer(self.asked)
        elif self.path == "/harness.html":
            self.answer((HERE / "harness.html").read_bytes())
        else:
            super().do_GET()

    def do_POST(self):
        self.told.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.answer(b"")

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "application/json" if self.path == "/asked" else "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def send_error(self, code, message=None, explain=None):
        self.missing.append(self.path)
        super().send_error(code, message, explain)

    def log_message(self, format, *args):
        pass


def looked_at(site):
    """Every page but lists of names; of the reference a few, which a quick build does not have."""
    pages = sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html"))
    few = [page for page in pages if page.startswith("generated/")][::15]
    skipped = ("generated/", "genindex", "py-modindex", "search", "_")
    return [page for page in pages if not page.startswith(skipped)] + few


@pytest.fixture(scope="module")
def seen(site, tmp_path_factory):
    """What a browser tells of the pages."""
    pages = looked_at(site)
    Handler.asked = json.dumps({"pages": pages, "widths": WIDTHS, "searches": SEARCHES}).encode()
    profile = tmp_path_factory.mktemp("profile")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = subprocess.Popen(
            [
                BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                "--disable-dev-shm-usage", "--window-size=1400,1100", f"--user-data-dir={profile}",
                f"http://127.0.0.1:{server.server_port}/harness.html",
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            told = Handler.told.get(timeout=60 + 3 * len(pages))
        finally:
            browser.terminate()
            browser.wait()
            server.shutdown()
    assert "error" not in told, told["error"]
    assert [(each["page"], each["width"]) for each in told["pages"]] == [(p, w) for p in pages for w in WIDTHS]
    return told


def wrong(seen, key):
    return {(each["page"], each["width"]): each[key] for each in seen["pages"] if each[key]}


def test_no_page_is_wider_than_the_window(seen):
    assert wrong(seen, "wide") == {}
    assert {place: pixels for place, pixels in wrong(seen, "overflow").items() if pixels > 0} == {}


def test_pictures_load(seen):
    assert wrong(seen, "broken") == {}
    assert sum(each["images"] for each in seen["pages"]) > 40


def test_formulas_are_typeset(seen):
    told = {each["page"]: (each["formulas"], each["rendered"]) for each in seen["pages"]}
    assert {page: counts for page, counts in told.items() if counts[0] != counts[1]} == {}
    assert told["conventions.html"][0] >= 4
    assert wrong(seen, "mistaken") == {}


def test_nothing_is_fetched_from_elsewhere(seen):
    assert wrong(seen, "foreign") == {}
    assert [path for path in Handler.missing if "favicon" not in path] == []


@pytest.mark.parametrize(
    ("words", "page"),
    [("antireflective", "conventions.html"), ("convmtx2", "stackoverflow.html"), ("deconvolve", "deconvolution.html")],
)
def test_search_finds(seen, words, page):
    assert words in SEARCHES
    assert any(page in link for link in seen["searches"][words])
