// A canvas with its figures, and a slider to replay it.
import { Canvas } from "./canvas.js";
import { button, element, uniqueId } from "./dom.js";
import { count, plural, rate, seconds, wholeSeconds } from "./format.js";

/** Seconds that a replay takes at most; longer recordings play faster than they ran. */
const LONGEST_REPLAY = 12;
/** And at least, so that a replay of a few milliseconds can be seen. */
const SHORTEST_REPLAY = 3;

/** How much slower than they ran `recordings` are replayed, so that they keep their proportions. */
export function replaySlowdown(recordings) {
  const longest = Math.max(...recordings.map((recording) => recording.steps.at(-1)?.seconds ?? 0));
  if (longest === 0) return 1;
  return Math.min(Math.max(longest, SHORTEST_REPLAY), LONGEST_REPLAY) / longest;
}

export class Player {
  #canvas = new Canvas();
  #recording = null;
  #live = false;
  #step = 0;
  #follow = true;
  #replay = null;

  constructor(name) {
    const slider = uniqueId("step");
    this.slider = element("input", {
      type: "range", id: slider, min: 0, max: 0, value: 0, disabled: true,
      on: { input: () => this.#seek(Number(this.slider.value)) },
    });
    this.playButton = button("Play", () => this.toggle(), { class: "play", disabled: true });
    this.caption = element("p", { class: "caption" });
    this.progress = element("progress", { max: 1, value: 0, "aria-label": "Committed tokens" });
    this.values = {};
    const figure = (key, label) => {
      this.values[key] = element("dd", {}, "–");
      return element("div", {}, element("dt", {}, label), this.values[key]);
    };
    this.element = element("figure", { class: "player", "aria-label": name },
      element("dl", { class: "figures" },
        figure("forwards", "forwards"), figure("tokens", "tokens"), figure("seconds", "time"),
        figure("speed", "tokens/s")),
      this.progress, this.#canvas.element,
      element("div", { class: "transport" }, this.playButton,
        element("label", { for: slider, class: "sr-only" }, "Step"), this.slider),
      this.caption);
  }

  get recording() { return this.#recording; }

  /** Shows `recording`, as it grows where it is live, else its last step. */
  open(recording, live = false) {
    this.stop();
    this.#recording = recording;
    this.#live = live;
    this.#follow = true;
    this.#canvas.clear();
    this.slider.disabled = true;
    this.playButton.disabled = true;
    this.progress.value = 0;
    this.caption.textContent = "";
    for (const value of Object.values(this.values)) value.textContent = "–";
    this.update();
  }

  /** The recording has grown. */
  update() {
    const recording = this.#recording;
    if (!recording?.canvas) return;
    const last = recording.stepCount;
    this.slider.max = last;
    this.slider.disabled = last === 0;
    this.playButton.disabled = last === 0 || this.#live;
    if (this.#follow) this.#step = last;
    this.#show();
    const { forwards, tokens, seconds: time, tokensPerSecond, refreshForwards } = recording.figures();
    const { values } = this;
    values.forwards.textContent = count(forwards);
    values.forwards.title = refreshForwards === null ? ""
      : `${count(refreshForwards)} over the whole canvas`;
    values.tokens.textContent = count(tokens);
    values.seconds.textContent = seconds(time);
    values.speed.textContent = rate(tokensPerSecond);
  }

  /** The recording is complete. */
  finish() {
    this.#live = false;
    this.update();
  }

  toggle() {
    if (this.#replay) {
      this.stop();
    } else {
      this.play(replaySlowdown([this.#recording]));
    }
  }

  /** Replays at the pace of the recording times `slowdown`; from the start if it stands at the end. */
  play(slowdown) {
    this.stop();
    const { steps, stepCount } = this.#recording;
    if (stepCount === 0) return;
    if (this.#step === stepCount) this.#step = 0;
    this.#show();
    const timeOf = (step) => (step === 0 ? 0 : steps[step - 1].seconds * slowdown);
    const offset = timeOf(this.#step);
    const start = performance.now();
    const tick = () => {
      const now = offset + (performance.now() - start) / 1000;
      while (this.#step < stepCount && timeOf(this.#step + 1) <= now) this.#step += 1;
      this.#show();
      if (this.#step === stepCount) this.stop();
      else this.#replay = requestAnimationFrame(tick);
    };
    this.playButton.textContent = "Pause";
    this.#replay = requestAnimationFrame(tick);
  }

  stop() {
    cancelAnimationFrame(this.#replay);
    this.#replay = null;
    this.playButton.textContent = "Play";
  }

  #seek(step) {
    this.stop();
    this.#step = step;
    this.#follow = step === this.#recording.stepCount;
    this.#show();
  }

  /** How far a long forward is, in words; empty where none runs. */
  #forwardText() {
    const forward = this.#live ? this.#recording.forward : null;
    if (!forward) return "";
    const { layers_done: done, layers, seconds: time, rows } = forward;
    const left = done > 0 && done < layers && time >= 0.5
      ? `, ${wholeSeconds(time * (layers - done) / done)} left` : "";
    return `layer ${done} of ${layers} for ${plural(rows, "token")}${left}`;
  }

  #show() {
    const recording = this.#recording;
    const last = recording.stepCount;
    const step = this.#step;
    this.slider.value = step;
    this.#canvas.show(recording, step, this.#live || step < last);
    const masked = recording.maskedCount(step);
    const forward = this.#forwardText();
    const reading = step === 0 && forward !== "";
    const text = reading ? `First forward: ${forward}`
      : step === 0 ? `Before the first step, ${count(masked)} masked`
      : `Step ${step} of ${last}, block ${recording.liveBlock(step) + 1} of ${recording.blockCount}: ` +
        `committed ${plural(recording.steps[step - 1].committed.length, "token")}, ` +
        `${count(masked)} masked`;
    this.caption.textContent = forward && !reading ? `${text}; next: ${forward}` : text;
    this.slider.setAttribute("aria-valuetext", text);
    const given = recording.canvas.fixed.length;
    this.progress.value = reading ? recording.forward.layers_done / recording.forward.layers
      : 1 - masked / Math.max(recording.length - given, 1);
    this.progress.setAttribute("aria-label", reading ? "First forward" : "Committed tokens");
    this.progress.title = `${Math.round(this.progress.value * 100)} % of the ` +
      (reading ? "first forward" : "canvas");
  }
}
