// Numbers as the page shows them.

export const count = (value) => Math.round(value).toLocaleString("en-US");

export function seconds(value) {
  if (value < 0.0995) return `${(value * 1000).toFixed(value < 0.00995 ? 1 : 0)} ms`;
  return `${value.toFixed(value < 9.995 ? 2 : 1)} s`;
}

/** For a guess: 1 s at least, and minutes as 2:03. */
export function wholeSeconds(value) {
  const whole = Math.max(Math.round(value), 1);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** Three significant digits or, above, whole numbers. */
export const rate = (value) => (value >= 100 ? count(value) : Number(value.toPrecision(3)).toString());

export const ratio = (value) => `${value >= 100 ? count(value) : value.toPrecision(3)}×`;

export const plural = (value, noun) => `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
