"""A page in Debian's Chromium, driven by a published client (Playwright): obeys one JSON object a line, answers with one.

    browser.py

{"do": "open", "url": …, "width": 1280}  in a fresh profile
{"do": "shows", "in": CSS, "text": …}    waits until the text there holds it
{"do": "text", "in": CSS}                the text there
{"do": "fill", "in": CSS, "text": …}     types it
{"do": "click", "in": CSS}
{"do": "reload"}
{"do": "width", "width": 360}
{"do": "run", "script": …}               what a script in the page gives
{"do": "heard"}                          what went wrong, and whom the page has asked, since the last time

An answer is {"is": …}, or {"error": …}.
"""

import json
import os
import sys
from urllib.parse import urlsplit

from playwright.sync_api import Error, sync_playwright

# Longer than anything takes here, in milliseconds.
PATIENCE = 30_000

# A policy that is violated is told as an event of the document, whoever listens.
WATCH = """document.addEventListener("securitypolicyviolation",
    (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));"""


class Browser:
    def __init__(self, chromium):
        # Who is root has no sandbox to fall back to.
        flags = ["--no-sandbox"] if os.geteuid() == 0 else []
        self.browser = chromium.launch(executable_path="/usr/bin/chromium", args=flags)
        self.page = None
        self.troubles, self.hosts = [], set()

    def open(self, url, width=1280):
        self.page = self.browser.new_context(viewport={"width": width, "height": 800}).new_page()
        self.page.set_default_timeout(PATIENCE)
        self.page.add_init_script(WATCH)
        self.page.on("console", lambda said: said.type in ("error", "warning") and self.troubles.append(said.text))
        self.page.on("pageerror", lambda error: self.troubles.append(f"error: {error}"))
        self.page.on("dialog", lambda dialog: (self.troubles.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        self.page.on("request", lambda request: self.asked(request.url))
        self.page.on("websocket", lambda socket: self.asked(socket.url))
        self.page.goto(url)

    def asked(self, url):
        if urlsplit(url).scheme != "data":
            self.hosts.add(urlsplit(url).netloc)

    def obey(self, order):
        verb, place, page = order["do"], order.get("in"), self.page
        if verb == "open":
            self.open(order["url"], order.get("width", 1280))
        elif verb == "shows":
            try:
                page.locator(place).filter(has_text=order["text"]).first.wait_for()
            except Error:
                raise Error(f"{place} does not show {order['text']!r} but {page.locator(place).all_inner_texts()}")
        elif verb == "text":
            return page.locator(place).first.inner_text()
        elif verb == "fill":
            page.fill(place, order["text"])
        elif verb == "click":
            page.click(place)
        elif verb == "reload":
            page.reload()
        elif verb == "width":
            page.set_viewport_size({"width": order["width"], "height": 740})
        elif verb == "run":
            return page.evaluate(order["script"])
        elif verb == "heard":
            heard = {"troubles": self.troubles, "hosts": sorted(self.hosts)}
            self.troubles, self.hosts = [], set()
            return heard
        else:
            raise Error(f"there is no {verb}")
        return True


def main():
    with sync_playwright() as playwright:
        browser = Browser(playwright.chromium)
        for line in sys.stdin:
            try:
                answer = {"is": browser.obey(json.loads(line))}
            except Error as error:
                answer = {"error": str(error)}
            print(json.dumps(answer), flush=True)
        browser.browser.close()


main()
