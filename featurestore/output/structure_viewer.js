// A crystal to turn, drawn on a canvas: a parallel projection, the nearer over the farther.
(() => {
  const { species, positions, bonds, edges, view, elements } = scene;
  const canvas = document.querySelector("canvas");
  const pen = canvas.getContext("2d");
  const all = [...positions, ...edges.flat()];
  const middle = [0, 1, 2].map((k) => (Math.min(...all.map((p) => p[k])) + Math.max(...all.map((p) => p[k]))) / 2);
  const reach = 0.6 + Math.max(...all.map((p) => Math.hypot(...p.map((x, k) => x - middle[k]))));
  const shade = (colour, by) => `rgb(${[1, 3, 5].map((i) => Math.min(255, Math.round(parseInt(colour.slice(i, i + 2), 16) * by))).join()})`;
  let turn = view.map((row) => row.slice());
  let zoom = 1;

  // Turned about the screen's axes: right (x) and up (y).
  function rotate(about, angle) {
    const [c, s] = [Math.cos(angle), Math.sin(angle)];
    turn = turn.map(([x, y, z]) => (about === "y" ? [c * x + s * z, y, c * z - s * x] : [x, c * y - s * z, c * z + s * y]));
    draw();
  }

  function draw() {
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    const scale = (zoom * Math.min(width, height)) / (2 * reach);
    const place = (p) => {
      const d = p.map((x, k) => x - middle[k]);
      const [x, y, z] = [0, 1, 2].map((k) => d[0] * turn[0][k] + d[1] * turn[1][k] + d[2] * turn[2][k]);
      return [width / 2 + scale * x, height / 2 - scale * y, z];
    };
    const line = (a, b, colour, wide) => () => {
      pen.strokeStyle = colour;
      pen.lineWidth = wide;
      pen.beginPath();
      pen.moveTo(a[0], a[1]);
      pen.lineTo(b[0], b[1]);
      pen.stroke();
    };
    const at = positions.map(place);
    const shapes = edges.map(([a, b]) => [place(a), place(b)]).map(([a, b]) => [(a[2] + b[2]) / 2, line(a, b, "#8c8c8c", 1)]);
    for (const pair of bonds) {
      for (const [i, j] of [pair, [pair[1], pair[0]]]) {
        const half = [0, 1, 2].map((k) => (at[i][k] + at[j][k]) / 2);
        shapes.push([(3 * at[i][2] + at[j][2]) / 4, line(at[i], half, shade(elements[species[i]].colour, 0.85), Math.max(1.5, 0.16 * scale))]);
      }
    }
    at.forEach(([x, y, z], i) => shapes.push([z, () => {
      const r = 0.42 * elements[species[i]].radius * scale;
      const ball = pen.createRadialGradient(x - 0.35 * r, y - 0.35 * r, 0.1 * r, x, y, r);
      const { colour } = elements[species[i]];
      ball.addColorStop(0, shade(colour, 1.35));
      ball.addColorStop(0.5, colour);
      ball.addColorStop(1, shade(colour, 0.6));
      pen.fillStyle = ball;
      pen.beginPath();
      pen.arc(x, y, r, 0, 7);
      pen.fill();
    }]));
    shapes.sort((a, b) => a[0] - b[0]).forEach(([, paint]) => paint());
  }

  let from = null;
  canvas.addEventListener("pointerdown", (event) => { from = event; canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener("pointerup", () => { from = null; });
  canvas.addEventListener("pointermove", (event) => {
    if (!from) return;
    const [dx, dy] = [event.clientX - from.clientX, event.clientY - from.clientY];
    from = event;
    rotate("y", dx / 100);
    rotate("x", dy / 100);
  });
  canvas.addEventListener("wheel", (event) => {
    // Without a key, the wheel scrolls the notebook.
    if (!event.ctrlKey) return;
    event.preventDefault();
    zoom *= Math.exp(-event.deltaY / 300);
    draw();
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const turns = { ArrowLeft: ["y", -0.2], ArrowRight: ["y", 0.2], ArrowUp: ["x", -0.2], ArrowDown: ["x", 0.2] };
    if (event.key in turns) rotate(...turns[event.key]);
    else if ("+=-".includes(event.key)) { zoom *= event.key === "-" ? 0.8 : 1.25; draw(); } else return;
    event.preventDefault();
  });
  new ResizeObserver(draw).observe(canvas);
})();
