// Two settings on the same prompt, side by side.
import { button, element, growWithText, uniqueId } from "./dom.js";
import { legend } from "./canvas.js";
import { count, rate, ratio, seconds } from "./format.js";
import { Notice } from "./notice.js";
import { Player, replaySlowdown } from "./player.js";
import { Recording } from "./recording.js";
import { record } from "./run.js";
import { SettingsForm } from "./settings.js";

/** What a side may start from. A rule that the model lacks is its default then. */
const PRESETS = [
  { name: "One token a step, no cache",
    values: { gen_length: "128", cache: "none", rule: "tokens_per_forward",
              tokens_per_forward: "1" } },
  { name: "One token a step, dual cache",
    values: { gen_length: "128", block_length: "32", cache: "dual", rule: "tokens_per_forward",
              tokens_per_forward: "1" } },
  { name: "Threshold 0.9, no cache",
    values: { gen_length: "128", cache: "none", rule: "threshold", threshold: "0.9" } },
  { name: "Threshold 0.9, prefix cache",
    values: { gen_length: "128", block_length: "32", cache: "prefix", rule: "threshold",
              threshold: "0.9" } },
  { name: "Threshold 0.9, dual cache",
    values: { gen_length: "128", block_length: "32", cache: "dual", rule: "threshold",
              threshold: "0.9" } },
];
const BASELINE = 0;
const FASTEST = 4;

class Side {
  form = new SettingsForm({ onChange: () => this.#changed() });
  recording = null;

  constructor(name, preset) {
    this.name = name;
    this.player = new Player(`Denoising, ${name}`);
    const id = uniqueId("preset");
    this.preset = element("select", { id, on: { change: () => this.choose(this.preset.value) } },
      ...PRESETS.map((item, index) => element("option", { value: index }, item.name)),
      element("option", { value: "own" }, "Own settings"));
    this.summary = element("summary");
    this.details = element("details", { class: "own" }, this.summary, this.form.element);
    this.answer = element("p", { class: "text", "aria-live": "polite" });
    const heading = uniqueId("side");
    this.element = element("section", { class: "side-of-race", "aria-labelledby": heading },
      element("h3", { id: heading }, name),
      element("label", { for: id, class: "sr-only" }, `Settings, ${name}`), this.preset,
      this.details, this.player.element, this.answer);
    this.preset.value = String(preset);
    this.choose(preset);
  }

  choose(preset) {
    if (preset !== "own") this.form.setValues(PRESETS[preset].values);
    else this.details.open = true;
    this.summary.textContent = this.form.summary();
  }

  setTable(table) {
    this.form.setTable(table);
    this.summary.textContent = this.form.summary();
  }

  #changed() {
    this.preset.value = "own";
    this.summary.textContent = this.form.summary();
  }

  async run(prompt, options, model, signal) {
    this.recording = new Recording();
    this.answer.textContent = "";
    this.player.open(this.recording, true);
    this.element.setAttribute("aria-busy", "true");
    try {
      return await record("/v1/chat/completions",
        { model, messages: [{ role: "user", content: prompt }], ...options }, signal, this.recording,
        () => {
          this.player.update();
          this.answer.textContent = this.recording.answer;
        });
    } finally {
      this.element.removeAttribute("aria-busy");
      this.player.finish();
    }
  }
}

export class Race {
  #sides = [new Side("Left", BASELINE), new Side("Right", FASTEST)];
  #notice = new Notice();
  #abort = null;

  constructor(parts, model) {
    this.parts = parts;
    growWithText(parts.prompt);
    const [left, right] = this.#sides;
    parts.sides.append(left.element, right.element);
    parts.sides.before(this.#notice.element);
    parts.sides.after(legend());
    parts.form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.#abort) this.#abort.abort();
      else this.#start(model()?.id ?? "default");
    });
    parts.prompt.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || this.#abort) return;
      this.#start(model()?.id ?? "default");
    });
  }

  setTable(table) {
    for (const side of this.#sides) side.setTable(table);
  }

  async #start(model) {
    const { prompt, order, start, result } = this.parts;
    this.#notice.clear();
    result.replaceChildren();
    if (prompt.value.trim() === "") {
      this.#notice.say("Enter a prompt first.");
      prompt.focus();
      return;
    }
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    start.textContent = "Stop";
    const run = async (side) => {
      try {
        return await side.run(prompt.value, side.form.body(), model, signal);
      } catch (error) {
        this.#abort.abort();
        this.#notice.show(error, side.form, () => { side.details.open = true; });
        this.#notice.say(`${side.name}: ${this.#notice.element.textContent}`);
        return true;
      }
    };
    let stopped = false;
    if (order.value === "together") {
      stopped = (await Promise.all(this.#sides.map(run))).includes(true);
    } else {
      for (const side of this.#sides) stopped = stopped || await run(side);
    }
    this.#abort = null;
    start.textContent = "Start";
    if (!stopped) this.#compare();
  }

  #compare() {
    const [left, right] = this.#sides.map((side) => side.recording.figures());
    const row = (label, a, b, show, relation) => element("tr", {},
      element("th", { scope: "row" }, label), element("td", {}, show(a)), element("td", {}, show(b)),
      element("td", { class: "ratio" }, b > 0 && a > 0 ? relation(a, b) : "–"));
    const lessRight = (a, b) => ratio(a / b);
    const moreRight = (a, b) => ratio(b / a);
    const table = element("table", {},
      element("caption", {}, "Left against right"),
      element("thead", {}, element("tr", {}, ...["", "Left", "Right", "Ratio"].map(
        (text) => (text ? element("th", { scope: "col" }, text) : element("td"))))),
      element("tbody", {},
        row("Time", left.seconds, right.seconds, seconds, lessRight),
        row("Forwards", left.forwards, right.forwards, count, lessRight),
        row("Tokens", left.tokens, right.tokens, count, moreRight),
        row("Tokens/s", left.tokensPerSecond, right.tokensPerSecond, rate, moreRight)));
    const faster = left.seconds / right.seconds;
    const words = !Number.isFinite(faster) || faster <= 0 ? ""
      : faster >= 1 ? `Right was ${ratio(faster)} faster.` : `Left was ${ratio(1 / faster)} faster.`;
    this.parts.result.append(element("p", { class: "verdict" }, words), table,
      button("Replay both", () => {
        const slowdown = replaySlowdown(this.#sides.map((side) => side.recording));
        for (const side of this.#sides) side.player.play(slowdown);
      }));
  }
}
