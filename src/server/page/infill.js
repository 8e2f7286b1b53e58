// Texts with holes: the editor, its preview, and what the model put into the holes.
import { button, element, growWithText } from "./dom.js";
import { legend } from "./canvas.js";
import { plural } from "./format.js";
import { Notice } from "./notice.js";
import { Player } from "./player.js";
import { Recording } from "./recording.js";
import { record } from "./run.js";
import { SettingsForm } from "./settings.js";

const HOLE = /\[\[(\d{1,4})\]\]/g;

/** "a [[8]] b" as [{text, begin}, {hole: 8, begin, end}, {text, begin}], in order. */
export function parseHoles(text) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(HOLE)) {
    const hole = Number(match[1]);
    if (hole === 0) continue;
    if (match.index > end) parts.push({ text: text.slice(end, match.index), begin: end });
    end = match.index + match[0].length;
    parts.push({ hole, begin: match.index, end });
  }
  if (end < text.length) parts.push({ text: text.slice(end), begin: end });
  return parts;
}

/** A hole may be filled with end tokens, which have no text. */
function filledHole(text) {
  return text === "" ? element("mark", { class: "empty" }, "nothing") : element("mark", {}, text);
}

export class Infill {
  form = new SettingsForm({
    without: ["gen_length", "initial_length", "stop"],
    onChange: () => this.#summarise(),
  });
  #notice = new Notice();
  #abort = null;
  #player = new Player("Denoising of the text");

  constructor(parts, model) {
    this.parts = parts;
    this.#fit = growWithText(parts.text);
    parts.settings.append(this.form.element);
    parts.result.before(this.#notice.element);
    parts.text.addEventListener("input", () => this.#preview());
    parts.insert.addEventListener("click", () => this.#insert());
    parts.form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.#abort) this.#abort.abort();
      else this.#fill(model()?.id ?? "default");
    });
    this.#summarise();
    this.#preview();
  }

  #fit;

  setTable(table) {
    this.form.setTable(table);
    this.#summarise();
  }

  #summarise() {
    this.parts.summary.textContent = `Settings: ${this.form.summary()}`;
  }

  #insert() {
    const { text, size } = this.parts;
    const length = Number(size.value);
    this.#notice.clear();
    if (!Number.isInteger(length) || length < 1 || length > 9999) {
      this.#notice.say("A hole has 1 to 9999 tokens.");
      size.focus();
      return;
    }
    text.setRangeText(`[[${length}]]`, text.selectionStart, text.selectionEnd, "end");
    text.focus();
    this.#fit();
    this.#preview();
  }

  /** The text with its holes as buttons; each selects its mark in the editor. */
  #preview() {
    const { text, preview } = this.parts;
    const parts = parseHoles(text.value);
    preview.replaceChildren(...parts.map((part) => (part.hole
      ? button(`${part.hole}`, () => {
        text.focus();
        text.setSelectionRange(part.begin, part.end);
      }, { class: "hole", "aria-label": `Hole of ${plural(part.hole, "token")}: edit`,
           title: "Select in the text" })
      : part.text)));
  }

  async #fill(model) {
    const { text, fill, result, filled, canvas } = this.parts;
    const parts = parseHoles(text.value);
    this.#notice.clear();
    if (!parts.some((part) => part.hole)) {
      this.#notice.say("The text has no hole: insert one, or write [[8]] for a hole of 8 tokens.");
      text.focus();
      return;
    }
    this.#abort = new AbortController();
    const recording = new Recording();
    try {
      const options = this.form.body();
      fill.textContent = "Stop";
      result.hidden = false;
      filled.replaceChildren();
      if (!canvas.contains(this.#player.element)) canvas.append(this.#player.element, legend("given"));
      this.#player.open(recording, true);
      result.setAttribute("aria-busy", "true");
      const stopped = await record("/v1/infill",
        { model, parts: parts.map((part) => (part.hole ? { hole: part.hole } : part.text)), ...options },
        this.#abort.signal, recording, () => this.#player.update());
      if (stopped) this.#notice.say("Stopped.");
      else this.#show(parts, recording);
    } catch (error) {
      if (!recording.canvas) result.hidden = true;
      this.#notice.show(error, this.form, () => { this.parts.settings.open = true; });
    } finally {
      this.#abort = null;
      fill.textContent = "Fill the holes";
      result.removeAttribute("aria-busy");
      this.#player.finish();
    }
  }

  #show(parts, recording) {
    const texts = recording.parts;
    this.parts.filled.replaceChildren(...(texts?.length === parts.length
      ? parts.map((part, index) => (part.hole ? filledHole(texts[index]) : texts[index]))
      : [recording.answer]));
  }
}
