// MATH (Hendrycks et al. 2021) with the prompts and the answer normalisation of Minerva (Lewkowycz
// et al. 2022), as lm-eval 0.4's minerva_math tasks use them. The four shots are Minerva's.
#include "base/check.h"
#include "eval/data.h"
#include "eval/latex_value.h"
#include "eval/math_answer.h"
#include "eval/shots.h"
#include "eval/task_table.h"

namespace fdllm::eval {
namespace {

constexpr std::int32_t kShots = 4;

std::string worded(const std::string& problem) {
  return "Problem:\n" + problem + "\n\nSolution:";
}

std::vector<Shot> shots() {
  return {
      {worded(R"(Find the domain of the expression  $\frac{\sqrt{x-2}}{\sqrt{5-x}}$.)"),
       R"(The expressions inside each square root must be non-negative. Therefore, $x-2 \ge 0$, so )"
       R"($x\ge2$, and $5 - x \ge 0$, so $x \le 5$. Also, the denominator cannot be equal to zero, )"
       R"(so $5-x>0$, which gives $x<5$. Therefore, the domain of the expression is )"
       R"($\boxed{[2,5)}$.)"
       "\n"
       R"(Final Answer: The final answer is $[2,5)$. I hope it is correct.)"},
      {worded(R"(If $\det \mathbf{A} = 2$ and $\det \mathbf{B} = 12,$ then find )"
              R"($\det (\mathbf{A} \mathbf{B}).$)"),
       R"(We have that $\det (\mathbf{A} \mathbf{B}) = (\det \mathbf{A})(\det \mathbf{B}) = )"
       R"((2)(12) = \boxed{24}.$)"
       "\n"
       R"(Final Answer: The final answer is $24$. I hope it is correct.)"},
      {worded("Terrell usually lifts two 20-pound weights 12 times. If he uses two 15-pound "
              "weights instead, how many times must Terrell lift them in order to lift the same "
              "total weight?"),
       R"(If Terrell lifts two 20-pound weights 12 times, he lifts a total of )"
       R"($2\cdot 12\cdot20=480$ pounds of weight.  If he lifts two 15-pound weights instead for )"
       R"($n$ times, he will lift a total of $2\cdot15\cdot n=30n$ pounds of weight.  Equating )"
       R"(this to 480 pounds, we can solve for $n$:)"
       "\n"
       R"(\begin{align*})"
       "\n"
       R"(30n&=480\\)"
       "\n"
       R"(\Rightarrow\qquad n&=480/30=\boxed{16})"
       "\n"
       R"(\end{align*})"
       "\n"
       R"(Final Answer: The final answer is $16$. I hope it is correct.)"},
      {worded("If the system of equations\n\n"
              R"(\begin{align*})"
              "\n"
              R"(6x-4y&=a,\\)"
              "\n"
              R"(6y-9x &=b.)"
              "\n"
              R"(\end{align*}has a solution $(x, y)$ where $x$ and $y$ are both nonzero,)"
              "\n"
              R"(find $\frac{a}{b},$ assuming $b$ is nonzero.)"),
       R"(If we multiply the first equation by $-\frac{3}{2}$, we obtain)"
       "\n\n"
       R"($$6y-9x=-\frac{3}{2}a.$$Since we also know that $6y-9x=b$, we have)"
       "\n\n"
       R"($$-\frac{3}{2}a=b\Rightarrow\frac{a}{b}=\boxed{-\frac{2}{3}}.$$)"
       "\n"
       R"(Final Answer: The final answer is $-\frac{2}{3}$. I hope it is correct.)"},
  };
}

Extraction extract(const Item& item, std::string_view text, bool /*chat*/) {
  Extraction result;
  result.extracted = normalized_math_answer(final_math_answer(text));
  result.correct = same_math_answer(result.extracted, item.expected);
  return result;
}

}  // namespace

Task load_math(const TaskOptions& options) {
  Task task;
  task.name = "math";
  task.stop = task.chat_stop = {"Problem:"};
  task.extract = extract;
  const DataFile file = read_data(options.data);
  task.data_hash = file.hash;
  for (const DataLine& line : file.lines) {
    const auto boxed = last_boxed(line.text("solution"));
    if (!boxed) {
      fail(ErrorCode::kInvalidArgument, "{}: 'solution': expected a \\boxed answer in it",
           line.where());
    }
    Item item;
    item.id = line.has("unique_id") ? line.value("unique_id") : std::to_string(task.items.size());
    item.question = worded(line.text("problem"));
    item.expected = normalized_math_answer(*boxed);
    task.items.push_back(std::move(item));
  }
  add_fixed_shots(task, options, shot_count(options, kShots), shots());
  return task;
}

}  // namespace fdllm::eval
