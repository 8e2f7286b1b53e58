// The decoding options as a form, made of what the server's description of its API says of each.
import { element, uniqueId } from "./dom.js";

/** The groups that the description sorts options into, in the order of the form. */
const RULES = "Unmask rules";
const GROUPS = ["Lengths", "Rows", "Models of whole blocks", RULES, "Beside any rule", "Sampling", "Where an answer ends",
  "As the reference"];

const RULE = { name: "rule", kind: "rule", group: RULES, common: true, label: "Unmasking rule",
               help: "Which of the tokens that a step has scored are committed." };

const words = (name) => String(name).replaceAll("_", " ");
const titled = (name) => words(name).replace(/^./, (letter) => letter.toUpperCase());
const shown = (value) => ({ true: "on", false: "off" }[value] ?? words(value));

/** One control: its name and kind, its range or choices, and what holds where nothing is entered. */
function fieldOf([name, schema]) {
  const types = [schema.type ?? []].flat();
  const kind = schema.enum || types.includes("boolean") ? "choice" : schema.anyOf ? "lines"
    : ["integer", "number"].find((type) => types.includes(type)) ?? "text";
  return { name, kind, group: schema["x-group"], common: schema["x-common"] === true,
           label: titled(name), help: schema.description ?? "", otherwise: schema.default,
           choices: (schema.enum ?? [true, false]).filter((value) => value !== null),
           least: schema.exclusiveMinimum ?? schema.minimum ?? -Infinity,
           greatest: schema.maximum ?? Infinity };
}

/** What the server's /openapi.json says of the options of a chat and of the model's rules. */
export class OptionTable {
  constructor(api) {
    const properties = api?.components?.schemas?.ChatRequest?.properties ?? {};
    this.presets = properties.preset?.["x-values"] ?? {};
    this.rules = (api?.["x-rules"] ?? []).map((rule) => ({
      ...rule, value: rule.chosen_by === "alg" ? rule.name : rule.chosen_by }));
    const numbers = this.rules.flatMap((rule) => rule.numbers);
    const unused = api?.["x-unused-options"] ?? [];
    const fields = Object.entries(properties).map(fieldOf)
      .filter(({ name }) => !unused.includes(name))
      .filter(({ name, group }) => group === RULES ? numbers.includes(name)
                                                   : GROUPS.includes(group));
    this.fields = GROUPS.flatMap((group) => [
      ...(group === RULES ? [RULE] : []), ...fields.filter((field) => field.group === group)]);
  }
}

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
  if (field.kind === "text") return text;
  const value = Number(text);
  if (!Number.isFinite(value)) throw new EntryError(field.name, `expected a number, found “${text}”`);
  if (field.kind === "integer" && !Number.isSafeInteger(value)) {
    throw new EntryError(field.name, `expected a whole number, found “${text}”`);
  }
  if (value < field.least) {
    throw new EntryError(field.name, `expected at least ${field.least}, found ${text}`);
  }
  if (value > field.greatest) {
    throw new EntryError(field.name, `expected at most ${field.greatest}, found ${text}`);
  }
  return value;
}

export class SettingsForm {
  #rows = new Map();
  #table = new OptionTable();
  #waiting = {};  // values that were set before the options were known
  #onChange;
  #without;

  constructor({ onChange = () => {}, without = [] } = {}) {
    this.#onChange = onChange;
    this.#without = without;
    this.element = element("div", { class: "settings" });
  }

  /** Makes the form anew of these options, and keeps what is entered. */
  setTable(table) {
    const values = this.values();
    this.#table = table;
    this.#rows.clear();
    const more = element("details", { class: "more" }, element("summary", {}, "More options"));
    this.element.replaceChildren();
    for (const field of table.fields.filter(({ name }) => !this.#without.includes(name))) {
      // Numbers of rules show where theirs is chosen.
      const isSeen = field.common || field.group === RULES;
      (isSeen ? this.element : more).append(this.#row(field));
    }
    this.element.append(more);
    this.setValues(values);
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
      return element("select", common, element("option", { value: "" }, "Default"),
        ...field.choices.map((value) => element("option", { value: String(value) }, titled(shown(value)))));
    }
    if (field.kind === "rule") {
      return element("select", common, element("option", { value: "" }, "The model's default"),
        ...this.#table.rules.map(({ value, name, description }) =>
          element("option", { value, title: description }, titled(name))));
    }
    return element("input", { ...common, type: "text", autocomplete: "off",
                              inputmode: field.kind === "integer" ? "numeric" : "decimal" });
  }

  #chosenRule() {
    const value = this.#rows.get("rule")?.control.value;
    return this.#table.rules.find((rule) => rule.value === value);
  }

  /** Shows what the chosen rule takes, and what the chosen preset puts in place of defaults. */
  #arrange() {
    const numbers = this.#chosenRule()?.numbers ?? [];
    const preset = this.#table.presets[this.#rows.get("preset")?.control.value] ?? {};
    for (const { field, row, control } of this.#rows.values()) {
      row.hidden = field.group === RULES && field.kind !== "rule" && !numbers.includes(field.name);
      const otherwise = preset[field.name] ?? field.otherwise;
      if (field.kind === "choice") {
        control.options[0].textContent =
          otherwise === undefined ? "Default" : `Default (${shown(otherwise)})`;
      } else if (otherwise !== undefined && field.kind !== "rule") {
        control.placeholder = otherwise;
      }
    }
  }

  /** What is entered, by name, as text: for storing and for setValues(). */
  values() {
    if (this.#rows.size === 0) return this.#waiting;
    const values = {};
    for (const [name, { control }] of this.#rows) {
      if (control.value !== "") values[name] = control.value;
    }
    return values;
  }

  setValues(values) {
    this.#waiting = values ?? {};
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
        const rule = this.#chosenRule();
        if (rule?.chosen_by === "alg") body.alg = rule.name;
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
    const rule = this.#chosenRule();
    if (rule?.chosen_by === "alg") parts.push(rule.name);
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
