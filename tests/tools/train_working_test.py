"""The worked answers of tools/train: every equation in a chain is true, and the parts are as small as they should be."""
import random
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools" / "train"))
from working import Working, multiply_in_steps, sum_of_parts  # noqa: E402


class Chains(unittest.TestCase):
    def assert_equations_hold(self, chain: str):
        sides = chain.split("=")
        self.assertEqual(len({eval(side) for side in sides}), 1, chain)
        for left, right in zip(sides[1:], sides[2:]):
            self.assertNotEqual(left, right, chain)

    def test_every_part_of_a_chain_has_the_same_value(self):
        r = random.Random(1)
        for _ in range(4_000):
            a = r.randrange(-2_500, 2_500)
            b = r.randrange(-(10 ** r.randrange(1, 5)), 10 ** r.randrange(1, 5))
            self.assert_equations_hold(f"{a}+{b}{sum_of_parts(a, b)}")
            self.assert_equations_hold(multiply_in_steps(a, b))

    def test_sums_of_long_numbers_have_hundreds_and_the_rest_apart(self):
        for a, b, expected in ((967, 921, "=900+900+67+21=1800+88=1888"), (1888, -882, "=1800-800+88-82=1000+6=1006"),
                               (-333, 257, "=-300+200-33+57=-100+24=-76"), (457, 86, "=400+57+86=400+143=543")):
            self.assertEqual(sum_of_parts(a, b), expected)

    def test_sums_that_are_short_or_round_are_one_step(self):
        for a, b in ((47, 86), (457, 6), (-5, 999), (400, 300), (200, 57), (57, -200), (0, 0)):
            self.assertEqual(sum_of_parts(a, b), f"={a + b}")

    def test_products_are_of_one_digit_each(self):
        for a, b, expected in ((7, 8, "7*8=56"), (47, 6, "47*6=282"), (40, 86, "40*86=3440"), (300, 8, "300*8=2400"),
                               (457, 6, "457*6=400*6+57*6=2400+342=2742"),
                               (47, -86, "47*-86=40*-86+7*-86=-3440-602=-3400-600-40-2=-4000-42=-4042")):
            self.assertEqual(multiply_in_steps(a, b), expected)


class Expressions(unittest.TestCase):
    def test_lines_follow_the_order_of_operations(self):
        working = Working("-( 2 + 3 * -4 ) - 12 / 4 + 1")
        self.assertEqual(working.lines, ["3*-4=-12", "2+-12=2-12=-10", "-(-10)=10", "12/4=3", "10-3=7", "7+1=8"])
        self.assertEqual(working.value, 8)

    def test_two_signs_become_one(self):
        self.assertEqual(Working("-41 - -7").lines, ["-41--7=-41+7=-34"])
        self.assertEqual(Working("150 + -263").lines, ["150+-263=150-263=100-200+50-63=-100-13=-113"])
        self.assertEqual(Working("- -5 * 2").lines, ["-(-5)=5", "5*2=10"])

    def test_a_broken_quotient_is_refused(self):
        for expression in ("7 / 2", "7 / 0", "1 + 7 / ( 2 - 2 )"):
            with self.assertRaises(ValueError):
                Working(expression)


if __name__ == "__main__":
    unittest.main()
