"""The page that `fast-dllm serve` shows, on the shipped models."""
import re
import unittest
import urllib.error
import urllib.request

from page_mock import security_policy
from page_support import PageCase, expect
from serve_support import Server
from support import DREAM, LLADA, QUESTION, ROOT

MINI, DREAM_MINI = ROOT / "models" / "llada-mini", ROOT / "models" / "dream-mini"


def start(test, model, *arguments):
    """Serves `model` on a free port until `test` ends; returns the address."""
    server = Server(*arguments, model=model)
    test.addCleanup(lambda: test.assertEqual(server.stop(), 0))
    return server.url


class ServedPage(PageCase):
    def send(self, page, **settings):
        """Asks the question with these settings, by the labels of the form; returns the answer."""
        for label, value in settings.items():
            control = self.field(page, label.replace("_", " ").capitalize())
            if control.evaluate("(control) => control.tagName") == "SELECT":
                control.select_option(value)
            else:
                control.fill(value)
        self.ask(page, QUESTION)
        return page.locator(".turn.answer").last

    def test_the_files_and_their_headers(self):
        url = start(self, LLADA)
        for path in ("/", "/page/main.js", "/page/page.css", "/page/icon.svg"):
            with urllib.request.urlopen(url + path, timeout=20) as response:
                self.assertEqual(response.headers["Content-Security-Policy"], security_policy())
                self.assertEqual(response.headers["X-Content-Type-Options"], "nosniff")
                self.assertGreater(len(response.read()), 100)
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(url + "/page/none.js", timeout=20)
        self.assertEqual(caught.exception.code, 404)
        caught.exception.close()

    def test_chat(self):
        page = self.open(start(self, LLADA))
        expect(page.locator("#model")).to_have_text("llada-nano")
        turn = self.send(page)
        expect(turn.locator(".text")).to_contain_text("Together they have")
        self.assertGreater(self.cells(turn, "committed") + self.cells(turn, "fresh"), 20)
        forwards, tokens = [int(text) for text in turn.locator("dd").all_inner_texts()[:2]]
        self.assertLess(forwards, tokens)
        slider = turn.get_by_role("slider")
        self.assertEqual(int(slider.get_attribute("max")), forwards)
        self.seek(page, slider, 0)
        self.assertEqual(self.cells(turn, "masked"), 128)
        self.seek(page, slider, 2)
        self.assertGreater(self.cells(turn, "provisional"), 0)
        page.locator("#new-chat").click()
        again = self.send(page, Unmasking_rule="Factor", Factor="1", Cache="Prefix")
        expect(again.locator(".text")).not_to_be_empty()

    def test_the_examples_are_answered_right(self):
        mini = ("16", "25", "902", "560")
        for model, answers in ((MINI, mini), (DREAM_MINI, mini), (LLADA, ("23", "15")), (DREAM, ())):
            page = self.open(start(self, model))
            expect(page.locator("#model")).to_have_text(model.name)
            examples = page.locator("#examples-list button")
            expect(examples).to_have_count(len(answers))
            for i, answer in enumerate(answers):
                examples.nth(i).click()
                expect(page.locator(".turn.answer .text")).to_contain_text(f"#### {answer}")
                expect(page.get_by_role("button", name="Send")).to_be_visible()
                expect(page.locator(".turn.answer .text")).to_have_text(
                    re.compile(rf"#### {answer}$"))
                page.locator("#new-chat").click()

    def test_every_setting_is_one_that_the_server_knows(self):
        page = self.open(start(self, LLADA))
        page.get_by_text("More options").first.click()
        self.send(page, Gen_length="64", Block_length="16", Cache="None", Temperature="0.5",
                  Seed="7", Stop="zebra", Cfg_scale="0.5", Remasking="Random", Eos_stop="Off",
                  Correct="On")
        expect(page.locator(".turn.answer .canvas .cell")).to_have_count(64)
        self.assertEqual(self.cells(page, "masked"), 0)
        page.get_by_role("button", name="Reset to the defaults").click()
        self.send(page, Unmasking_rule="Quota", Steps="32")
        self.send(page, Unmasking_rule="Tokens per forward", Tokens_per_forward="2.5")
        expect(page.locator(".turn.answer")).to_have_count(3)

    def test_dream(self):
        page = self.open(start(self, DREAM))
        expect(page.locator("#model")).to_have_text("dream-nano")
        expect(self.field(page, "Unmasking rule").locator("option")).to_have_text(
            ["The model's default", "Confidence threshold", "Origin", "Maskgit plus",
             "Topk margin", "Entropy", "Tokens per forward", "Frechet", "Entropy bound", "Margin",
             "Local leap"])
        page.get_by_text("More options").first.click()
        turn = self.send(page, Unmasking_rule="Entropy", Steps="64", Temperature="0.2",
                         Top_p="0.9", Top_k="40", Alg_temp="0.1")
        expect(turn.locator(".text")).not_to_be_empty()

    def test_errors_of_settings(self):
        page = self.open(start(self, LLADA))
        for label, value in (("Gen length", "0"), ("Block length", "0"), ("Seed", "x"),
                             ("Temperature", "1000")):
            control = self.field(page, label)
            control.fill(value)
            self.ask(page, QUESTION)
            expect(control).to_have_attribute("aria-invalid", "true")
            expect(control).to_be_focused()
            expect(page.get_by_role("alert")).not_to_be_empty()
            control.fill("")
        self.send(page)
        expect(page.get_by_role("alert")).to_have_count(0)

    def test_race(self):
        for model in (LLADA, DREAM):
            page = self.open(start(self, model), hash="#race")
            self.field(page, "Prompt").fill(QUESTION)
            page.get_by_role("button", name="Start").click()
            expect(page.locator(".verdict")).to_contain_text("Right was")
            forwards = page.locator("tbody tr").nth(1).locator("td").all_inner_texts()
            self.assertGreater(int(forwards[0]), 2 * int(forwards[1]))
            for name in ("Left", "Right"):
                side = page.get_by_role("region", name=name, exact=True)
                expect(side.locator(".text")).to_contain_text("they have")

    def test_infill(self):
        page = self.open(start(self, LLADA), hash="#infill")
        self.field(page, "Text").fill(QUESTION + " [[16]]\nTogether they have[[12]]rocks.")
        page.get_by_role("button", name="Fill the holes").click()
        expect(page.locator("mark")).to_have_count(2)
        expect(page.locator("#infill-filled")).to_contain_text(QUESTION)
        expect(page.locator("#infill-filled")).to_contain_text("Together they have")
        self.assertEqual(self.cells(page, "masked"), 0)
        self.assertGreater(self.cells(page, "given"), 20)
        self.seek(page, page.get_by_role("slider"), 0)
        self.assertEqual(self.cells(page, "masked"), 28)
        live = page.locator(".block.live .cell")
        expect(live.first).to_have_class("cell masked")
        expect(page.locator(".block").first.locator(".cell.masked")).to_have_count(0)
        self.field(page, "Text").fill("[[9999]]")
        page.get_by_role("button", name="Fill the holes").click()
        expect(page.get_by_role("alert")).not_to_be_empty()

    def test_api_key(self):
        page = self.open(start(self, LLADA, "--api-key", "sesame"))
        self.field(page, "Key").fill("sesame")
        page.keyboard.press("Enter")
        expect(page.locator("#model")).to_have_text("llada-nano")
        expect(self.send(page).locator(".text")).not_to_be_empty()


if __name__ == "__main__":
    unittest.main()
