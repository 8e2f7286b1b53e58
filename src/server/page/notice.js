// Errors in words, at the place where they can be put right.
import { ApiError } from "./api.js";
import { EntryError } from "./settings.js";
import { element } from "./dom.js";

function inWords(error) {
  if (error.status === 401) return `${error.message} Enter the key under “API key”.`;
  if (error.retryAfter) return `${error.message} (Try again in ${error.retryAfter} s.)`;
  return error.message;
}

/** A line that tells of errors at once. */
export class Notice {
  element = element("p", { class: "notice", role: "alert", hidden: true });

  clear() {
    this.element.hidden = true;
    this.element.textContent = "";
  }

  say(text) {
    this.element.hidden = false;
    this.element.textContent = text;
  }

  /** Shows `error` at its field of `form`, if it names one, and here. `reveal` opens the form. */
  show(error, form, reveal = () => {}) {
    if (!(error instanceof ApiError || error instanceof EntryError)) throw error;
    const words = inWords(error);
    if (error.param && form?.showError(error.param, error.message)) {
      reveal();
      form.focus(error.param);
    }
    this.say(words);
  }
}
