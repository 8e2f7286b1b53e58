"""The tokenizer of tools/train: numbers are whole, and ids have no gaps. Its chat formats: text and template agree."""
import sys
import unittest
from pathlib import Path

try:
    import jinja2
    import tokenizers  # noqa: F401
except ImportError:
    sys.exit(77)

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools" / "train"))
from text import CHAT_FORMATS, DREAM, LLADA, NUMBERS, train_tokenizer, with_special_tokens  # noqa: E402

VOCABULARY = 284


class Numbers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        texts = [f"Sam has {n} rocks and {n * n} coins for ${n}.25 each." for n in range(400)]
        cls.tokenizer = train_tokenizer(texts, VOCABULARY, LLADA.special)

    def test_a_number_of_up_to_three_digits_is_one_token(self):
        for number in NUMBERS:
            self.assertEqual(self.tokenizer.encode(number).tokens, [number])

    def test_larger_ones_are_groups_of_three_from_the_right(self):
        for text, expected in (("1250", ["1", "250"]), ("12345678", ["12", "345", "678"]),
                               ("7.05", ["7", ".", "05"]), ("100*100=10000", ["100", "*", "100", "=", "10", "000"])):
            self.assertEqual(self.tokenizer.encode(text).tokens, expected)

    def test_ids_have_no_gaps_and_end_in_the_special_tokens(self):
        ids = self.tokenizer.get_vocab()
        size = VOCABULARY + len(NUMBERS) - 10
        self.assertEqual(sorted(ids.values()), list(range(size)))
        self.assertEqual([ids[token] for token in LLADA.special], list(range(size - len(LLADA.special), size)))

    def test_words_are_learnt_and_text_comes_back(self):
        text = "Sam has 399 rocks and 159201 coins."
        self.assertIn("Ġhas", self.tokenizer.encode(text).tokens)
        self.assertEqual(self.tokenizer.decode(self.tokenizer.encode(text).ids), text)

    def test_special_tokens_can_be_replaced(self):
        size = VOCABULARY + len(NUMBERS) - 10 - len(LLADA.special)
        replaced = with_special_tokens(self.tokenizer, DREAM.special)
        self.assertEqual(replaced.get_vocab_size(), size + len(DREAM.special))
        self.assertEqual([replaced.token_to_id(token) for token in DREAM.special],
                         list(range(size, size + len(DREAM.special))))
        self.assertIsNone(replaced.token_to_id(LLADA.mask))
        text = "Sam has 399 rocks."
        self.assertEqual(replaced.encode(text).ids, self.tokenizer.encode(text).ids)


class ChatFormats(unittest.TestCase):
    def test_the_prompt_is_what_the_template_makes(self):
        turns = [("How many?", "Three.\n#### 3"), ("And now?", "Four.\n#### 4")]
        messages = [{"role": role, "content": text} for turn in turns
                    for role, text in zip(("user", "assistant"), turn)]
        messages.append({"role": "user", "content": "And then?"})
        for family, chat in CHAT_FORMATS.items():
            for earlier in (0, 1, 2):
                with self.subTest(family=family, turns=earlier):
                    made = jinja2.Template(chat.template).render(
                        messages=messages[4 - 2 * earlier:], add_generation_prompt=True, bos_token=chat.start)
                    self.assertEqual(made, chat.prompt(turns[2 - earlier:], "And then?"))

    def test_their_tokens_are_special(self):
        for chat in CHAT_FORMATS.values():
            self.assertLessEqual({chat.end, chat.turn_end, chat.mask}, set(chat.special))


if __name__ == "__main__":
    unittest.main()
