"""The page of `fast-dllm serve` for every reader: names, contrast, keyboard, themes, widths."""
import itertools
import unittest

from page_mock import ANSWER, MockServer
from page_support import PageCase, expect

QUESTION = "Sam has 18 rocks and Olga has 8 more rocks than Sam. How many do they have together?"
WIDTHS = (320, 360, 412, 600, 820, 1024, 1119, 1121, 1360, 1920)


class AccessTest(PageCase):
    def setUp(self):
        super().setUp()
        server = MockServer()
        self.addCleanup(server.stop)
        self.url = server.url

    def each_state(self, page):
        """Leads the page through its views with something in each, and yields after each."""
        yield "welcome"
        self.ask(page, QUESTION)
        slider = page.get_by_role("slider").first
        self.seek(page, slider, 3)
        yield "an answer replayed at step 3"
        if page.get_by_role("button", name="Settings").is_visible():
            for name in ("Conversations", "Settings"):
                page.get_by_role("button", name=name).click()
                yield f"the sheet {name}"
                page.keyboard.press("Escape")
        page.get_by_role("button", name="API key").click()
        yield "the key's sheet"
        page.keyboard.press("Escape")
        page.get_by_role("link", name="Race").click()
        page.get_by_role("button", name="Start").click()
        yield "an error"
        self.field(page, "Prompt").fill(QUESTION)
        page.get_by_role("button", name="Start").click()
        expect(page.locator(".verdict")).to_contain_text("faster")
        for details in page.locator("#race details.own > summary").all():
            details.click()
        yield "a race with its settings"
        page.get_by_role("link", name="Infill").click()
        self.field(page, "Text").fill(f"The [[4]] sat on the [[8]]. {'long' * 60}")
        page.get_by_role("button", name="Fill the holes").click()
        expect(page.locator("mark")).to_have_count(2)
        page.locator("#infill-settings > summary").click()
        yield "a filled text with its settings"

    def test_names_structure_and_contrast(self):
        for scheme, width in itertools.product(("light", "dark"), (360, 1280)):
            page = self.open(color_scheme=scheme, viewport={"width": width, "height": 800})
            for state in self.each_state(page):
                with self.subTest(scheme=scheme, width=width, state=state):
                    self.assert_accessible(page)

    def test_nothing_scrolls_sideways(self):
        for width in WIDTHS:
            page = self.open(viewport={"width": width, "height": 800})
            for state in self.each_state(page):
                with self.subTest(width=width, state=state):
                    self.assert_no_sideways_scroll(page)

    def test_of_a_chat_only_the_conversation_scrolls(self):
        for width, height in ((360, 640), (1280, 600)):
            page = self.open(viewport={"width": width, "height": height})
            self.ask(page, QUESTION)
            with self.subTest(width=width):
                self.assertLessEqual(
                    page.evaluate("document.documentElement.scrollHeight"), height)

    def test_text_twice_as_large(self):
        page = self.open(viewport={"width": 640, "height": 900})
        page.evaluate("document.documentElement.style.fontSize = '32px'")
        for state in self.each_state(page):
            with self.subTest(state=state):
                self.assert_no_sideways_scroll(page)

    def test_everything_works_with_the_keyboard(self):
        page = self.open()
        expect(page.locator("#model")).to_have_text("mock-nano")
        page.keyboard.press("Tab")
        skip = page.get_by_role("link", name="Skip to the content")
        expect(skip).to_be_focused()
        self.assertGreaterEqual(skip.bounding_box()["y"], 0)
        order = []
        for _ in range(40):
            page.keyboard.press("Tab")
            name, outline = page.evaluate("""() => {
              const node = document.activeElement;
              const { outlineStyle, outlineWidth } = getComputedStyle(node);
              return [node.labels?.[0]?.textContent ?? node.getAttribute("aria-label") ??
                      node.textContent.trim(), `${outlineStyle} ${outlineWidth}`];
            }""")
            if page.evaluate("document.activeElement === document.body"):
                break
            order.append(name)
            self.assertEqual(outline, "solid 2px", name)
        self.assertEqual(order[:7], ["Chat", "Race", "Infill", "API key", "Theme", "New chat",
                                     "Conversation"])
        self.assertEqual(order[7:10], page.locator("#examples-list button").all_inner_texts())
        self.assertEqual(order[10:12], ["Message", "Send"])
        self.assertEqual(order[-1], "Reset to the defaults")
        page.get_by_role("link", name="Infill").focus()
        page.keyboard.press("Enter")
        self.field(page, "Text").focus()
        page.keyboard.type("A [[2]] b")
        for _ in range(3):
            page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="Fill the holes")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("mark")).to_have_text(" word word")

    def test_the_skip_link_leads_past_the_header(self):
        page = self.open()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        expect(page.locator("#new-chat")).to_be_focused()

    def test_only_answers_are_announced(self):
        page = self.open()
        self.ask(page, QUESTION)
        live = page.locator("[aria-live]").filter(visible=True)
        expect(live).to_have_count(1)
        expect(live).to_have_text(ANSWER, use_inner_text=True)
        shown = page.locator("[role=status], [role=alert], [role=log]").filter(visible=True)
        self.assertEqual([node.inner_text() for node in shown.all() if node.inner_text()], [])

    def test_themes(self):
        def background(page):
            return page.evaluate("getComputedStyle(document.body).backgroundColor")

        light, dark = "rgb(251, 252, 252)", "rgb(16, 20, 20)"
        page = self.open(color_scheme="dark")
        self.assertEqual(background(page), dark)
        page.emulate_media(color_scheme="light")
        self.assertEqual(background(page), light)
        self.field(page, "Theme").select_option("Dark theme")
        self.assertEqual(background(page), dark)
        page.reload()
        self.assertEqual(background(page), dark)
        expect(self.field(page, "Theme")).to_have_value("dark")
        self.field(page, "Theme").select_option("Auto theme")
        self.assertEqual(background(page), light)

    def test_reduced_motion(self):
        moves = """[...document.querySelectorAll("*")].some((node) =>
            getComputedStyle(node).transitionDuration !== "0s" ||
            getComputedStyle(node).animationName !== "none")"""
        page = self.open(reduced_motion="reduce")
        self.assertFalse(page.evaluate(moves))
        page.emulate_media(reduced_motion="no-preference")
        self.assertTrue(page.evaluate(moves))

    def test_forced_colours_keep_the_kinds_of_cells_apart(self):
        page = self.open(forced_colors="active")
        self.ask(page, QUESTION)
        self.seek(page, page.get_by_role("slider"), 3)
        borders = {kind: page.locator(f".canvas .cell.{kind}").first.evaluate(
            "(cell) => { const style = getComputedStyle(cell);"
            " return style.borderTopWidth + style.borderTopStyle; }")
            for kind in ("masked", "provisional", "fresh")}
        self.assertEqual(len(set(borders.values())), 3, borders)


if __name__ == "__main__":
    unittest.main()
