"""Take the README's pictures of the page: python docs/screenshots.py URL CHROMIUM, while `multistyle page` runs."""

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

FOLDER = Path(__file__).parent / "assets"
READY = r"""() => !document.querySelector('#after').hidden && document.querySelector('#viewer').ariaBusy === 'false'
    && /^\d+ . \d+$/.test(document.querySelector('#status').textContent)"""


def main(url: str, chromium: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for name, width, height, scheme in (("desktop", 1440, 900, "light"), ("phone", 390, 844, "dark")):
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            page.goto(f"{url}?mix=starry=0.5,scream=0.3,wave=0.2")
            page.wait_for_function(READY, timeout=60_000)
            page.wait_for_timeout(1000)
            page.screenshot(path=FOLDER / f"page-{name}.jpg", quality=85, type="jpeg")
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
