// Predictions against targets, with names and intervals.

import { element, formula, rgb, written } from "./colours.js";
import { Scatter } from "./scatter.js";

async function load(box) {
  const answer = await fetch(box.dataset.source);
  if (!answer.ok) throw new Error((await answer.json()).message);
  const rows = (await answer.json()).rows;
  const x = Float32Array.from(rows, (row) => row.target);
  const y = Float32Array.from(rows, (row) => row.prediction);
  const bars = new Float32Array(2 * rows.length).fill(NaN);
  rows.forEach((row, i) => { if (row.lower !== null && row.upper !== null) bars.set([row.lower, row.upper], 2 * i); });
  const all = [...x, ...y].sort((a, b) => a - b);
  const margin = 0.05 * (all.at(-1) - all[0] || 1);
  const ends = [all[0] - margin, all.at(-1) + margin];
  const bytes = new Uint8Array(4 * rows.length);
  const alpha = Math.round(255 * Math.min(0.85, Math.max(0.12, 40 / rows.length ** 0.7)));
  const mark = getComputedStyle(document.documentElement).getPropertyValue("--mark").trim();
  for (let i = 0; i < rows.length; i++) bytes.set([...rgb(mark), alpha], 4 * i);
  const unit = box.dataset.unit;
  const name = `${box.dataset.property}${unit ? ` (${unit.trim()})` : ""}`;
  const plot = new Scatter(box, { x, y, bytes, bars, limits: [ends.slice(), ends.slice()], names: [`target ${name}`, "prediction, test materials"], equal: true, diagonal: true });
  const tip = element("div", { class: "tip", hidden: "" });
  box.append(tip);
  plot.onhover = (i, at) => {
    tip.hidden = i < 0;
    if (i < 0) return;
    const row = rows[i];
    const interval = row.lower === null ? "" : `, 90 %: ${written(row.lower)} to ${written(row.upper)}`;
    tip.replaceChildren(element("strong", {}, ...formula(row.formula ?? "")), ` ${row.material_id}`, element("br"), `target ${written(row.target)}, prediction ${written(row.prediction)}${interval}`);
    tip.style.left = `${Math.min(at[0] + 14, box.clientWidth - 200)}px`;
    tip.style.top = `${Math.min(at[1] + 14, box.clientHeight - 90)}px`;
  };
  plot.onopen = (i) => { location.href = `/material?${new URLSearchParams({ id: rows[i].material_id })}`; };
}

const box = document.querySelector("#parity");
if (box) load(box).catch((error) => { document.querySelector("#said").textContent = String(error); });
