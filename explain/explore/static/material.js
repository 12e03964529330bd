// A crystal to turn, and its neighbours, which come after the page.

import { dot, element } from "./colours.js";

const viewer = document.querySelector("#viewer");
const form = document.querySelector("#cells");
let scene = null;
let view = null;
let bonds = true;

async function load(cells) {
  const answer = await fetch(`/api/material/scene?${new URLSearchParams({ id: viewer.dataset.id, ...cells })}`);
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.message);
  scene = found;
  draw(!view);
}

function ground() {
  return getComputedStyle(document.documentElement).getPropertyValue("--panel").trim();
}

function draw(first) {
  if (first) {
    const library = window["3Dmol"] ?? window.$3Dmol;
    const picture = viewer.querySelector("img");
    view = library.createViewer(viewer, { backgroundColor: ground(), antialias: true });
    if (!view) return;
    if (picture) picture.remove();
    const canvas = viewer.querySelector("canvas");
    canvas.setAttribute("tabindex", "0");
    canvas.setAttribute("role", "application");
    canvas.setAttribute("aria-label", `Structure of ${scene.formula}: arrow keys turn it, plus and minus zoom`);
    form.hidden = document.querySelector("#hint").hidden = false;
  }
  view.removeAllModels();
  view.removeAllShapes();
  const joined = scene.species.map(() => []);
  if (bonds) for (const [a, b] of scene.bonds) { joined[a].push(b); joined[b].push(a); }
  const atoms = scene.positions.map(([x, y, z], i) => ({ elem: scene.species[i], x, y, z, serial: i, index: i, bonds: joined[i], bondOrder: joined[i].map(() => 1), properties: {} }));
  const model = view.addModel();
  model.addAtoms(atoms);
  for (const [name, of] of Object.entries(scene.elements)) {
    const colour = Number.parseInt(of.colour.slice(1), 16);
    view.setStyle({ elem: name }, { sphere: { radius: 0.42 * of.radius, color: colour }, stick: { radius: bonds ? 0.09 : 0.001, color: colour } });
  }
  const line = getComputedStyle(document.documentElement).getPropertyValue("--soft").trim();
  for (const [from, to] of scene.edges) {
    const point = ([x, y, z]) => ({ x, y, z });
    view.addCylinder({ start: point(from), end: point(to), radius: 0.022, color: line, fromCap: 1, toCap: 1 });
  }
  if (first) look();
  view.render();
  document.querySelector("#legend").replaceChildren(...Object.entries(scene.elements).map(([name, of]) => element("li", {}, dot(of.colour), `${name} `, element("span", { class: "soft" }, of.name))));
}

// As the flat drawings are seen: a along the screen, c upwards.
function look() {
  const [r, u, t] = [0, 1, 2].map((k) => scene.view.map((row) => row[k]));
  const w = Math.sqrt(Math.max(0, 1 + r[0] + u[1] + t[2])) / 2;
  const part = (size, sign) => Math.sqrt(Math.max(0, size)) / 2 * (sign < 0 ? -1 : 1);
  const turned = [part(1 + r[0] - u[1] - t[2], t[1] - u[2]), part(1 - r[0] + u[1] - t[2], r[2] - t[0]), part(1 - r[0] - u[1] + t[2], u[0] - r[1])];
  view.zoomTo();
  view.setView([...view.getView().slice(0, 4), ...turned, w]);
  view.zoomTo();
}

function cellsOf() {
  return Object.fromEntries([...new FormData(form)].filter(([, value]) => Number(value) > 0));
}

function listen() {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    load(cellsOf()).then(() => { view.zoomTo(); view.render(); }).catch(tell);
  });
  document.querySelector("#bonds").addEventListener("click", (event) => {
    bonds = !bonds;
    event.target.setAttribute("aria-pressed", bonds);
    draw(false);
  });
  document.querySelector("#reset").addEventListener("click", () => { look(); view.render(); });
  viewer.addEventListener("keydown", (event) => {
    const turns = { ArrowLeft: [-12, "y"], ArrowRight: [12, "y"], ArrowUp: [-12, "x"], ArrowDown: [12, "x"] };
    if (event.key in turns) view.rotate(...turns[event.key]);
    else if (event.key === "+" || event.key === "=") view.zoom(1.2);
    else if (event.key === "-") view.zoom(0.83);
    else return;
    view.render();
    event.preventDefault();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    view.setBackgroundColor(ground());
    draw(false);
  });
}

function tell(error) {
  const hint = document.querySelector("#hint");
  hint.hidden = false;
  hint.textContent = error.message;
}

async function near(box) {
  const answer = await fetch(box.dataset.near);
  if (answer.ok) box.innerHTML = await answer.text();
}

async function start() {
  // Without WebGL the flat drawing stays.
  const probe = document.createElement("canvas");
  if (!(probe.getContext("webgl2") || probe.getContext("webgl"))) return;
  await load({});
  if (view) listen();
}

start().catch(tell);
const watch = new IntersectionObserver((seen) => {
  for (const one of seen) if (one.isIntersecting) { watch.unobserve(one.target); near(one.target); }
}, { rootMargin: "300px" });
for (const box of document.querySelectorAll("[data-near]")) watch.observe(box);
