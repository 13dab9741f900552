"""A browser for tests of the page: Playwright for Python and a Chromium (DUNLIN_CHROMIUM names it).

DUNLIN_SHOTS names a folder for screenshots.
"""

import os
import shutil
import unittest
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import sync_playwright

SHOTS = os.environ.get("DUNLIN_SHOTS")
CHROMIUM = os.environ.get("DUNLIN_CHROMIUM") or shutil.which("chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
]


class BrowserTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.playwright = sync_playwright().start()
        cls.addClassCleanup(cls.playwright.stop)
        cls.browser = cls.playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        cls.addClassCleanup(cls.browser.close)

    def visit(self, url, others=(), **options):
        """A page at an address that may talk to nobody but its server and some others."""
        context = self.browser.new_context(**options)
        self.addCleanup(context.close)
        page = context.new_page()
        page.strangers, page.errors = [], []
        known = {urlsplit(address).netloc for address in (url, *others)}

        def gate(route):
            if urlsplit(route.request.url).netloc in known:
                route.continue_()
            else:
                page.strangers.append(route.request.url)
                route.abort()

        page.route("**/*", gate)
        page.on("console", lambda m: m.type == "error" and page.errors.append(m.text))
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.goto(url)
        return page

    def until(self, page, condition, seconds=20):
        page.wait_for_function(f"() => window.dunlin && ({condition})", timeout=seconds * 1000)

    def figures(self, page):
        return page.evaluate("dunlin.figures()")

    def shoot(self, page, name):
        if SHOTS:
            Path(SHOTS).mkdir(parents=True, exist_ok=True)
            page.screenshot(path=str(Path(SHOTS) / f"{name}.png"))

    def clean(self, page):
        self.assertEqual(page.strangers, [], "the page asked somebody else")
        self.assertEqual(page.errors, [], "the console has errors")
