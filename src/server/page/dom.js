// Elements are made here and nowhere else: text is always set as text, never parsed as HTML, since
// it comes from a model.

/**
 * A new element. `properties`: `class`, `on` ({event: listener}), `hidden`, `disabled` and other
 * attributes; true sets an empty attribute, false, null and undefined set none.
 */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) made.addEventListener(event, listener);
    } else if (value === true) {
      made.setAttribute(name, "");
    } else if (value !== false && value !== null && value !== undefined) {
      made.setAttribute(name, value);
    }
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export function button(label, onClick, properties = {}) {
  return element("button", { type: "button", ...properties, on: { click: onClick } }, label);
}

let lastId = 0;

/** An id that no other element of the page has. */
export function uniqueId(stem) {
  lastId += 1;
  return `${stem}-${lastId}`;
}

/** Lets `text` grow with its content up to what its style allows. */
export function growWithText(textarea) {
  const fit = () => {
    textarea.style.height = "auto";
    textarea.style.height = `${textarea.scrollHeight + 2}px`;
  };
  textarea.addEventListener("input", fit);
  requestAnimationFrame(fit);
  return fit;
}

/** Hands a text to the user as a file. */
export function download(name, type, text) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}
