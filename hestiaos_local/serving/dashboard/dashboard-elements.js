// Makes elements. A child that is a string becomes a text node, whatever is in it.

export const find = (selector) => document.querySelector(selector);

export function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...children);
  return made;
}

// Text of the server's callers: whatever direction it has, what stands beside it keeps its own.
export const quoted = (text) => element("bdi", {}, String(text ?? ""));

export function button(text, pressed, attributes = {}) {
  const made = element("button", { type: "button", ...attributes }, text);
  made.addEventListener("click", pressed);
  return made;
}

// A time in the user's own form, with the date where that is not today's.
export function moment(timestamp) {
  const date = new Date(timestamp);
  if (Number.isNaN(date.getTime())) return quoted(timestamp);
  const isToday = date.toDateString() === new Date().toDateString();
  const text = isToday ? date.toLocaleTimeString() : date.toLocaleString();
  return element("time", { datetime: date.toISOString(), title: date.toISOString() }, text);
}

// So many seconds in the largest unit that they are whole in.
export function duration(seconds) {
  const units = [["d", 86400], ["h", 3600], ["min", 60]];
  const [unit, size] = units.find(([, each]) => seconds >= each && seconds % each === 0) ?? ["s", 1];
  return `${(seconds / size).toLocaleString()} ${unit}`;
}

// The terms and descriptions of all that an object has.
export function pairs(values) {
  return Object.entries(values)
    .filter(([, value]) => value !== null && value !== "" && value?.length !== 0)
    .flatMap(([name, value]) => [element("dt", {}, name.replaceAll("_", " ")), element("dd", {}, ...shown(value))]);
}

function shown(value) {
  if (typeof value === "number" && !Number.isInteger(value)) return [value.toLocaleString(undefined, { maximumFractionDigits: 3 })];
  if (typeof value !== "object") return [String(value)];
  if (!Array.isArray(value)) return [element("dl", {}, ...pairs(value))];
  if (value.every((each) => typeof each !== "object")) return [value.join(", ")];
  return value.flatMap(shown);
}
