#include "eval/answers.h"

#include <gtest/gtest.h>

namespace fdllm::eval {
namespace {

// tests/e2e/eval_lm_eval_test.py compares these with lm-eval's filters on many more texts.
TEST(Answers, NumbersOfGsm8k) {
  EXPECT_EQ(strict_number("#### -1,234.5 then"), "-1,234.5");
  EXPECT_EQ(strict_number("####5 #### x #### 6 #### 7"), "6");
  EXPECT_EQ(strict_number("5"), kNoAnswer);
  EXPECT_EQ(strict_number("#### -"), kNoAnswer);
  EXPECT_EQ(flexible_number("10-5"), "-5");
  EXPECT_EQ(flexible_number("It costs $1,200."), "$1,200.");
  EXPECT_EQ(flexible_number("5, and more"), "5,");
  EXPECT_EQ(flexible_number("5 and , more"), "5");
  EXPECT_EQ(flexible_number(""), kNoAnswer);
  EXPECT_TRUE(same_gsm8k_answer("$1,200.", "so\n#### 1200"));
  EXPECT_FALSE(same_gsm8k_answer("1200.0", "#### 1200"));
  EXPECT_FALSE(same_gsm8k_answer(kNoAnswer, "#### 1200"));
}

TEST(Answers, CanonicalNumbers) {
  EXPECT_EQ(canonical_number("1,050.50"), "1050.5");
  EXPECT_EQ(canonical_number(" $7. "), "7");
  EXPECT_EQ(canonical_number("-0.0"), "0");
  EXPECT_EQ(canonical_number("-007"), "-7");
  EXPECT_EQ(canonical_number(".5"), "0.5");
  EXPECT_EQ(canonical_number("-$3"), "-3");
  for (const char* text : {"", ".", "-", "1.2.3", "1e5", "12a", "--1", "$", "1 2", "#"}) {
    EXPECT_EQ(canonical_number(text), std::nullopt) << text;
  }
}

TEST(Answers, AnyAnswers) {
  EXPECT_EQ(reference_answer("worked\n#### 7 \n"), "7");
  EXPECT_EQ(reference_answer(" yes "), "yes");
  EXPECT_EQ(given_answer("a #### 1\nb #### 2 \nafter 3", true), "2");
  EXPECT_EQ(given_answer("12 + 7 = 19. That is all...", true), "19.");
  EXPECT_EQ(given_answer("none", true), "");
  EXPECT_EQ(given_answer("I think\n\nParis \n", false), "Paris");
  EXPECT_EQ(given_answer("", false), "");
  EXPECT_EQ(given_answer("####", true), "");
  EXPECT_EQ(given_answer("#### Paris is it \nno", false), "Paris is it");
  EXPECT_TRUE(same_answer("1,000.0", "1000"));
  EXPECT_TRUE(same_answer(" Paris", "Paris "));
  EXPECT_FALSE(same_answer("paris", "Paris"));
  EXPECT_FALSE(same_answer("", "0"));
}

/// gsm8k's two readings (lm-eval's) and that of any questions say the same of what follows a mark.
TEST(Answers, AgreeOnWhatFollowsTheMark) {
  struct Case {
    const char* text;
    const char* number;
    bool strict;  ///< strict-match finds it too: it asks for "#### " and a bare number
  };
  for (const auto& [text, number, strict] : {Case{"#### 18", "18", true},
                                             {"#### 18 apples", "18", true},
                                             {"He has 3.\n#### 18 apples.\n", "18", true},
                                             {"#### 18.", "18", true},
                                             {"#### 18.00", "18", true},
                                             {"#### -3", "-3", true},
                                             {"#### -3 degrees", "-3", true},
                                             {"#### 1,234.50", "1234.5", true},
                                             {"#### $1,234.50", "1234.5", false},
                                             {"#### -$7", "-7", false},
                                             {"####18", "18", false},
                                             {"####   18", "18", false},
                                             {"#### The answer is 18", "18", false},
                                             {"#### 18\n#### 18 apples", "18", true}}) {
    SCOPED_TRACE(text);
    EXPECT_TRUE(same_answer(given_answer(text, true), number));
    EXPECT_TRUE(same_answer(flexible_number(text), number));
    if (strict) {
      EXPECT_TRUE(same_answer(strict_number(text), number));
    }
    EXPECT_EQ(strict, strict_number(text) != kNoAnswer);
  }
  // Of several marks the last one counts, as the last number does.
  EXPECT_EQ(given_answer("#### 17 \nWait.\n#### 18 of them", true), "18");
  EXPECT_EQ(flexible_number("#### 17 \nWait.\n#### 18 of them"), "18");
  // Where no number is expected, the line is the answer; where none is there, it is wrong.
  EXPECT_EQ(given_answer("#### none", true), "none");
}

TEST(Answers, LongTextsTakeLinearTime) {
  std::string text;
  for (int i = 0; i < 400'000; ++i) text += "$$ ";
  EXPECT_EQ(given_answer(text, true), "");
  EXPECT_EQ(given_answer("5" + text, true), "5$$");
}

}  // namespace
}  // namespace fdllm::eval
