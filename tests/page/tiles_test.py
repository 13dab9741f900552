"""The map on tiles, in a browser, with a tile server of its own.

    DUNLIN_BIN=target/release/dunlin PYTHONPATH=tests/page:clients/python/tests \\
        python -m unittest tests/page/tiles_test.py

Starts its own servers; browser.py says what else it needs.
"""

import base64
import contextlib
import json
import math
import re
import struct
import threading
import time
import unittest
import urllib.request
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from browser import BrowserTest
from playwright.sync_api import expect
from serving import Server

PLACE = (13.4, 52.5)
# About what a tile's colour is under the chart.
GROUND = (155, 190, 160)
# The share of the pixels of a picture that have a colour, all parts within 40.
SHARE = """async ([text, colour]) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const image = await createImageBitmap(new Blob([bytes]));
  const context = new OffscreenCanvas(image.width, image.height).getContext("2d");
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, image.width, image.height);
  let near = 0;
  for (let i = 0; i < data.length; i += 4) {
    near += colour.every((value, part) => Math.abs(data[i + part] - value) < 40);
  }
  return near / (data.length / 4);
}"""


def picture(colour, side=256):
    """A PNG of one colour with a darker edge above and on the left."""
    edge = bytes(part // 2 for part in colour)
    rows = [edge * side] + [edge + bytes(colour) * (side - 1)] * (side - 1)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))

    def chunk(kind, content):
        return (
            struct.pack(">I", len(content))
            + kind
            + content
            + struct.pack(">I", zlib.crc32(kind + content))
        )

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


class Tiles(ThreadingHTTPServer):
    """Serves one picture for every tile, and remembers who was asked for and from where."""

    daemon_threads = True

    def __init__(self, status=200):
        super().__init__(("127.0.0.1", 0), Handler)
        self.status, self.asked, self.referrers = status, [], set()
        self.content = picture((150, 200, 160)) if status == 200 else b"no such tile"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def zooms(self):
        return {zoom for zoom, _, _ in self.asked}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        tiles = self.server
        numbers = re.fullmatch(r"/t/(\d+)/(\d+)/(\d+)\.png", self.path)
        tiles.asked.append(tuple(int(part) for part in numbers.groups()) if numbers else self.path)
        tiles.referrers.add(self.headers.get("referer"))
        self.send_response(tiles.status)
        self.send_header("content-type", "image/png" if tiles.status == 200 else "text/plain")
        self.send_header("content-length", str(len(tiles.content)))
        self.end_headers()
        self.wfile.write(tiles.content)

    def log_message(self, *_):
        pass

    def handle(self):
        # A browser may give a tile up that it asked for.
        with contextlib.suppress(ConnectionError):
            super().handle()


def tile_at(zoom, longitude, latitude):
    """The tile that a place is in, by the formulas that tile servers share."""
    side = 2**zoom
    north = math.asinh(math.tan(math.radians(latitude)))
    return zoom, int((longitude + 180) / 360 * side), int((1 - north / math.pi) / 2 * side)


class TilesTest(BrowserTest):
    def serve(self, tiles, *arguments):
        self.addCleanup(tiles.server_close)
        self.addCleanup(tiles.shutdown)
        server = Server("--tiles", f"{tiles.url}/t/{{z}}/{{x}}/{{y}}.png", *arguments)
        self.addCleanup(server.kill)
        rows = [{"object": f"o{i}", "at": [PLACE[0] + i / 100, PLACE[1]]} for i in range(20)]
        body = "\n".join(json.dumps(row) for row in rows).encode()
        urllib.request.urlopen(f"{server.url}/v1/positions", body, timeout=10).read()
        return server

    def open(self, server, tiles, **options):
        viewport = {"width": 1200, "height": 800}
        page = self.visit(server.url + "/", [tiles.url], viewport=viewport, **options)
        self.until(page, "dunlin.figures().frames > 3 && dunlin.figures().objects > 0")
        return page

    def wait(self, page, condition):
        """Waits as the page does: what it asks for goes through the test."""
        end = time.monotonic() + 10
        while not condition():
            self.assertLess(time.monotonic(), end, "waited ten seconds in vain")
            page.wait_for_timeout(50)

    def share(self, page, colour):
        clip = {"x": 40, "y": 40, "width": 760, "height": 700}
        shot = base64.b64encode(page.screenshot(clip=clip)).decode()
        blank = page.context.new_page()
        found = blank.evaluate(SHARE, [shot, colour])
        blank.close()
        page.bring_to_front()
        return found

    def test_the_map_lies_on_the_tiles_of_a_named_server(self):
        tiles = Tiles()
        server = self.serve(tiles, "--tiles-credit", "© The makers of these tiles")
        page = self.open(server, tiles)
        self.wait(page, lambda: tile_at(max(tiles.zooms(), default=0), *PLACE) in tiles.asked)
        self.until(page, "dunlin.figures().tiles > 5")
        expect(page.locator("#credit")).to_have_text("© The makers of these tiles")
        self.wait(page, lambda: self.share(page, GROUND) > 0.8)
        self.shoot(page, "tiles-light")
        before = set(tiles.asked)
        page.locator("#surface").focus()
        for _ in range(8):
            page.keyboard.press("ArrowRight")
        self.wait(page, lambda: set(tiles.asked) - before)
        zoom = max(tiles.zooms())
        page.click("#zoom-in")
        page.click("#zoom-in")
        self.wait(page, lambda: max(tiles.zooms()) > zoom)
        self.assertTrue(all(isinstance(tile, tuple) for tile in tiles.asked), tiles.asked)
        self.assertTrue(all(0 <= x < 2**z and 0 <= y < 2**z for z, x, y in tiles.asked))
        self.assertEqual(tiles.referrers, {server.url + "/"}, "tile servers ask who it is")
        kept = page.locator("#tiles img").count()
        self.assertLess(kept, 120, "tiles out of sight stay in the page")
        self.clean(page)

    def test_nearer_than_the_tiles_go_they_are_magnified(self):
        tiles = Tiles()
        page = self.open(self.serve(tiles, "--tiles-zoom", "3"), tiles)
        self.wait(page, lambda: tile_at(3, *PLACE) in tiles.asked)
        self.until(page, "dunlin.figures().scale > 10000")
        page.wait_for_timeout(1000)
        self.wait(page, lambda: self.share(page, GROUND) > 0.8)
        self.assertEqual(max(tiles.zooms()), 3)
        self.clean(page)

    def test_the_world_begins_anew_at_the_antimeridian(self):
        tiles = Tiles()
        page = self.open(self.serve(tiles), tiles)
        for _ in range(30):
            page.click("#zoom-out")
        self.until(page, "dunlin.figures().scale < 1300")
        page.locator("#surface").focus()
        for _ in range(12):
            page.keyboard.press("ArrowRight")
        # Until the view has glided there: before, it shows no antimeridian.
        page.wait_for_timeout(1500)
        self.wait(page, lambda: self.share(page, GROUND) > 0.8)
        self.assertTrue(all(0 <= x < 2**z and 0 <= y < 2**z for z, x, y in tiles.asked))

    def test_without_tiles_the_map_goes_on_and_says_so(self):
        tiles = Tiles(status=500)
        page = self.open(self.serve(tiles), tiles, color_scheme="dark")
        expect(page.locator("#credit")).to_contain_text(f"No tiles come from 127.0.0.1:{tiles.server_port}")
        frames = self.figures(page)["frames"]
        self.until(page, f"dunlin.figures().frames > {frames + 2}")
        expect(page.locator("#tiles img")).to_have_count(0)
        page.wait_for_timeout(1500)
        self.assertEqual(len(tiles.asked), len(set(tiles.asked)), "asked for again and again")

    def test_they_are_dimmed_at_night(self):
        tiles = Tiles()
        page = self.open(self.serve(tiles), tiles, color_scheme="dark")
        self.until(page, "dunlin.figures().tiles > 5")
        page.wait_for_timeout(1000)
        self.shoot(page, "tiles-dark")
        self.assertLess(self.share(page, GROUND), 0.01)

    def test_another_server_cannot_be_asked(self):
        tiles, stranger = Tiles(), Tiles()
        self.addCleanup(stranger.server_close)
        self.addCleanup(stranger.shutdown)
        page = self.open(self.serve(tiles), tiles)
        page.unroute("**/*")
        tried = page.evaluate(
            """(url) => new Promise((done) => {
              const image = new Image();
              image.onload = () => done("loaded");
              image.onerror = () => done("refused");
              image.src = url;
            })""",
            stranger.url + "/t/0/0/0.png",
        )
        self.assertEqual((tried, stranger.asked), ("refused", []))


if __name__ == "__main__":
    unittest.main()
