"""Pictures of the console for the README, docs/images/*.png: `make screenshots`.

Input: a running console, the value of a session's cookie, a message's id, and the id/part of one in quarantine.
"""

import base64
from pathlib import Path

from services.console.web.who import COOKIE
from tests.integration.console.test_web_browser_login import chromium

_FOLDER = Path(__file__).parents[2] / "docs" / "images"
_LOOKS = {"light": ("light", 1200, 1000, 1), "dark": ("dark", 1200, 1000, 1), "phone": ("light", 390, 844, 2)}


def take(url: str, cookie: str, message: str, held: str, folder: Path = _FOLDER) -> list[Path]:
    """Write the pictures, and return them."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = {"overview": "/", "trace": f"/messages/{message}", "quarantine": f"/quarantine/{held}"}
    made = []
    with chromium() as browser:
        browser.get(f"{url}/login")
        browser.add_cookie({"name": COOKIE, "value": cookie, "path": "/", "secure": True})
        # On the picture of a page they say nothing, and on a phone there are none.
        browser.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
        for look, (scheme, width, height, scale) in _LOOKS.items():
            size = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": look == "phone"}
            browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            wanted = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", wanted)
            for name, path in pages.items():
                browser.get(url + path)
                shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "png", "optimizeForSpeed": False})
                file = folder / f"{name}-{look}.png"
                file.write_bytes(base64.b64decode(shot["data"]))
                made.append(file)
    return made
