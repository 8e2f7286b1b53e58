"""The tokenizer of tools/train: numbers are whole, and ids have no gaps."""
import sys
import unittest
from pathlib import Path

try:
    import tokenizers  # noqa: F401
except ImportError:
    sys.exit(77)

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools" / "train"))
from text import NUMBERS, SPECIAL, train_tokenizer  # noqa: E402

VOCABULARY = 284


class Numbers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        texts = [f"Sam has {n} rocks and {n * n} coins for ${n}.25 each." for n in range(400)]
        cls.tokenizer = train_tokenizer(texts, VOCABULARY)

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
        self.assertEqual([ids[token] for token in SPECIAL], list(range(size - len(SPECIAL), size)))

    def test_words_are_learnt_and_text_comes_back(self):
        text = "Sam has 399 rocks and 159201 coins."
        self.assertIn("Ġhas", self.tokenizer.encode(text).tokens)
        self.assertEqual(self.tokenizer.decode(self.tokenizer.encode(text).ids), text)


if __name__ == "__main__":
    unittest.main()
