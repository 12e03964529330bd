// Colours of points: Okabe and Ito's for categories, viridis for numbers.

export const CATEGORIES = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a6d3b", "#7b68c4", "#b8b000", "#8c8f94"];
const VIRIDIS = [[68, 1, 84], [71, 44, 122], [59, 81, 139], [44, 113, 142], [33, 144, 141], [39, 173, 129], [92, 200, 99], [170, 220, 50], [253, 231, 37]];
const NONE = [140, 143, 148];

export function rgb(hex) {
  return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
}

export function isDark() {
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

// The darkest part does not show on a dark ground, nor the lightest on a light one.
export function onScale(share) {
  const [first, last] = isDark() ? [0.22, 1] : [0, 0.94];
  const place = (first + (last - first) * Math.min(Math.max(share, 0), 1)) * (VIRIDIS.length - 1);
  const i = Math.min(Math.floor(place), VIRIDIS.length - 2);
  return VIRIDIS[i].map((part, k) => Math.round(part + (place - i) * (VIRIDIS[i + 1][k] - part)));
}

// Bytes r, g, b, a of each value; what has none is grey and faint.
export function coloured(values, { categories, low, high }, alpha) {
  const bytes = new Uint8Array(4 * values.length);
  const palette = categories.map((_, i) => rgb(CATEGORIES[i % CATEGORIES.length]));
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    const known = Number.isFinite(value);
    const of = !known ? NONE : categories.length ? palette[value] : onScale((value - low) / (high - low));
    bytes.set([...of, known ? alpha : alpha / 3], 4 * i);
  }
  return bytes;
}

export function written(value) {
  if (value === null || !Number.isFinite(value)) return "–";
  const text = Math.abs(value) >= 1e5 || (value !== 0 && Math.abs(value) < 1e-4) ? value.toExponential(2) : String(Number(value.toPrecision(4)));
  return text.replace("-", "−");
}

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// A formula with its numbers as subscripts.
export function formula(text) {
  return text.split(/(\d+(?:\.\d+)?)/).map((part, i) => (i % 2 ? element("sub", {}, part) : part));
}

// A filled circle for a legend; styles in attributes are not allowed here, presentation attributes are.
export function dot(colour) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const circle = document.createElementNS(space, "circle");
  svg.setAttribute("viewBox", "0 0 12 12");
  svg.setAttribute("aria-hidden", "true");
  for (const [key, value] of Object.entries({ cx: 6, cy: 6, r: 5.2, fill: colour, stroke: "#55585d", "stroke-width": 0.8 })) circle.setAttribute(key, value);
  svg.append(circle);
  return svg;
}
