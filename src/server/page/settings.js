// The decoding options as a form: what each does, what was entered, and what the server said of it.
import { element, uniqueId } from "./dom.js";

/** Options of which at most one is given: the rule is chosen by giving its number. */
const RULE_NUMBERS = ["threshold", "factor", "steps", "tokens_per_forward", "frechet",
  "entropy_bound", "margin", "relaxed_threshold"];

/** Rules as the form offers them, and the numbers that belong to each. One that is no number's name
 *  is a value of Dream's `alg`. */
const RULES = [
  { value: "", label: "The model's default", fields: [] },
  { value: "threshold", label: "Threshold", fields: ["threshold"] },
  { value: "factor", label: "Factor", fields: ["factor"], family: "llada" },
  { value: "steps", label: "Fixed steps", fields: ["steps"] },
  { value: "tokens_per_forward", label: "Fixed rate", fields: ["tokens_per_forward"] },
  { value: "frechet", label: "Fréchet profile", fields: ["frechet"] },
  { value: "entropy_bound", label: "Entropy bound", fields: ["entropy_bound"] },
  { value: "margin", label: "Margin", fields: ["margin"] },
  { value: "relaxed_threshold", label: "Local leap", fields: ["relaxed_threshold", "threshold"] },
  { value: "entropy", label: "Entropy", fields: ["steps"], family: "dream" },
  { value: "topk_margin", label: "Top-k margin", fields: ["steps"], family: "dream" },
  { value: "maskgit_plus", label: "MaskGIT plus", fields: ["steps"], family: "dream" },
  { value: "origin", label: "Origin", fields: ["steps"], family: "dream" },
];

/**
 * One control each. `help` says what the option does; `placeholder` the server's default; `family`
 * the models that have it; `more`: shown only on request.
 */
const FIELDS = [
  { name: "preset", kind: "choice", label: "Preset",
    choices: [["", "None"], ["exact", "Exact"], ["paper", "Paper"], ["fast", "Fast"],
      ["turbo", "Turbo"]],
    help: "Sets several of the options below at once. What is entered below counts more." },
  { name: "gen_length", kind: "integer", label: "Answer length", placeholder: "128",
    help: "Masked tokens after the prompt: the canvas." },
  { name: "block_length", kind: "integer", label: "Block length", placeholder: "32",
    help: "The canvas is decoded in blocks of so many tokens, from left to right." },
  { name: "cache", kind: "choice", label: "Cache",
    choices: [["", "Default (dual)"], ["none", "None"], ["prefix", "Prefix"], ["dual", "Dual"]],
    help: "Keys and values kept within a block: none recomputes everything each step, prefix keeps " +
      "what precedes the block, dual also what follows it." },
  { name: "rule", kind: "rule", label: "Unmasking rule",
    help: "Which of the tokens that a step has scored are committed." },
  { name: "threshold", kind: "number", label: "Threshold", placeholder: "0.9",
    help: "Commits every token at least this sure, from 0 to 1. Lower is faster and less careful." },
  { name: "factor", kind: "number", label: "Factor", placeholder: "1.0",
    help: "Commits more tokens at once the surer they are together. Higher is faster." },
  { name: "steps", kind: "integer", label: "Steps", placeholder: "128",
    help: "Steps for the whole canvas, shared equally by the blocks. As many as the answer has " +
      "tokens: one token a step." },
  { name: "tokens_per_forward", kind: "number", label: "Tokens a forward", placeholder: "4",
    help: "Commits the surest so many in every forward, however sure; fractions add up." },
  { name: "frechet", kind: "number", label: "Fréchet margin", placeholder: "0.25",
    help: "Commits what is surely right together, by all confidences. Smaller is faster." },
  { name: "entropy_bound", kind: "number", label: "Entropy bound", placeholder: "0.1",
    help: "Commits the most certain tokens within so many nats of doubt. Higher is faster." },
  { name: "margin", kind: "number", label: "Margin", placeholder: "0.5",
    help: "Commits every token that leads its rival by this probability. Lower is faster." },
  { name: "relaxed_threshold", kind: "number", label: "Threshold nearby", placeholder: "0.75",
    help: "Near a token that reaches the threshold, this suffices." },
  { name: "temperature", kind: "number", label: "Temperature", placeholder: "0",
    help: "0 takes the likeliest token; higher draws more freely." },
  { name: "seed", kind: "integer", label: "Seed", placeholder: "0",
    help: "Same seed, same draws. Without a temperature it changes nothing." },
  { name: "stop", kind: "lines", label: "Stop texts",
    help: "One a line, with \\n for a line break. The answer ends before the first of them." },
  { name: "top_p", kind: "number", label: "Top-p", placeholder: "1", more: true,
    help: "Draws only from the likeliest tokens that together have this probability." },
  { name: "top_k", kind: "integer", label: "Top-k", placeholder: "0", more: true,
    help: "Draws only from so many of the likeliest tokens; 0 from all." },
  { name: "alg_temp", kind: "number", label: "Position temperature", placeholder: "0",
    family: "dream", more: true,
    help: "Above 0, which positions are committed is drawn too, for the entropy, margin and " +
      "MaskGIT rules." },
  { name: "cfg_scale", kind: "number", label: "Guidance", placeholder: "0", family: "llada",
    more: true,
    help: "Classifier-free guidance towards the prompt: two forwards a step, only without a cache." },
  { name: "remasking", kind: "choice", label: "Confidence", family: "llada", more: true,
    choices: [["", "Default (probability)"], ["low_confidence", "Probability"], ["random", "Random"]],
    help: "How sure a token is: its probability, or a random number instead." },
  { name: "query", kind: "choice", label: "Rows of a step", more: true,
    choices: [["", "Default (all)"], ["all", "All of the window"], ["masked", "Masked ones"]],
    help: "Masked recomputes only the tokens still masked, and those just committed." },
  { name: "query_before", kind: "integer", label: "Rows before", placeholder: "0", more: true,
    help: "So many tokens before the block are recomputed in every step. More is more exact." },
  { name: "refresh", kind: "choice", label: "Refresh", more: true,
    choices: [["", "Default (each block)"], ["block", "Each block"], ["vicinity", "Around the block"],
      ["drift", "Where confidence falls"], ["never", "Never"]],
    help: "What is recomputed when a block begins. Less is faster and less exact." },
  { name: "refresh_interval", kind: "integer", label: "Refresh every", placeholder: "1", more: true,
    help: "Recomputes the whole canvas at every so many-th block." },
  { name: "refresh_radius", kind: "integer", label: "Refresh radius", placeholder: "32", more: true,
    help: "For a refresh around the block: how many tokens before and after it." },
  { name: "refresh_drift", kind: "number", label: "Refresh drift", placeholder: "0.1", more: true,
    help: "For a refresh where confidence falls: by how much it must have fallen." },
  { name: "suffix_window", kind: "integer", label: "Suffix window", more: true,
    help: "Only so many masks after the block, and the last token of the canvas, take part." },
  { name: "initial_length", kind: "integer", label: "Initial length", more: true,
    help: "Begins with so many masks and grows, up to the answer length, while no end is in sight." },
  { name: "early_commit", kind: "number", label: "Early commit", more: true,
    help: "Commits the whole block once every token leads its rival by this probability." },
  { name: "eos_stop", kind: "choice", label: "End token", more: true,
    choices: [["", "Default (stop there)"], ["true", "Stop there"], ["false", "Fill the canvas"]],
    help: "Whether to stop once everything before the first end token is settled." },
  { name: "ignore_eos", kind: "choice", label: "End tokens", more: true,
    choices: [["", "Default (allowed)"], ["false", "Allowed"], ["true", "Never drawn"]],
    help: "Never drawn makes the answer exactly as long as the answer length." },
  { name: "logits_eos_inf", kind: "choice", label: "End of text", family: "llada", more: true,
    choices: [["", "Default (allowed)"], ["false", "Allowed"], ["true", "Never drawn"]],
    help: "LLaDA's own option: the end-of-text token gets no probability." },
  { name: "confidence_eos_eot_inf", kind: "choice", label: "End tokens last", family: "llada",
    more: true,
    choices: [["", "Default (no)"], ["false", "No"], ["true", "Yes"]],
    help: "LLaDA's own option: end tokens are committed after all others of a block." },
  { name: "confidence", kind: "choice", label: "Bar compares with", more: true,
    choices: [["", "Default (raw)"], ["raw", "The raw probability"], ["reference", "The reference's"]],
    help: "The reference's takes Dream's probability after temperature, top-p and top-k." },
  { name: "correct", kind: "choice", label: "Reference's quirks", more: true,
    choices: [["", "Default (keep)"], ["false", "Keep"], ["true", "Leave out"]],
    help: "Keep decodes step for step as the public reference does; leave out drops its oddities." },
];

/** An entry that can't be sent; `param` is the field's name. */
export class EntryError extends Error {
  constructor(param, message) {
    super(message);
    this.param = param;
  }
}

function parse(field, entered) {
  if (field.kind === "lines") {
    const lines = entered.split("\n").filter((line) => line !== "");
    return lines.length ? lines.map((line) => line.replaceAll("\\n", "\n")) : undefined;
  }
  const text = entered.trim();
  if (text === "") return undefined;
  if (field.kind === "choice") return { true: true, false: false }[text] ?? text;
  const value = Number(text);
  if (!Number.isFinite(value)) throw new EntryError(field.name, `expected a number, found “${text}”`);
  if (field.kind === "integer" && !Number.isSafeInteger(value)) {
    throw new EntryError(field.name, `expected a whole number, found “${text}”`);
  }
  return value;
}

export class SettingsForm {
  #rows = new Map();
  #family = null;
  #onChange;

  constructor({ onChange = () => {}, without = [] } = {}) {
    this.#onChange = onChange;
    const more = element("details", { class: "more" }, element("summary", {}, "More options"));
    this.element = element("div", { class: "settings" });
    for (const field of FIELDS.filter(({ name }) => !without.includes(name))) {
      (field.more ? more : this.element).append(this.#row(field));
    }
    this.element.append(more);
    this.#arrange();
  }

  #row(field) {
    const id = uniqueId(field.name);
    const control = this.#control(field, id);
    control.addEventListener("input", () => {
      this.#setError(field.name, "");
      this.#arrange();
      this.#onChange();
    });
    const error = element("p", { class: "error", id: `${id}-error`, hidden: true });
    const row = element("div", { class: "field" },
      element("label", { for: id }, field.label), control, error,
      element("p", { class: "help", id: `${id}-help` }, field.help));
    row.dataset.field = field.name;
    this.#rows.set(field.name, { field, row, control, error });
    return row;
  }

  #control(field, id) {
    const common = { id, name: field.name, "aria-describedby": `${id}-error ${id}-help` };
    if (field.kind === "lines") return element("textarea", { ...common, rows: 2 });
    if (field.kind === "choice") {
      return element("select", common,
        ...field.choices.map(([value, label]) => element("option", { value }, label)));
    }
    if (field.kind === "rule") return element("select", common);
    return element("input", { ...common, type: "text", autocomplete: "off",
                              inputmode: field.kind === "integer" ? "numeric" : "decimal",
                              placeholder: field.placeholder });
  }

  /** Shows what applies to the model and to the rule that is chosen. */
  #arrange() {
    const applies = (item) => !item.family || !this.#family || item.family === this.#family;
    const rules = this.#rows.get("rule").control;
    const offered = RULES.filter(applies);
    if (offered.length !== rules.options.length) {
      const chosen = rules.value;
      rules.replaceChildren(...offered.map(({ value, label, family }) => element("option", { value },
        family && !this.#family ? `${label} (${family === "llada" ? "LLaDA" : "Dream"})` : label)));
      rules.value = offered.some(({ value }) => value === chosen) ? chosen : "";
    }
    const chosen = RULES.find(({ value }) => value === rules.value);
    for (const { field, row } of this.#rows.values()) {
      const ofRule = RULE_NUMBERS.includes(field.name);
      row.hidden = !applies(field) || (ofRule && !chosen.fields.includes(field.name));
    }
  }

  setFamily(family) {
    this.#family = ["llada", "dream"].includes(family) ? family : null;
    this.#arrange();
  }

  /** What is entered, by name, as text: for storing and for setValues(). */
  values() {
    const values = {};
    for (const [name, { control }] of this.#rows) {
      if (control.value !== "") values[name] = control.value;
    }
    return values;
  }

  setValues(values) {
    this.clearErrors();
    for (const [name, { control }] of this.#rows) {
      control.value = typeof values?.[name] === "string" ? values[name] : "";
      if (control.selectedIndex === -1) control.value = "";
    }
    this.#arrange();
  }

  /** The members of a request's body that say this. Throws EntryError, and shows it. */
  body() {
    this.clearErrors();
    const body = {};
    for (const [name, { field, row, control }] of this.#rows) {
      if (row.hidden) continue;
      if (field.kind === "rule") {
        if (!RULE_NUMBERS.includes(control.value) && control.value !== "") body.alg = control.value;
        continue;
      }
      try {
        const value = parse(field, control.value);
        if (value !== undefined) body[name] = value;
      } catch (error) {
        this.showError(error.param, error.message);
        throw error;
      }
    }
    return body;
  }

  /** "cache none, steps 128": what differs from the model's defaults. */
  summary() {
    const parts = [];
    for (const { field, row, control } of this.#rows.values()) {
      if (row.hidden || control.value === "" || field.kind === "rule") continue;
      parts.push(`${field.label.toLowerCase()} ${control.value.replaceAll("\n", " | ")}`);
    }
    const rule = this.#rows.get("rule").control.value;
    if (rule && !RULE_NUMBERS.includes(rule)) parts.push(rule);
    return parts.length ? parts.join(", ") : "the model's defaults";
  }

  /** Shows what is wrong at the field `param` and goes there; false where there is no such field. */
  showError(param, message) {
    const found = this.#rows.get(param === "alg" ? "rule" : param);
    if (!found) return false;
    found.row.hidden = false;
    const details = found.row.closest("details");
    if (details) details.open = true;
    this.#setError(found.field.name, message);
    return true;
  }

  focus(param) {
    this.#rows.get(param === "alg" ? "rule" : param)?.control.focus();
  }

  clearErrors() {
    for (const name of this.#rows.keys()) this.#setError(name, "");
  }

  #setError(name, message) {
    const { control, error } = this.#rows.get(name);
    error.textContent = message;
    error.hidden = message === "";
    if (message) control.setAttribute("aria-invalid", "true");
    else control.removeAttribute("aria-invalid");
  }
}
