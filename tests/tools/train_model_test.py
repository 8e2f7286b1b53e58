"""The models of tools/train: their checkpoints have the families' names, and Dream's begins as LLaDA's does.
Skipped (exit code 77) where PyTorch is not installed: tools/train/requirements.txt."""
import sys
import tempfile
import unittest
from pathlib import Path

try:
    import torch
    from safetensors import safe_open
    from tokenizers import Tokenizer
except ImportError:
    print("PyTorch is not installed")
    sys.exit(77)

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "train"))
sys.dont_write_bytecode = True
from adapt import as_dream  # noqa: E402
from checkpoint import read_shape, read_weights, write_checkpoint  # noqa: E402
from model import MaskedDiffusionModel, Shape  # noqa: E402
from text import DREAM, LLADA, with_special_tokens  # noqa: E402

MINI = ROOT / "models" / "llada-mini"


def tensor_names(folder):
    with safe_open(str(folder / "model.safetensors"), "pt") as file:
        return set(file.keys())


class Checkpoints(unittest.TestCase):
    def written(self, shape, folder):
        model = MaskedDiffusionModel(shape)
        write_checkpoint(folder, model, dict(model.named_parameters()), end=0, turn_end=1, mask=2)
        return model

    def test_names_are_those_of_the_family(self):
        for family in ("llada", "dream"):
            with self.subTest(family=family), tempfile.TemporaryDirectory() as name:
                nano = ROOT / "models" / f"{family}-nano"
                self.written(Shape(50, 64, 4, 2, 96, family=family), Path(name))
                self.assertEqual(tensor_names(Path(name)), tensor_names(nano))

    def test_what_is_written_is_read(self):
        for family in ("llada", "dream"):
            with self.subTest(family=family), tempfile.TemporaryDirectory() as name:
                shape = Shape(50, 64, 2, 2, 96, family=family)
                model = self.written(shape, Path(name))
                self.assertEqual(read_shape(Path(name)), shape)
                again = MaskedDiffusionModel(shape)
                read_weights(Path(name), again)
                for ours, theirs in zip(model.parameters(), again.parameters()):
                    self.assertTrue(torch.equal(ours.bfloat16(), theirs.bfloat16()))


class Dream(unittest.TestCase):
    def test_a_position_is_predicted_by_the_one_before_it(self):
        model = MaskedDiffusionModel(Shape(50, 64, 2, 2, 96, family="dream"))
        tokens = torch.randint(0, 50, (3, 7))
        shifted = model(tokens).view(3, 7, 50)
        model.shape = Shape(50, 64, 2, 2, 96)
        own = model(tokens).view(3, 7, 50)
        self.assertTrue(torch.equal(shifted[:, 1:], own[:, :-1]))
        self.assertTrue(torch.equal(shifted[:, 0], own[:, 0]))
        model.shape = Shape(50, 64, 2, 2, 96, family="dream")
        rows = torch.tensor([1, 6, 7, 8, 20])
        self.assertTrue(torch.allclose(model(tokens, rows), shifted.view(21, 50)[rows], atol=1e-6))

    def test_it_begins_with_the_attention_that_llada_has_one_position_later(self):
        llada = MaskedDiffusionModel(read_shape(MINI))
        read_weights(MINI, llada)
        tokenizer = Tokenizer.from_file(str(MINI / "tokenizer.json"))
        dream_tokenizer = with_special_tokens(tokenizer, DREAM.special)
        dream = as_dream(llada, tokenizer, dream_tokenizer)
        text = "Calculate 12 + 7."
        canvas = tokenizer.encode(text).ids + 8 * [tokenizer.token_to_id(LLADA.mask)]
        dream_canvas = dream_tokenizer.encode(text).ids + 8 * [dream_tokenizer.token_to_id(DREAM.mask)]
        scores = self.scores(llada, canvas)
        first_mask = len(canvas) - 8
        moved = self.scores(dream, dream_canvas)[:, first_mask:-1]
        self.assertTrue(torch.allclose(moved, scores[:, first_mask + 1:], rtol=1e-4, atol=1e-3))

    @staticmethod
    def scores(model, tokens):
        """Attention scores [heads, queries, keys] of the first block."""
        block, length = model.blocks[0], len(tokens)
        normed = block.attention_norm(model.embedding(torch.tensor(tokens)))

        def rotated(linear):
            a, b = linear(normed).view(length, block.heads, -1).transpose(0, 1).chunk(2, -1)
            cosine, sine = model.cosine[:length], model.sine[:length]
            return torch.cat((a * cosine - b * sine, b * cosine + a * sine), -1)

        with torch.no_grad():
            return rotated(block.query) @ rotated(block.key).transpose(1, 2)


if __name__ == "__main__":
    unittest.main()
