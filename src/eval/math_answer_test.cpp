#include "eval/math_answer.h"

#include <gtest/gtest.h>

#include "eval/latex_value.h"

namespace fdllm::eval {
namespace {

// tests/e2e/eval_lm_eval_test.py compares these with lm-eval's on many more texts.
TEST(MathAnswer, FinalAnswer) {
  EXPECT_EQ(final_math_answer("x\nFinal Answer: The final answer is $4$. I hope it is correct."),
            "$4$");
  EXPECT_EQ(final_math_answer("Final Answer: The final answer is $4$. "), "$4$");
  EXPECT_EQ(final_math_answer("Final Answer: The final answer is $4$."), "[invalidanswer]");
  EXPECT_EQ(final_math_answer("4"), "[invalidanswer]");
  EXPECT_EQ(final_math_answer(""), "[invalidanswer]");
}

TEST(MathAnswer, Boxed) {
  EXPECT_EQ(last_boxed(R"(\boxed{1} then \boxed{\frac{1}{2}}.)"), R"(\frac{1}{2})");
  EXPECT_EQ(last_boxed(R"($\boxed 7$)"), "7");
  EXPECT_EQ(last_boxed(R"(\fbox{x})"), "x");
  EXPECT_EQ(last_boxed(R"(\boxed{x)"), std::nullopt);
  EXPECT_EQ(last_boxed(R"(\boxed)"), std::nullopt);
  EXPECT_EQ(last_boxed("7"), std::nullopt);
}

TEST(MathAnswer, NormalForm) {
  EXPECT_EQ(normalized_math_answer("x = 12,345"), "12345");
  EXPECT_EQ(normalized_math_answer("0,1"), "0,1");
  EXPECT_EQ(normalized_math_answer(R"($\frac12$ cm)"), R"(\frac{1}{2})");
  EXPECT_EQ(normalized_math_answer(R"(\left(3\right) ft)"), R"(\left(3\right))");
  EXPECT_EQ(normalized_math_answer(R"(\sqrt[3]8 + \sqrt2)"), R"(\sqrt[3]{8}+\sqrt{2})");
  EXPECT_EQ(normalized_math_answer(R"(5\text{ square units})"), "5");
}

TEST(MathAnswer, HostileTextsEndSoon) {
  std::string text = "Final Answer: The final answer is ";
  for (int i = 0; i < 200'000; ++i) text += "\\text{";
  EXPECT_EQ(final_math_answer(text + ". I hope it is correct."), "[invalidanswer]");
  std::string hits;
  for (int i = 0; i < 50'000; ++i) hits += "Final Answer: The final answer is";
  EXPECT_EQ(final_math_answer(hits), "[invalidanswer]");
}

TEST(LatexValue, EqualFormulas) {
  EXPECT_TRUE(same_math_answer(R"(\frac{1}{2})", "0.5"));
  EXPECT_TRUE(same_math_answer("(x-1)(x+1)", "x^2-1"));
  EXPECT_TRUE(same_math_answer(R"(\sqrt{8})", R"(2\sqrt{2})"));
  EXPECT_TRUE(same_math_answer(R"(\left(x+1\right)y)", "yx+y"));
  EXPECT_TRUE(same_math_answer("x_{1}+x_2", "x_2+x_1"));
  EXPECT_TRUE(same_math_answer("[2,5)", "[2,5)"));
  EXPECT_FALSE(same_math_answer("[2,5)", "[2,5]"));
  EXPECT_FALSE(same_math_answer("x", "y"));
  EXPECT_FALSE(same_math_answer(R"(\sqrt{x^2})", "x"));
  EXPECT_FALSE(same_math_answer("0.333", R"(\frac{1}{3})"));
  EXPECT_FALSE(same_math_answer(R"(\frac{1}{0})", R"(\frac{2}{0})"));
  EXPECT_FALSE(same_math_answer("", ""));
}

TEST(LatexValue, PowersBindLikePowers) {
  EXPECT_NEAR(latex_value("-2^{2}", 0)->real(), -4, 1e-12);
  EXPECT_NEAR(latex_value("2^10", 0)->real(), 1024, 1e-9);
  EXPECT_NEAR(latex_value(R"(2\cdot3+4/2)", 0)->real(), 8, 1e-12);
  EXPECT_NEAR(latex_value(R"(\log_{2}8)", 0)->real(), 3, 1e-12);
  EXPECT_NEAR(latex_value(R"(4!)", 0)->real(), 24, 1e-9);
}

TEST(LatexValue, WhatIsNoFormulaHasNoValue) {
  const std::string deep(600, '(');
  const std::string minus(900, '-');
  const std::string powers = [] {
    std::string text;
    for (int i = 0; i < 150; ++i) text += "2^{";
    return text;
  }();
  for (const std::string& text :
       {std::string(), std::string("1,2"), std::string("\\frac{1}"), std::string("1+"),
        std::string("\\"), std::string("x_"), std::string("x_{"), std::string("\\left"),
        std::string("2^"), std::string("1..2"), std::string("\\infty"), std::string("a&b"),
        std::string("|"), std::string("0^{-1}"), deep, minus, powers, std::string(5000, '1')}) {
    EXPECT_EQ(latex_value(text, 0), std::nullopt) << text.substr(0, 20);
  }
}

}  // namespace
}  // namespace fdllm::eval
