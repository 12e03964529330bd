// The map of a space: points by WebGL, the chosen ones as a list; the address holds all of it.

import { CATEGORIES, coloured, dot, element, formula, onScale, written } from "./colours.js";
import { Scatter } from "./scatter.js";

const form = document.querySelector("#choice");
const said = document.querySelector("#said");
const SHOWN = 60;

// Whose texts is asked of a space of texts alone.
const space = document.querySelector("#encoder");
const texts = document.querySelector("#text");
function askForTexts() {
  if (!texts) return;
  texts.disabled = space.selectedOptions[0].dataset.kind !== "text";
  texts.parentElement.hidden = texts.disabled;
}
space?.addEventListener("change", askForTexts);
askForTexts();

function address(changes = {}) {
  const pairs = new URLSearchParams(form ? new FormData(form) : {});
  if (!pairs.get("text")) pairs.delete("text");
  for (const [name, value] of Object.entries(changes)) value ? pairs.set(name, value) : pairs.delete(name);
  return pairs;
}

async function load() {
  const pairs = address({ format: "packed" });
  if (["tsne", "umap"].includes(pairs.get("method"))) said.textContent = "Computing; this takes minutes the first time, and is kept …";
  const answer = await fetch(`/api/map?${pairs}`);
  if (!answer.ok) {
    said.textContent = (await answer.json()).message;
    said.setAttribute("role", "alert");
    return;
  }
  const bytes = await answer.arrayBuffer();
  const length = new DataView(bytes).getUint32(0, true);
  const text = new TextDecoder();
  const head = JSON.parse(text.decode(new Uint8Array(bytes, 4, length)));
  const start = 4 + length;
  const xy = new Float32Array(bytes, start, 2 * head.n);
  const values = new Float32Array(bytes, start + 8 * head.n, head.n);
  const ids = JSON.parse(text.decode(new Uint8Array(bytes, start + 12 * head.n)));
  show(head, xy, values, ids);
}

function show(head, xy, values, ids) {
  const x = new Float32Array(head.n);
  const y = new Float32Array(head.n);
  for (let i = 0; i < head.n; i++) [x[i], y[i]] = [xy[2 * i], xy[2 * i + 1]];
  const alpha = head.n > 20000 ? 150 : 205;
  const box = document.querySelector("#plot");
  const plot = new Scatter(box, { x, y, bytes: coloured(values, head, alpha), limits: head.limits, names: head.axes });
  const [[x0, x1], [y0, y1]] = head.limits;
  let beyond = 0;
  for (let i = 0; i < head.n; i++) if (x[i] < x0 || x[i] > x1 || y[i] < y0 || y[i] > y1) beyond++;
  said.textContent = `${head.n.toLocaleString("en")} materials${beyond ? `; ${beyond} far outside: zoom out to see them` : ""}`;
  legend(head);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    plot.recolour(coloured(values, head, alpha));
    legend(head);
  });
  const tip = element("div", { class: "tip", hidden: "" });
  box.append(tip);
  let wait = 0;
  plot.onhover = (i, at) => {
    clearTimeout(wait);
    tip.hidden = i < 0;
    box.classList.toggle("over", i >= 0);
    if (i < 0) return;
    const value = head.categories.length ? head.categories[values[i]] ?? "–" : `${written(values[i])} ${head.unit}`;
    tip.replaceChildren(element("strong", {}, ids[i]), element("br"), `${head.label}: ${value}`);
    tip.style.left = `${Math.min(at[0] + 14, box.clientWidth - 180)}px`;
    tip.style.top = `${Math.min(at[1] + 14, box.clientHeight - 170)}px`;
    wait = setTimeout(() => tip.prepend(element("img", { src: `/api/material/drawing?${new URLSearchParams({ id: ids[i] })}`, alt: "" })), 120);
  };
  plot.onopen = (i) => { location.href = `/material?${new URLSearchParams({ id: ids[i] })}`; };
  const button = document.querySelector("#lasso");
  button.addEventListener("click", () => {
    plot.lassoing = !plot.lassoing;
    button.setAttribute("aria-pressed", plot.lassoing);
  });
  document.querySelector("#reset").addEventListener("click", () => plot.reset());
  plot.onlasso = (polygon) => {
    plot.polygon = polygon;
    plot.lassoing = false;
    button.setAttribute("aria-pressed", false);
    const corners = polygon.map((p) => p.map((v) => Number(v.toPrecision(5))).join(",")).join(";");
    history.replaceState(null, "", `/map?${address({ lasso: corners })}`);
    choose(plot, ids);
    plot.draw();
  };
  const kept = new URLSearchParams(location.search).get("lasso");
  if (kept) {
    const polygon = kept.split(";").map((corner) => corner.split(",").map(Number));
    if (polygon.every((corner) => corner.length === 2 && corner.every(Number.isFinite))) {
      plot.polygon = polygon;
      choose(plot, ids);
    }
  }
}

async function choose(plot, ids) {
  const found = plot.inside(plot.polygon).map((i) => ids[i]);
  const list = document.querySelector("#list");
  document.querySelector("#count").textContent = `${found.length.toLocaleString("en")} materials${found.length > SHOWN ? `, the first ${SHOWN} of them` : ""}`;
  const save = document.querySelector("#save");
  save.hidden = !found.length;
  const quoted = (id) => `"${(/^[=+\-@\t\r]/.test(id) ? "'" : "") + id.replaceAll('"', '""')}"`;
  save.href = URL.createObjectURL(new Blob([`material_id\n${found.map(quoted).join("\n")}\n`], { type: "text/csv" }));
  list.replaceChildren();
  if (!found.length) return;
  const answer = await fetch(`/api/rows?${new URLSearchParams(found.slice(0, SHOWN).map((id) => ["id", id]))}`);
  if (!answer.ok) return;
  for (const row of (await answer.json()).rows) {
    const link = element("a", { href: `/material?${new URLSearchParams({ id: row.material_id })}` }, element("span", {}, ...formula(row.formula)), element("span", { class: "n" }, row.material_id));
    list.append(element("li", {}, link));
  }
}

function legend(head) {
  const scale = document.querySelector("#scale");
  scale.replaceChildren();
  document.querySelector("#legend").replaceChildren(
    ...head.categories.map((name, i) => element("li", {}, dot(CATEGORIES[i % CATEGORIES.length]), name)),
  );
  if (head.categories.length) return;
  const canvas = element("canvas", { width: 160, height: 1, role: "img", "aria-label": "colour scale, from low to high" });
  const pen = canvas.getContext("2d");
  for (let i = 0; i < 160; i++) {
    pen.fillStyle = `rgb(${onScale(i / 159).join(",")})`;
    pen.fillRect(i, 0, 1, 1);
  }
  scale.append(`${head.label}${head.unit ? ` (${head.unit})` : ""}:`, ` ${written(head.low)}`, canvas, written(head.high));
}

if (form) load().catch((error) => { said.textContent = String(error); });
