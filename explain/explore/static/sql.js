// Completion in the editor, and what there is to ask about.

import { element } from "./colours.js";

const query = document.querySelector("#query");
const form = document.querySelector("#form");
let words = null;
let list = null;
let chosen = 0;

async function load() {
  const answer = await fetch("/api/vocabulary");
  if (!answer.ok) return;
  words = await answer.json();
  const cards = Object.entries(words.tables).map(([name, columns]) => element("section", {}, element("h3", {}, name), element("p", { class: "small soft mono" }, columns.join(", "))));
  const macros = Object.entries(words.macros).map(([name, of]) => element("li", { class: "mono" }, `${name}(${of})`));
  cards.push(element("section", {}, element("h3", {}, "Macros"), element("ul", { class: "small" }, ...macros)));
  document.querySelector("#words").replaceChildren(...cards);
}

function candidates() {
  const before = query.value.slice(0, query.selectionStart);
  const inText = (before.match(/'/g) || []).length % 2 === 1;
  const typed = (inText ? before.match(/[^']*$/) : before.match(/[A-Za-z_]\w*$/))?.[0] ?? "";
  const all = new Map();
  if (inText) for (const name of words.names) all.set(name, "name");
  else {
    for (const name of Object.keys(words.tables)) all.set(name, "table");
    for (const name of Object.keys(words.macros)) if (!all.has(name)) all.set(name, "macro");
    for (const [table, columns] of Object.entries(words.tables)) for (const name of columns) if (!all.has(name)) all.set(name, `of ${table}`);
  }
  const found = [...all].filter(([name]) => name.toLowerCase().startsWith(typed.toLowerCase()) && name !== typed);
  return { typed, found: found.slice(0, 30) };
}

function close() {
  list?.remove();
  list = null;
  query.removeAttribute("aria-activedescendant");
}

function open(asked) {
  close();
  if (!words) return;
  const { typed, found } = candidates();
  if (!found.length || (!asked && typed.length < 2)) return;
  chosen = 0;
  list = element("ul", { class: "completion", role: "listbox", id: "completion", "aria-label": "Completions" });
  found.forEach(([name, what], i) => {
    const item = element("li", { role: "option", id: `c${i}`, "aria-selected": i === 0 }, name, element("span", { class: "soft small" }, what));
    item.addEventListener("mousedown", (event) => { event.preventDefault(); take(name, typed); });
    list.append(item);
  });
  const lines = query.value.slice(0, query.selectionStart).split("\n").length;
  list.style.top = `${Math.min(lines * 20 + 34, query.offsetHeight + 24)}px`;
  query.parentElement.append(list);
  query.setAttribute("aria-activedescendant", "c0");
}

function take(name, typed) {
  const at = query.selectionStart;
  query.setRangeText(name, at - typed.length, at, "end");
  close();
  query.focus();
}

function step(by) {
  const items = [...list.children];
  items[chosen].setAttribute("aria-selected", false);
  chosen = (chosen + by + items.length) % items.length;
  items[chosen].setAttribute("aria-selected", true);
  items[chosen].scrollIntoView({ block: "nearest" });
  query.setAttribute("aria-activedescendant", `c${chosen}`);
}

query.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); form.requestSubmit(); return; }
  if (event.key === " " && event.ctrlKey) { event.preventDefault(); open(true); return; }
  if (!list) return;
  if (event.key === "ArrowDown") step(1);
  else if (event.key === "ArrowUp") step(-1);
  else if (event.key === "Escape") close();
  else if (event.key === "Enter" || event.key === "Tab") {
    const { typed, found } = candidates();
    if (found[chosen]) take(found[chosen][0], typed);
  } else return;
  event.preventDefault();
});
query.addEventListener("input", () => open(false));
query.addEventListener("blur", close);
load();
