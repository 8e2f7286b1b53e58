"""A real Chromium for the page's tests, and what every one of them checks of the page."""
import atexit
import json
import shutil
import sys
import time
import unittest
import urllib.parse

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
if CHROMIUM is None:
    print("skipped: there is no Chromium")
    sys.exit(77)
try:
    from playwright.sync_api import expect, sync_playwright
except ImportError as error:
    print(f"skipped: {error} (tools/requirements.txt names the package)")
    sys.exit(77)

_playwright = sync_playwright().start()
_browser = _playwright.chromium.launch(executable_path=CHROMIUM)
atexit.register(_playwright.stop)
atexit.register(_browser.close)
# Long enough for a machine that is busy with other tests.
PATIENCE = 60
expect.set_options(timeout=1000 * PATIENCE)

# Names, references and headings of everything that is shown; returns a list of what is wrong.
STRUCTURE = r"""() => {
  const wrong = [];
  const shown = (node) => node.checkVisibility({ checkVisibilityCSS: true });
  const tell = (node, what) => wrong.push(`${what}: ${node.outerHTML.slice(0, 120)}`);
  const textOf = (ids) => (ids ?? "").split(/\s+/).filter(Boolean)
    .map((id) => document.getElementById(id)?.textContent ?? "").join(" ").trim();
  const nameOf = (node) => node.getAttribute("aria-label") ||
    textOf(node.getAttribute("aria-labelledby")) ||
    [...(node.labels ?? [])].map((label) => label.textContent).join(" ").trim() ||
    (node.matches("button, a, summary") ? node.textContent.trim() : "");
  for (const node of document.querySelectorAll(
    "button, a, input, select, textarea, summary, progress, figure, [role=img], [role=region]")) {
    if (shown(node) && nameOf(node) === "") tell(node, "has no name");
  }
  for (const node of document.querySelectorAll("button, select, input, summary, nav a")) {
    if (!shown(node) || node.matches("[type=range]")) continue;
    const box = node.getBoundingClientRect();
    if (box.width < 24 || box.height < 18) tell(node, `is ${box.width} x ${box.height}`);
  }
  const ids = new Set();
  for (const node of document.querySelectorAll("[id]")) {
    if (ids.has(node.id)) tell(node, "has an id twice");
    ids.add(node.id);
  }
  for (const attribute of ["aria-labelledby", "aria-describedby", "for", "popovertarget"]) {
    for (const node of document.querySelectorAll(`[${attribute}]`)) {
      for (const id of node.getAttribute(attribute).split(/\s+/)) {
        if (!ids.has(id)) tell(node, `${attribute} names nothing`);
      }
    }
  }
  let level = 0;
  for (const heading of [...document.querySelectorAll("h1, h2, h3, h4")].filter(shown)) {
    const next = Number(heading.tagName[1]);
    if (next > level + 1) tell(heading, `follows a heading of level ${level}`);
    level = next;
  }
  for (const [selector, count] of [["h1", 1], ["main", 1], ["html[lang]", 1], ["header", 1]]) {
    const found = document.querySelectorAll(selector).length;
    if (found !== count) wrong.push(`${found} of ${selector}`);
  }
  const list = (tag) => [...document.querySelectorAll(tag)].filter((node) =>
    [...node.children].some((child) => child.tagName !== "LI"));
  for (const node of [...list("ul"), ...list("ol")]) tell(node, "has other children than li");
  return wrong;
}"""

# Every text that is shown against what is behind it; returns [ratio, needed, text] of those below.
CONTRAST = r"""() => {
  const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = color;
    context.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3]));
  const behind = (node) => {
    if (node === null) return rgba(getComputedStyle(document.body).backgroundColor);
    return [...over(rgba(getComputedStyle(node).backgroundColor),
                    behind(node.matches("[popover]") ? null : node.parentElement)), 1];
  };
  const luminance = (color) => {
    const [r, g, b] = color.map((value) => value / 255)
      .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const low = [];
  let checked = 0;
  const check = (node, color, text) => {
    const back = behind(node);
    const [a, b] = [luminance(over(rgba(color), back)), luminance(back)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    checked += 1;
    if (ratio < 4.5) low.push(`${ratio.toFixed(2)}: ${text.slice(0, 60)}`);
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    const node = text.parentElement;
    if (!text.data.trim() || !node.checkVisibility({ checkVisibilityCSS: true })) continue;
    if (node.closest(":disabled")) continue;
    check(node, getComputedStyle(node).color, text.data.trim());
  }
  for (const node of document.querySelectorAll("input, textarea")) {
    if (!node.checkVisibility() || !node.placeholder) continue;
    check(node, getComputedStyle(node, "::placeholder").color, node.placeholder);
  }
  return { low, checked };
}"""


class PageCase(unittest.TestCase):
    """Opens pages, and fails where one logs an error or asks another host for anything."""

    url = None

    def setUp(self):
        self.problems = []

    def open(self, url=None, hash="", **context):
        url = url or self.url
        made = _browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **context})
        self.addCleanup(made.close)
        made.set_default_timeout(1000 * PATIENCE)
        page = made.new_page()
        host = urllib.parse.urlsplit(url).netloc

        def seen(request):
            parts = urllib.parse.urlsplit(request.url)
            if parts.netloc != host and parts.scheme not in ("blob", "data"):
                self.problems.append(f"asked for {request.url}")

        def logged(message):
            # Answers with an error status are logged by the browser itself.
            if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
                self.problems.append(message.text)

        page.on("request", seen)
        page.on("console", logged)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.goto(f"{url}/{hash}")
        return page

    def tearDown(self):
        self.assertEqual(self.problems, [])

    def ask(self, page, text, wait=True):
        self.field(page, "Message").fill(text)
        page.keyboard.press("Enter")
        if wait:
            expect(page.get_by_role("button", name="Stop")).to_have_count(0)
            expect(page.get_by_role("button", name="Send")).to_be_visible()

    def until(self, page, code):
        """Waits until `code` is true in the page (Playwright's own wait needs eval there)."""
        end = time.monotonic() + PATIENCE
        while not page.evaluate(code):
            self.assertLess(time.monotonic(), end, code)
            page.wait_for_timeout(20)

    def field(self, scope, label):
        """The control of that label in the view that is open."""
        return scope.get_by_label(label, exact=True).filter(visible=True)

    def seek(self, page, slider, step):
        slider.evaluate("(slider, step) => { slider.value = step;"
                        " slider.dispatchEvent(new Event('input')); }", step)

    def cells(self, scope, kind):
        return scope.locator(f".canvas .cell.{kind}").count()

    def assert_accessible(self, page):
        self.assertEqual(page.evaluate(STRUCTURE), [])
        contrast = page.evaluate(CONTRAST)
        self.assertEqual(contrast["low"], [])
        self.assertGreater(contrast["checked"], 10)

    def assert_no_sideways_scroll(self, page):
        wide = page.evaluate("""() => [document.documentElement,
            ...document.querySelectorAll(".scroll, .panel, main, section")]
            .filter((node) => node.checkVisibility() && node.scrollWidth > node.clientWidth)
            .map((node) => `${node.tagName} ${node.className} ${node.scrollWidth}`)""")
        self.assertEqual(wide, [])

    def modules(self, page, code, *values):
        """Runs `code`, the body of an async function of `values`, which may import the page's."""
        return page.evaluate(f"async (values) => {{ {code} }}", json.loads(json.dumps(values)))
