"""Fixtures of a real Chromium, driven by Playwright; a plugin of the browser tests."""

import shutil

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
TIMEOUT = 120_000  # milliseconds
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="session")
def chromium():
    """The browser, started once; a test opens pages in contexts of its own."""
    if CHROMIUM is None:
        pytest.skip("no chromium on PATH: NOTHING in the browser is tested")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield browser
        browser.close()


class Visitor:
    """One visitor with a browser of their own: no cookies or caches of the others.

    Attributes:
        page: Playwright's page.
        requests: addresses of all requests so far, of workers too.
        errors: messages of errors in the page's scripts and console.
    """

    def __init__(self, browser, width=1280, **options):
        viewport = {"width": width, "height": 900}
        self.context = browser.new_context(viewport=viewport, **options)
        # Other tests may keep the processor busy meanwhile.
        self.context.set_default_timeout(TIMEOUT)
        self.requests, self.errors = [], []
        self.context.on("request", lambda request: self.requests.append(request.url))
        self.page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def elsewhere(self, origin):
        """Addresses of requests that left an origin."""
        inside = (f"{origin}/", "blob:", "data:")
        return [url for url in self.requests if not url.startswith(inside)]


@pytest.fixture
def visit(chromium):
    """Function that gives a new `Visitor`."""
    visitors = []

    def start(**options):
        visitors.append(Visitor(chromium, **options))
        return visitors[-1]

    yield start
    for visitor in visitors:
        visitor.context.close()
