// The grid of tokens: one cell a position, one box a block.
import { element } from "./dom.js";

const SPECIAL = /^<[|｜].*[|｜]>$|^<\/?s>$|^\[[A-Z]+\]$/;

/** A token as a cell shows it: blanks that carry meaning become visible. */
export function visible(text) {
  if (text === "") return "";
  if (/^ +$/.test(text)) return "␣";
  if (SPECIAL.test(text)) return text.replace(/^[<[|/｜]+|[|>\]｜]+$/g, "");
  return text.replace(/\r?\n/g, "⏎").replace(/\t/g, "⇥").trim();
}

function describe(position, cell) {
  if (cell.kind === "masked") return `${position}: masked`;
  const token = JSON.stringify(cell.text);
  if (cell.kind === "provisional") {
    return `${position}: ${token}, ${Math.round(cell.confidence * 100)} % sure, still masked`;
  }
  return cell.kind === "given" ? `${position}: ${token}, given` : `${position}: ${token}`;
}

export class Canvas {
  element = element("div", { class: "canvas", role: "img", "aria-label": "Empty canvas" });
  /** The recording's canvas that the cells were made for. */
  #canvas = null;
  #cells = [];
  #blocks = [];
  #shown = [];

  clear() {
    this.#canvas = null;
    this.element.replaceChildren();
    this.element.setAttribute("aria-label", "Empty canvas");
  }

  /** Makes a cell for each of `recording`'s positions. */
  #layOut(recording) {
    this.#canvas = recording.canvas;
    this.#cells = [];
    this.#blocks = [];
    this.#shown = [];
    for (const { index, length } of recording.blocks()) {
      const block = element("div", { class: "block" });
      block.dataset.index = index;
      block.style.setProperty("--length", length);
      for (let i = 0; i < length; i += 1) {
        const cell = element("span", { class: "cell" });
        this.#cells.push(cell);
        block.append(cell);
      }
      this.#blocks.push(block);
    }
    this.element.replaceChildren(...this.#blocks);
  }

  show(recording, step, live) {
    if (this.#canvas !== recording.canvas) this.#layOut(recording);
    const cells = recording.cells(step);
    cells.forEach((cell, position) => this.#draw(position, cell));
    const liveIndex = String(recording.liveBlock(step));
    for (const block of this.#blocks) {
      block.classList.toggle("live", live && block.dataset.index === liveIndex);
    }
    const of = (...kinds) => cells.filter((cell) => kinds.includes(cell.kind)).length;
    this.element.setAttribute("aria-label",
      `Canvas of ${cells.length} tokens: ${of("fresh", "committed")} committed, ` +
      `${of("provisional")} provisional, ${of("masked")} masked` +
      (of("given") ? `, ${of("given")} given` : ""));
  }

  #draw(position, cell) {
    const key = `${cell.kind} ${cell.confidence} ${cell.text}`;
    if (this.#shown[position] === key) return;
    this.#shown[position] = key;
    const box = this.#cells[position];
    const text = visible(cell.text);
    box.className = `cell ${cell.kind}`;
    box.classList.toggle("special", SPECIAL.test(cell.text));
    box.classList.toggle("long", text.length > 6);
    box.textContent = text;
    box.title = describe(position, cell);
    box.style.setProperty("--confidence", cell.confidence.toFixed(3));
  }
}

/** What the colours of a canvas mean; `more` are entries of its own. */
export function legend(...more) {
  const entry = (kind, text) => element("li", {},
    element("span", { class: `cell ${kind}`, "aria-hidden": "true" }), text);
  return element("ul", { class: "legend", "aria-label": "What the cells mean" },
    entry("masked", "masked"), entry("provisional low", "provisional, unsure"),
    entry("provisional high", "provisional, sure"), entry("fresh", "committed in this step"),
    entry("committed", "committed"), ...more.map((kind) => entry(kind, kind)));
}
