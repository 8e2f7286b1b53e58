// One answer as it denoised: everything the canvas, its slider and its figures are drawn from.

const isPosition = (value, length) => Number.isInteger(value) && value >= 0 && value < length;

/** Tuples [position, text, ...] of an event that lie on the canvas. */
function tuples(list, length) {
  return (Array.isArray(list) ? list : []).filter(
    (item) => Array.isArray(item) && isPosition(item[0], length) && typeof item[1] === "string");
}

const isForward = (forward) => Number.isInteger(forward?.layers_done) && forward.layers > 0 &&
  Number.isFinite(forward.seconds) && Number.isInteger(forward.rows);

/**
 * Step 0 is the canvas before any forward, step k the one after the k-th event. A cell is
 * {kind, text, confidence}; kinds: "given" (an infill's own text), "masked", "provisional" (scored
 * in this step, but left masked), "fresh" (committed in this step) and "committed".
 */
export class Recording {
  canvas = null;
  steps = [];
  usage = null;
  answer = "";
  finishReason = null;
  /** Parts of an infilled text, in the order of the request. */
  parts = null;
  /** {layers_done, layers, rows, seconds} of a long forward whose step has not come yet. */
  forward = null;
  /** Seconds from sending the request to its end, as seen here. */
  seconds = 0;

  #committedAt = [];
  #texts = [];

  get length() { return this.canvas ? this.canvas.gen_length : 0; }
  get stepCount() { return this.steps.length; }

  /** Takes one chunk of a stream that arrived `seconds` after the request was sent. */
  add(chunk, seconds) {
    this.seconds = seconds;
    const choice = Array.isArray(chunk.choices) ? chunk.choices[0] : undefined;
    if (typeof choice?.delta?.content === "string") this.answer += choice.delta.content;
    if (typeof choice?.finish_reason === "string") this.finishReason = choice.finish_reason;
    if (Array.isArray(chunk.parts)) this.parts = chunk.parts.filter((part) => typeof part === "string");
    if (typeof chunk.text === "string") this.answer = chunk.text;
    if (typeof chunk.finish_reason === "string") this.finishReason = chunk.finish_reason;
    if (chunk.usage && typeof chunk.usage === "object") this.usage = chunk.usage;
    if (isForward(chunk.forward)) this.forward = chunk.forward;
    const event = chunk.denoising;
    if (event?.canvas) this.#open(event.canvas);
    else if (event && this.canvas) this.#step({ ...event, seconds });
  }

  #open(canvas) {
    const length = canvas.gen_length;
    if (!Number.isInteger(length) || length < 1 || length > 1e6) return;
    const block = Number.isInteger(canvas.block_length) && canvas.block_length > 0
      ? Math.min(canvas.block_length, length) : length;
    const blockBegin = isPosition(canvas.block_begin, length) ? canvas.block_begin : 0;
    this.canvas = { ...canvas, block_length: block, block_begin: blockBegin,
                    fixed: tuples(canvas.fixed, length) };
    this.steps = [];
    this.#committedAt = new Array(length).fill(Infinity);
    this.#texts = new Array(length).fill("");
    for (const [position, text] of this.canvas.fixed) {
      this.#committedAt[position] = -1;
      this.#texts[position] = text;
    }
  }

  #step(event) {
    this.forward = null;
    const committed = tuples(event.committed, this.length);
    this.steps.push({
      forwards: Number.isFinite(event.forwards) ? event.forwards : this.steps.length + 1,
      block: Number.isInteger(event.block) ? event.block : 0,
      query: Array.isArray(event.query) ? event.query : null,
      masked: Number.isInteger(event.masked) ? event.masked : null,
      seconds: event.seconds,
      committed,
      provisional: tuples(event.provisional, this.length),
    });
    for (const [position, text] of committed) {
      if (this.#committedAt[position] !== Infinity) continue;
      this.#committedAt[position] = this.steps.length;
      this.#texts[position] = text;
    }
  }

  /** All cells of the canvas after `step`. */
  cells(step) {
    const cells = this.#committedAt.map((at, position) => {
      if (at > step) return { kind: "masked", text: "", confidence: 0 };
      const kind = at === -1 ? "given" : at === step ? "fresh" : "committed";
      return { kind, text: this.#texts[position], confidence: 1 };
    });
    for (const [position, text, confidence] of step > 0 ? this.steps[step - 1].provisional : []) {
      if (cells[position].kind !== "masked") continue;
      const sure = Number.isFinite(confidence) ? Math.min(Math.max(confidence, 0), 1) : 0;
      cells[position] = { kind: "provisional", text, confidence: sure };
    }
    return cells;
  }

  /** {index, length} of the canvas's blocks in order; index -1 is what precedes an infill's first
   *  hole, where its blocks begin. */
  blocks() {
    const { block_length: blockLength, block_begin: begin } = this.canvas;
    const blocks = begin > 0 ? [{ index: -1, length: begin }] : [];
    for (let at = begin; at < this.length; at += blockLength) {
      blocks.push({ index: (at - begin) / blockLength, length: Math.min(blockLength, this.length - at) });
    }
    return blocks;
  }

  get blockCount() {
    return Math.ceil((this.length - this.canvas.block_begin) / this.canvas.block_length);
  }

  /** The index of the block that `step` worked on; before step 1, of the first one. */
  liveBlock(step) {
    return this.steps[Math.max(step, 1) - 1]?.block ?? 0;
  }

  /** How many tokens the steps up to `step` have committed. */
  committedCount(step = this.steps.length) {
    return this.#committedAt.reduce((sum, at) => sum + (at > 0 && at <= step ? 1 : 0), 0);
  }

  maskedCount(step = this.steps.length) {
    return this.#committedAt.reduce((sum, at) => sum + (at > step ? 1 : 0), 0);
  }

  /** Forwards, tokens, seconds and tokens/s: the server's own figures once it has sent them. */
  figures() {
    const forwards = this.usage?.forwards ?? this.steps.at(-1)?.forwards ?? 0;
    const tokens = this.usage?.completion_tokens ?? this.committedCount();
    const time = this.usage?.seconds ?? this.seconds;
    const speed = this.usage?.tokens_per_second ?? (time > 0 ? tokens / time : 0);
    return { forwards, tokens, seconds: time, tokensPerSecond: speed,
             refreshForwards: this.usage?.refresh_forwards ?? null };
  }

  toJSON() {
    const { canvas, steps, usage, answer, finishReason, parts, seconds } = this;
    return { canvas, steps, usage, answer, finishReason, parts, seconds };
  }

  /** The recording that toJSON() gave, or null where `stored` is none. */
  static fromJSON(stored) {
    if (!stored || typeof stored !== "object" || !stored.canvas || !Array.isArray(stored.steps)) {
      return null;
    }
    const recording = new Recording();
    recording.#open(stored.canvas);
    if (!recording.canvas) return null;
    for (const step of stored.steps) {
      if (step && typeof step === "object") recording.#step(step);
    }
    recording.usage = stored.usage && typeof stored.usage === "object" ? stored.usage : null;
    recording.answer = typeof stored.answer === "string" ? stored.answer : "";
    recording.finishReason = typeof stored.finishReason === "string" ? stored.finishReason : null;
    recording.parts = Array.isArray(stored.parts) ? stored.parts.map(String) : null;
    recording.seconds = Number.isFinite(stored.seconds) ? stored.seconds : 0;
    return recording;
  }
}
