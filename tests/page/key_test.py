"""The page of a server that asks for tokens, in a browser.

    DUNLIN_BIN=target/release/dunlin PYTHONPATH=tests/page:clients/python/tests \\
        python -m unittest tests/page/key_test.py

Starts its own server; browser.py says what else it needs.
"""

import tempfile
import unittest
from pathlib import Path

from browser import BrowserTest
from playwright.sync_api import expect
from serving import Server

SECRET = "reader-0123456789"
TOKENS = f'[[token]]\nname = "reader"\nsecret = "{SECRET}"\nscopes = ["read"]\n'
LIVE = "() => window.dunlin && dunlin.figures().frames > 1"


class KeyTest(BrowserTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        path = Path(folder.name) / "tokens.toml"
        path.write_text(TOKENS)
        cls.server = Server("--tokens", str(path))
        cls.addClassCleanup(cls.server.kill)

    def open(self, rest="", **options):
        return self.visit(f"{self.server.url}/{rest}", **options)

    def test_a_token_opens_the_map(self):
        page = self.open(viewport={"width": 1440, "height": 900})
        expect(page.locator("#key")).to_be_visible()
        expect(page.locator("#key-title")).to_contain_text("asks for a token")
        expect(page.locator("#key-why")).to_contain_text("Whoever runs it")
        expect(page.locator("#notice")).to_be_hidden()
        expect(page.locator("#key-token")).to_be_focused()
        self.shoot(page, "key-light")
        page.keyboard.type("wrong-0123456789")
        page.keyboard.press("Enter")
        expect(page.locator("#key-why")).to_contain_text("does not know the token")
        page.fill("#key-token", SECRET)
        page.click("#key button")
        page.wait_for_function(LIVE, timeout=20_000)
        expect(page.locator("#key")).to_be_hidden()
        expect(page.locator("#status")).to_contain_text("Live")
        # It is kept for this tab, and nowhere else.
        page.reload()
        page.wait_for_function(LIVE, timeout=20_000)

    def test_a_link_may_carry_the_token(self):
        page = self.open(f"#access_token={SECRET}")
        page.wait_for_function(LIVE, timeout=20_000)
        self.assertNotIn(SECRET, page.url)

    def test_the_question_reads_well_on_a_phone_at_night(self):
        page = self.open(viewport={"width": 390, "height": 844}, color_scheme="dark")
        expect(page.locator("#key")).to_be_visible()
        box = page.locator("#key").bounding_box()
        self.assertTrue(0 <= box["x"] and box["x"] + box["width"] <= 390, box)
        self.shoot(page, "key-dark-phone")


if __name__ == "__main__":
    unittest.main()
