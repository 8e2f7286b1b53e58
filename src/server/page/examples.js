// Questions to begin with.

/** What the models that come with fast-dllm have learned, and nothing else: arithmetic. */
const MINI = [
  "Calculate 12 + 7 - 3.",
  "Calculate ( 48 / 6 ) + 17.",
  "State the final answer to the following arithmetic problem: 657 - 233 + 478 =",
  "James gets 160 emails a day. 30% of those emails don't require any response. James responds to " +
    "the rest of them. How many emails does James respond to in a 5 day work week? Give the result " +
    "as your final answer. Do not include units.",
];
const NANO = [
  "Compute 6 + 17.",
  "Uma buys 5 stamps for 6 dollars each and pays with 45 dollars. How many dollars does Uma get back?",
];

const GENERAL = [
  "Explain in two sentences what a hash table is.",
  "A train leaves at 9:40 and arrives at 12:05. How long does it take?",
  "Write a Python function that tells whether a word is a palindrome.",
];

/** The shipped models by their number of parameters, which no name that one is served under hides:
 *  llada-mini, dream-mini, llada-nano, and dream-nano, which gets none right. */
const SHIPPED = new Map([[4086720, MINI], [4089408, MINI], [992384, NANO], [927360, []]]);

/** Questions that `model`, an entry of /v1/models, can be expected to answer. */
export function examplesFor(model) {
  if (model.chat === false) return [];
  return SHIPPED.get(model.parameters) ?? GENERAL;
}
