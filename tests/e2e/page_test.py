"""The page of `fast-dllm serve` in Chromium, on a stand-in server that can be slow or break."""
import json
import re
import time
import unittest

from page_mock import ANSWER, MARKUP, MockServer
from page_support import PageCase, expect

QUESTION = "Sam has 18 rocks and Olga has 8 more rocks than Sam. How many do they have together?"


class MockPage(PageCase):
    def setUp(self):
        super().setUp()
        self.server = MockServer()
        self.addCleanup(self.server.stop)
        self.url = self.server.url


class ChatTest(MockPage):
    def test_an_answer_denoises_and_ends(self):
        page = self.open()
        expect(page.locator("#model")).to_have_text("mock-nano")
        expect(page.get_by_text("A diffusion language model begins")).to_be_visible()
        self.ask(page, QUESTION)
        turn = page.locator(".turn.answer")
        expect(turn.locator(".text")).to_have_text(ANSWER, use_inner_text=True)
        self.assertEqual(turn.locator(".text").get_attribute("aria-live"), "polite")
        self.assertEqual(self.cells(turn, "masked"), 0)
        self.assertEqual(turn.locator(".canvas .cell").count(), 64)
        self.assertEqual(turn.locator(".block").count(), 2)
        self.assertEqual(turn.locator("dd").all_inner_texts()[:2], ["16", "39"])
        expect(turn.locator("progress")).to_have_js_property("value", 1)
        self.assertEqual(self.server.bodies[-1], {
            "model": "mock-nano", "messages": [{"role": "user", "content": QUESTION}],
            "stream": True, "stream_options": {"include_usage": True, "denoising": True}})
        self.assertEqual(self.field(page, "Message").input_value(), "")

    def test_the_conversation_and_the_settings_are_sent(self):
        page = self.open()
        self.field(page, "System prompt").fill("Be brief.")
        self.field(page, "Gen length").fill("96")
        self.field(page, "Unmasking rule").select_option("Quota")
        self.field(page, "Steps").fill("96")
        self.field(page, "Stop").fill("Question:\n\\n\\n")
        page.get_by_text("More options").first.click()
        self.field(page, "Eos stop").select_option("Off")
        self.ask(page, "one")
        self.ask(page, "two")
        body = self.server.bodies[-1]
        self.assertEqual(body["messages"], [
            {"role": "system", "content": "Be brief."}, {"role": "user", "content": "one"},
            {"role": "assistant", "content": ANSWER}, {"role": "user", "content": "two"}])
        self.assertEqual({name: body[name] for name in ("gen_length", "steps", "stop", "eos_stop")},
                         {"gen_length": 96, "steps": 96, "stop": ["Question:", "\n\n"],
                          "eos_stop": False})
        self.assertNotIn("threshold", body)
        page.reload()
        self.assertEqual(self.field(page, "Gen length").input_value(), "96")
        page.get_by_role("button", name="Reset to the defaults").click()
        self.assertEqual(self.field(page, "Gen length").input_value(), "")

    def test_the_slider_replays(self):
        page = self.open()
        self.ask(page, QUESTION)
        turn = page.locator(".turn.answer")
        slider = self.field(turn, "Step")
        expect(slider).to_have_value("16")
        self.seek(page, slider, 0)
        self.assertEqual(self.cells(turn, "masked"), 64)
        expect(turn.locator(".caption")).to_have_text("Before the first step, 64 masked")
        self.seek(page, slider, 3)
        self.assertEqual((self.cells(turn, "committed"), self.cells(turn, "fresh"),
                          self.cells(turn, "provisional"), self.cells(turn, "masked")),
                         (8, 4, 20, 32))
        expect(turn.locator(".block.live")).to_have_count(1)
        label = turn.locator(".canvas").get_attribute("aria-label")
        self.assertEqual(label, "Canvas of 64 tokens: 12 committed, 20 provisional, 32 masked")
        tints = {cell.evaluate("(cell) => getComputedStyle(cell).backgroundColor")
                 for cell in turn.locator(".cell.provisional").all()[:8]}
        self.assertGreater(len(tints), 4)
        slider.focus()
        page.keyboard.press("ArrowRight")
        expect(slider).to_have_attribute("aria-valuetext",
                                         "Step 4 of 16, block 1 of 2: committed 4 tokens, 48 masked")
        page.keyboard.press("End")
        self.assertEqual(self.cells(turn, "masked"), 0)
        play = turn.get_by_role("button", name="Play")
        play.click()
        self.until(page, """document.querySelector("input[type=range]").value > 2 &&
            (document.querySelector(".play").click(), true)""")
        paused = int(slider.input_value())
        self.assertLess(paused, 16)
        page.wait_for_timeout(400)
        self.assertEqual(int(slider.input_value()), paused)
        play.click()
        expect(slider).to_have_value("16")
        expect(play).to_be_visible()

    def test_the_canvas_is_shown_while_it_denoises(self):
        page = self.open()
        self.ask(page, "[slow] " + QUESTION, wait=False)
        turn = page.locator(".turn.answer")
        expect(turn).to_have_attribute("aria-busy", "true")
        expect(turn.locator(".block.live")).to_have_count(1)
        self.until(page, "document.querySelectorAll('.cell.committed').length > 4")
        self.assertGreater(self.cells(turn, "masked"), 0)
        expect(turn.get_by_role("button", name="Play")).to_be_disabled()
        slider = self.field(turn, "Step")
        self.seek(page, slider, 1)
        page.wait_for_timeout(400)
        self.assertEqual(slider.input_value(), "1")
        slider.press("End")
        expect(slider).to_have_value("16")

    def test_stop(self):
        page = self.open()
        self.ask(page, "[slow] " + QUESTION, wait=False)
        self.until(page, "document.querySelectorAll('.cell.committed').length > 4")
        page.get_by_role("button", name="Stop").click()
        expect(page.get_by_role("button", name="Send")).to_be_visible()
        expect(page.locator(".ending")).to_have_text("Stopped.")
        end = time.monotonic() + 10
        while self.server.disconnects == 0 and time.monotonic() < end:
            time.sleep(0.05)
        self.assertEqual(self.server.disconnects, 1)
        self.assertGreater(self.cells(page, "masked"), 0)
        page.reload()
        expect(page.locator("#history-list li")).to_have_count(1)

    def test_a_long_first_forward_has_a_bar(self):
        page = self.open()
        self.ask(page, "[prefill] " + QUESTION, wait=False)
        turn = page.locator(".turn.answer")
        bar = turn.get_by_role("progressbar", name="First forward")
        expect(bar).to_be_visible()
        expect(turn.locator(".caption")).to_have_text(
            re.compile(r"^First forward: layer [2-7] of 8 for 1,152 tokens, \d+ s left$"))
        self.assertTrue(0.1 < bar.evaluate("(bar) => bar.value") < 1)
        self.assertEqual(self.cells(turn, "masked"), 64)
        # The bar is the canvas's again with the first step; a later forward is told in words.
        expect(turn.get_by_role("progressbar", name="Committed tokens")).to_be_visible()
        expect(turn.locator(".caption")).to_have_text(re.compile(
            r"^Step 3 of 3, block 1 of 2: .*; next: layer \d of 8 for 1,152 tokens"))
        expect(turn.locator(".text")).to_have_text(ANSWER, use_inner_text=True)
        expect(turn.locator("progress")).to_have_js_property("value", 1)
        expect(turn.locator(".caption")).to_have_text(re.compile(r"^Step 16 of 16, [^;]*$"))

    def test_examples_are_asked_with_a_click(self):
        page = self.open()
        examples = page.locator("#examples-list button")
        expect(examples).to_have_count(3)
        question = examples.first.inner_text()
        examples.first.click()
        expect(page.locator(".turn.answer .text")).to_have_text(ANSWER, use_inner_text=True)
        self.assertEqual(self.server.bodies[-1]["messages"],
                         [{"role": "user", "content": question}])
        expect(page.locator("#examples")).to_be_hidden()
        page.locator("#new-chat").click()
        expect(page.locator("#examples")).to_be_visible()

    def test_examples_are_what_the_model_can_answer(self):
        self.server.model = {"id": "another name", "parameters": 4086720}
        expect(self.open().locator("#examples-list button").first).to_have_text(
            "Calculate 12 + 7 - 3.")
        self.server.model = {"chat": False}
        page = self.open()
        expect(page.locator("#model")).to_have_text("mock-nano")
        expect(page.locator("#examples")).to_be_hidden()

    def test_markup_of_a_model_is_text(self):
        page = self.open()
        self.ask(page, "[html] <b>bold</b>")
        self.assertEqual(page.locator(".answer .text").inner_text(), MARKUP)
        self.assertEqual(page.locator(".question .text").inner_text(), "[html] <b>bold</b>")
        self.assertEqual(page.locator("main img, main script, main b").count(), 0)
        self.assertEqual(page.title(), "fast-dllm")


class SettingsTest(MockPage):
    def test_the_form_is_what_the_server_describes(self):
        page = self.open()
        expect(page.locator("#model")).to_have_text("mock-nano")
        expect(self.field(page, "Unmasking rule").locator("option")).to_have_text(
            ["The model's default", "Threshold", "Quota", "Tokens per forward", "Entropy"])
        expect(self.field(page, "Threshold")).to_have_count(0)
        expect(self.field(page, "Query before")).to_have_count(0)
        self.field(page, "Unmasking rule").select_option("Threshold")
        expect(self.field(page, "Threshold")).to_have_attribute("placeholder", "0.9")
        expect(self.field(page, "Steps")).to_have_count(0)
        page.get_by_text("More options").first.click()
        expect(self.field(page, "Query before")).to_be_visible()
        expect(self.field(page, "Early commit")).to_be_visible()
        # No rule of the model takes it.
        expect(self.field(page, "Factor")).to_have_count(0)
        expect(self.field(page, "Fuse store")).to_be_visible()
        # It belongs to other models.
        expect(self.field(page, "Block cache")).to_have_count(0)
        self.field(page, "Unmasking rule").select_option("Entropy")
        self.field(page, "Steps").fill("32")
        self.field(page, "Cache").select_option("None")
        self.ask(page, QUESTION)
        body = self.server.bodies[-1]
        self.assertEqual({name: body.get(name) for name in ("alg", "steps", "cache", "threshold")},
                         {"alg": "entropy", "steps": 32, "cache": "none", "threshold": None})

    def test_a_preset_takes_the_place_of_defaults(self):
        page = self.open()
        cache = self.field(page, "Cache").locator("option").first
        expect(cache).to_have_text("Default (dual)")
        self.field(page, "Preset").select_option("Exact")
        expect(cache).to_have_text("Default (none)")
        self.field(page, "Preset").select_option("Fast")
        expect(self.field(page, "Block length")).to_have_attribute("placeholder", "16")
        self.ask(page, QUESTION)
        self.assertEqual(self.server.bodies[-1]["preset"], "fast")
        self.assertNotIn("block_length", self.server.bodies[-1])

    def test_numbers_out_of_their_range_are_not_sent(self):
        page = self.open()
        field = self.field(page, "Temperature")
        for entered, message in (("-1", "expected at least 0, found -1"),
                                 ("1000", "expected at most 100, found 1000")):
            field.fill(entered)
            self.ask(page, QUESTION)
            expect(page.get_by_role("alert")).to_contain_text(message)
            expect(field).to_be_focused()
        self.assertEqual(self.server.bodies, [])


class ErrorTest(MockPage):
    def refused(self, page, text, message):
        self.ask(page, text)
        expect(page.get_by_role("alert")).to_contain_text(message)
        self.assertEqual(self.field(page, "Message").input_value(), text)
        expect(page.locator(".turn")).to_have_count(0)

    def test_errors_of_settings_are_shown_at_the_setting(self):
        page = self.open()
        field = self.field(page, "Gen length")
        field.fill("33")
        self.refused(page, QUESTION, "gen_length 33 is no multiple of block_length 32")
        expect(field).to_have_attribute("aria-invalid", "true")
        expect(field).to_be_focused()
        expect(field).to_have_accessible_description("gen_length 33 is no multiple of block_length "
            "32 masked tokens after the prompt")
        sent = len(self.server.bodies)
        for entered, message in (("many", "expected a number, found “many”"),
                                 ("3.5", "expected a whole number, found “3.5”")):
            field.fill(entered)
            expect(field).not_to_have_attribute("aria-invalid", "true")
            self.refused(page, QUESTION, message)
        self.assertEqual(len(self.server.bodies), sent)
        field.fill("64")
        self.ask(page, QUESTION)
        expect(page.locator(".answer .text")).to_contain_text("#### 44")

    def test_errors_of_settings_open_the_sheet_of_a_phone(self):
        page = self.open(viewport={"width": 360, "height": 740})
        page.get_by_role("button", name="Settings").click()
        self.field(page, "Gen length").fill("33")
        page.get_by_role("button", name="Close").click()
        expect(self.field(page, "Gen length")).to_be_hidden()
        self.refused(page, QUESTION, "no multiple")
        expect(self.field(page, "Gen length")).to_be_focused()
        page.keyboard.press("Escape")
        expect(self.field(page, "Gen length")).to_be_hidden()

    def test_what_else_can_go_wrong(self):
        page = self.open()
        self.refused(page, "[busy]", "the queue is full. (Try again in 3 s.)")
        self.refused(page, "[break]", "the connection ended before the answer was complete")
        self.refused(page, "[fail]", "a score is not a number")
        self.server.stop()
        self.refused(page, "gone", "the server can't be reached")

    def test_api_key(self):
        self.server.key = "sesame"
        page = self.open()
        key = self.field(page, "Key")
        expect(key).to_be_focused()
        expect(page.locator("#model")).to_have_text("needs an API key")
        key.fill("sesame")
        page.keyboard.press("Enter")
        expect(page.locator("#model")).to_have_text("mock-nano")
        expect(key).to_be_hidden()
        self.ask(page, QUESTION)
        expect(page.locator(".answer .text")).to_contain_text("#### 44")
        self.assertNotIn("sesame", page.evaluate("JSON.stringify(localStorage)"))
        page.get_by_role("button", name="API key").click()
        page.get_by_role("button", name="Forget").click()
        page.get_by_role("button", name="New chat").click()
        self.refused(page, "again", "no valid API key was given")
        self.assertEqual(page.evaluate("sessionStorage.length"), 0)


class HistoryTest(MockPage):
    def test_conversations_are_kept_and_deleted(self):
        page = self.open()
        self.ask(page, "First question")
        page.get_by_role("button", name="New chat").click()
        expect(page.locator(".turn")).to_have_count(0)
        expect(self.field(page, "Message")).to_be_focused()
        self.ask(page, "Second question")
        page.reload()
        titles = page.locator("#history-list .title")
        expect(titles).to_have_text(["Second question", "First question"])
        titles.nth(1).click()
        expect(page.locator(".question .text")).to_have_text("First question")
        expect(page.locator("#history-list .title[aria-current]")).to_have_text("First question")
        page.get_by_text("Denoising", exact=True).click()
        self.assertEqual(self.cells(page, "masked"), 0)
        self.seek(page, self.field(page, "Step"), 0)
        self.assertEqual(self.cells(page, "masked"), 64)
        self.ask(page, "And then?")
        self.assertEqual([message["content"] for message in self.server.bodies[-1]["messages"]],
                         ["First question", ANSWER, "And then?"])
        page.get_by_role("button", name="Delete “First question”").click()
        expect(titles).to_have_text(["Second question"])
        expect(page.locator(".turn")).to_have_count(0)
        undo = page.get_by_role("button", name="Undo")
        expect(undo).to_be_focused()
        undo.click()
        expect(titles).to_have_text(["First question", "Second question"])

    def test_export(self):
        page = self.open()
        expect(page.get_by_role("button", name="Export JSON")).to_be_disabled()
        self.ask(page, "What is 1 + 1?")
        with page.expect_download() as download:
            page.get_by_role("button", name="Export JSON").click()
        self.assertEqual(download.value.suggested_filename, "what-is-1-1.json")
        with open(download.value.path(), encoding="utf-8") as file:
            exported = json.load(file)
        self.assertEqual(exported["title"], "What is 1 + 1?")
        self.assertEqual([message["content"] for message in exported["messages"]],
                         ["What is 1 + 1?", ANSWER])
        self.assertEqual(len(exported["messages"][1]["recording"]["steps"]), 16)

    def test_a_full_or_damaged_store(self):
        page = self.open()
        self.ask(page, "First question")
        page.evaluate("""() => {
          localStorage.setItem("fast-dllm.chat.1", "{");
          localStorage.setItem("fast-dllm.chat.2", '{"id": "2", "messages": 7}');
          localStorage.setItem("fast-dllm.chat.3",
            '{"id": "3", "messages": [{"role": "user", "content": 1}, null,' +
            ' {"role": "assistant", "content": "kept", "recording": {"canvas": {"gen_length": -1},' +
            ' "steps": [null]}}]}');
          localStorage.setItem("fast-dllm.settings", "[");
        }""")
        page.reload()
        titles = page.locator("#history-list .title")
        expect(titles).to_have_text(["First question", "New chat"])
        titles.nth(1).click()
        expect(page.locator(".turn")).to_have_text(["Modelkept"])
        # Room for a few hundred characters only: the oldest recordings make it.
        page.evaluate("""() => {
          const block = "x".repeat(1000);
          let text = block.repeat(5300);
          for (;;) {
            try { localStorage.setItem("filler", text); break; } catch { text = text.slice(1000); }
          }
        }""")
        page.locator("#new-chat").click()
        self.ask(page, "Second question")
        expect(titles).to_have_text(["Second question", "First question", "New chat"])
        sizes = page.evaluate("""() => Object.keys(localStorage)
          .filter((key) => key.startsWith("fast-dllm.chat.1"))
          .map((key) => (localStorage.getItem(key).match(/"steps"/g) ?? []).length)""")
        self.assertLess(sum(sizes), 2)


class RaceTest(MockPage):
    def test_two_settings_on_the_same_prompt(self):
        self.server.delay = 0.004
        page = self.open(hash="#race")
        page.get_by_role("button", name="Start").click()
        expect(page.get_by_role("alert")).to_have_text("Enter a prompt first.")
        self.field(page, "Prompt").fill(QUESTION)
        page.get_by_role("button", name="Start").click()
        verdict = page.locator(".verdict")
        expect(verdict).to_contain_text("Right was")
        self.assertRegex(verdict.inner_text(), r"^Right was \d\.\d\d× faster\.$")
        left, right = self.server.bodies
        self.assertEqual({name: left[name] for name in ("cache", "tokens_per_forward", "gen_length")},
                         {"cache": "none", "tokens_per_forward": 1, "gen_length": 128})
        self.assertEqual({name: right[name] for name in ("cache", "threshold", "gen_length")},
                         {"cache": "dual", "threshold": 0.9, "gen_length": 128})
        self.assertEqual(left["messages"], right["messages"])
        rows = [row.inner_text().split("\t") for row in page.locator("tbody tr").all()]
        self.assertEqual([row[0] for row in rows], ["Time", "Forwards", "Tokens", "Tokens/s"])
        self.assertEqual(rows[1][1:], ["128", "32", "4.00×"])
        self.assertEqual(rows[2][1:], ["39", "39", "1.00×"])
        sides = [page.get_by_role("region", name=name, exact=True) for name in ("Left", "Right")]
        for side in sides:
            self.assertEqual(self.cells(side, "masked"), 0)
            expect(side.locator(".text")).to_contain_text("#### 44")
        page.get_by_role("button", name="Replay both").click()
        expect(sides[0].get_by_role("button", name="Pause")).to_be_visible()
        self.until(page, """(() => {
          const [left, right] = document.querySelectorAll("#race input[type=range]");
          return Number(right.value) === 32 && Number(left.value) < 128;
        })()""")

    def test_other_settings(self):
        page = self.open(hash="#race")
        self.field(page, "Prompt").fill(QUESTION)
        self.field(page, "Run").select_option("together (they share the machine)")
        left = page.get_by_role("region", name="Left", exact=True)
        self.field(page, "Settings, Left").select_option("Threshold 0.9, prefix cache")
        left.locator("summary").first.click()
        self.field(left, "Threshold").fill("0.7")
        expect(self.field(page, "Settings, Left")).to_have_value("own")
        expect(left.locator("summary").first).to_have_text(
            "gen length 128, block length 32, cache prefix, threshold 0.7")
        self.field(page, "Prompt").press("Control+Enter")
        expect(page.locator(".verdict")).to_contain_text("faster")
        self.assertEqual(sorted(body["threshold"] for body in self.server.bodies), [0.7, 0.9])
        self.field(left, "Gen length").fill("100")
        page.get_by_role("button", name="Start").click()
        expect(page.get_by_role("alert")).to_contain_text("Left: gen_length 100 is no multiple")
        expect(self.field(left, "Gen length")).to_be_focused()
        expect(page.locator(".verdict")).to_have_count(0)

    def test_stop(self):
        page = self.open(hash="#race")
        self.field(page, "Prompt").fill("[slow]")
        page.get_by_role("button", name="Start").click()
        self.until(page, "document.querySelectorAll('#race .cell.committed').length > 2")
        page.get_by_role("button", name="Stop").click()
        expect(page.get_by_role("button", name="Start")).to_be_visible()
        self.assertEqual(len(self.server.bodies), 1)
        expect(page.locator(".verdict")).to_have_count(0)


class InfillTest(MockPage):
    def test_holes_are_filled(self):
        page = self.open(hash="#infill")
        text = self.field(page, "Text")
        page.get_by_role("button", name="Fill the holes").click()
        expect(page.get_by_role("alert")).to_contain_text("The text has no hole")
        text.fill("The [[3]] sat on the ")
        self.field(page, "Tokens").fill("2")
        page.get_by_role("button", name="Insert hole").click()
        page.keyboard.type(".")
        self.assertEqual(text.input_value(), "The [[3]] sat on the [[2]].")
        holes = page.get_by_role("group", name="The text and its holes").get_by_role("button")
        expect(holes).to_have_count(2)
        expect(holes.first).to_have_accessible_name("Hole of 3 tokens: edit")
        holes.first.click()
        page.keyboard.type("[[4]]")
        page.get_by_role("button", name="Fill the holes").click()
        expect(page.locator("mark")).to_have_text([" word" * 4, " word" * 2])
        expect(page.locator("#infill-filled")).to_have_text(
            "The  word word word word sat on the  word word.")
        self.assertEqual(self.server.bodies[-1]["parts"],
                         ["The ", {"hole": 4}, " sat on the ", {"hole": 2}, "."])
        self.assertGreater(self.cells(page, "given"), 5)
        self.assertEqual(self.cells(page, "masked"), 0)
        self.seek(page, self.field(page, "Step"), 0)
        self.assertEqual(self.cells(page, "masked"), 6)
        expect(page.locator("#infill progress")).to_have_js_property("value", 0)
        blocks = page.locator("#infill .block")
        expect(blocks).to_have_count(2)
        expect(blocks.first.locator(".cell.given")).to_have_count(2)
        expect(blocks.nth(1)).to_have_class("block live")

    def test_stop(self):
        self.server.delay = 0.2
        page = self.open(hash="#infill")
        self.field(page, "Text").fill("[[40]] and then [[2]]")
        page.get_by_role("button", name="Fill the holes").click()
        self.until(page, "document.querySelectorAll('#infill .cell.committed').length > 2")
        page.get_by_role("button", name="Stop").click()
        expect(page.get_by_role("alert")).to_have_text("Stopped.")
        expect(page.get_by_role("button", name="Fill the holes")).to_be_visible()
        self.assertGreater(self.cells(page, "provisional"), 0)
        self.server.delay = 0
        self.field(page, "Text").fill("[[3]]")
        page.get_by_role("button", name="Fill the holes").click()
        expect(page.locator("mark")).to_have_text([" word word word"])
        expect(page.locator("#infill .canvas .cell")).to_have_count(3)

    def test_sizes_of_holes(self):
        page = self.open(hash="#infill")
        for size in ("0", "x", "10000", ""):
            self.field(page, "Tokens").fill(size)
            page.get_by_role("button", name="Insert hole").click()
            expect(page.get_by_role("alert")).to_have_text("A hole has 1 to 9999 tokens.")
        parts = self.modules(page, """
          const { parseHoles } = await import("/page/infill.js");
          return values.map((text) => parseHoles(text).map((part) => part.hole ?? part.text));""",
          "", "[[8]]", "a[[1]][[2]]b", "[[0]] [[12345]] [[-1]] [8]", "x [[3]")
        self.assertEqual(parts, [[], [8], ["a", 1, 2, "b"], ["[[0]] [[12345]] [[-1]] [8]"],
                                 ["x [[3]"]])


class StreamTest(MockPage):
    def test_events_are_cut_anywhere(self):
        page = self.open()
        got = self.modules(page, """
          const { EventParser } = await import("/page/api.js");
          const [text] = values;
          const results = [];
          for (let cut = 0; cut <= text.length; cut += 1) {
            const parser = new EventParser();
            results.push([...parser.feed(text.slice(0, cut)), ...parser.feed(text.slice(cut))]);
          }
          return results;""", ': hello\n\ndata: {"a": 1}\r\n\r\nevent: x\ndata:2\ndata: 3\n\ndata: 4')
        self.assertEqual(set(map(tuple, got)), {('{"a": 1}', "2\n3")})

    def test_events_that_make_no_sense_are_harmless(self):
        page = self.open()
        counts = self.modules(page, """
          const { Recording } = await import("/page/recording.js");
          const recording = new Recording();
          for (const chunk of values[0]) recording.add(chunk, 1);
          return [recording.length, recording.stepCount, recording.committedCount(),
                  recording.cells(recording.stepCount).map((cell) => cell.kind)];""", [
            {"denoising": {"step": 0, "committed": [[0, "early"]]}},
            {"denoising": {"canvas": {"gen_length": "4"}}},
            {"denoising": {"canvas": {"gen_length": 4, "block_length": 0, "fixed": [[9, "x"], 3]}}},
            {"choices": 3, "usage": 4, "denoising": {"committed": [[-1, "a"], [4, "b"], [1.5, "c"],
             [0, 7], "x", None, [0, "ok"], [0, "again"]], "provisional": [[0, "no", 0.5],
             [1, "p", 7], [2, "q", None], [2]], "block": -3, "forwards": "x"}}])
        self.assertEqual(counts, [4, 1, 1, ["fresh", "provisional", "provisional", "masked"]])


if __name__ == "__main__":
    unittest.main()
