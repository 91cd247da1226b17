"use strict";
// Shows a set of vector returns: the policy of a preference, the mixture of a constraint query, a rollout.
const data = JSON.parse(document.getElementById("data").textContent);
const {objectives, returns, front, arrows, rollouts} = data;
const m = objectives.length, n = returns.length;
const $ = id => document.getElementById(id);
const svgNS = "http://www.w3.org/2000/svg";
const fmt = x => String(Number(x.toPrecision(4)));
const range = k => [...Array(k).keys()];
const dot = (a, b) => a.reduce((s, x, i) => s + x * b[i], 0);

function node(tag, attributes, parent, text) {
  const e = document.createElementNS(svgNS, tag);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  if (text !== undefined) e.textContent = text;
  if (parent) parent.appendChild(e);
  return e;
}

// ---- preferences and mixtures

let weights = range(m).map(() => 1 / m);
let served = [[0, 1]];  // pairs of member and probability

function assign(w) {
  let best = 0;
  for (const i of range(n)) if (dot(w, returns[i]) > dot(w, returns[best]) + 1e-12) best = i;
  return best;
}

// maximise c.x subject to A x = b, x >= 0, with b >= 0 and artificial variables last; Bland's rule
function simplex(A, b, c, start) {
  const rows = A.length, columns = A[0].length;
  const T = A.map((row, i) => [...row, b[i]]);
  const basis = [...start];
  for (let step = 0; step < 20000; step++) {
    const price = range(columns).map(j => c[j] - dot(basis.map(k => c[k]), T.map(row => row[j])));
    const enter = price.findIndex(p => p > 1e-9);
    if (enter < 0) break;
    let leave = -1, ratio = Infinity;
    for (const i of range(rows)) {
      if (T[i][enter] <= 1e-11) continue;
      const r = T[i][columns] / T[i][enter];
      if (r < ratio - 1e-12 || (r < ratio + 1e-12 && basis[i] < basis[leave])) { ratio = r; leave = i; }
    }
    if (leave < 0) break;
    const pivot = T[leave][enter];
    T[leave] = T[leave].map(x => x / pivot);
    for (const i of range(rows)) {
      const f = T[i][enter];
      if (i !== leave && f) T[i] = T[i].map((x, j) => x - f * T[leave][j]);
    }
    basis[leave] = enter;
  }
  const x = Array(columns).fill(0);
  basis.forEach((k, i) => { x[k] = T[i][columns]; });
  return {x, T, basis};
}

// the mixture of members that is best in one objective and at least `bounds` in those that have one
function mixture(best, bounds) {
  const bounded = range(m).filter(j => bounds[j] !== null);
  const scale = range(m).map(j => Math.max(1e-12, ...returns.map(g => Math.abs(g[j] - data.reference[j]))));
  // rows: sum = 1, then (G_j - z_j) / scale - surplus = (d_j - z_j) / scale
  const k = bounded.length, width = n + k + 1 + k;
  const A = [[...Array(n).fill(1), ...Array(k).fill(0), 1, ...Array(k).fill(0)]], b = [1];
  bounded.forEach((j, i) => {
    const row = Array(width).fill(0);
    returns.forEach((g, p) => { row[p] = (g[j] - data.reference[j]) / scale[j]; });
    row[n + i] = -1;
    let right = (bounds[j] - data.reference[j]) / scale[j];
    if (right < 0) { for (let q = 0; q < width; q++) row[q] = -row[q]; right = -right; }
    row[n + k + 1 + i] = 1;
    A.push(row); b.push(right);
  });
  const first = Array(width).fill(0).map((_, j) => j >= n + k ? -1 : 0);
  const one = simplex(A, b, first, range(k + 1).map(i => n + k + i));
  const missing = one.x.slice(n + k).reduce((s, x) => s + x, 0);
  if (missing > 1e-7) return {feasible: false, share: one.x.slice(0, n)};
  // artificial variables keep the value 0 in the second phase
  const second = Array(width).fill(0).map((_, j) => j < n ? returns[j][best] / scale[best] : j >= n + k ? -1e6 : 0);
  return {feasible: true, share: simplex(A, b, second, range(k + 1).map(i => n + k + i)).x.slice(0, n)};
}

// ---- plots

const plot = $("plot");
let turn = 0.7, tilt = 0.45;
// on a narrow screen the picture has fewer units, so that its text stays as large as the rest
let narrow, W, H, pad;
function layout() {
  narrow = innerWidth < 600;
  [W, H, pad] = narrow ? [400, 400, 62] : [720, 520, 84];
  plot.setAttribute("viewBox", `0 0 ${W} ${H}`);
  // extensions may end far from the policies that are kept; they are cut where the frame ends
  $("frame").replaceChildren();
  node("rect", {x: pad * 0.75, y: pad / 2, width: W - 1.25 * pad, height: H - 1.25 * pad}, $("frame"));
}
const lows = range(m).map(j => Math.min(...returns.map(g => g[j]), ...(front || []).map(g => g[j])));
const highs = range(m).map(j => Math.max(...returns.map(g => g[j]), ...(front || []).map(g => g[j])));
const unit = g => g.map((x, j) => highs[j] > lows[j] ? (x - lows[j]) / (highs[j] - lows[j]) : 0.5);
const mean = pairs => range(m).map(j => pairs.reduce((s, [i, p]) => s + p * returns[i][j], 0));

function place(g) {
  const u = unit(g);
  if (m === 2) return [pad + u[0] * (W - 2 * pad), H - pad - u[1] * (H - 2 * pad)];
  const [x, y, z] = u.map(v => v - 0.5);
  const a = x * Math.cos(turn) - y * Math.sin(turn), b = x * Math.sin(turn) + y * Math.cos(turn);
  const scale = narrow ? 215 : 300;
  return [W / 2 + a * scale, H / 2 + (b * Math.sin(tilt) - z * Math.cos(tilt)) * scale];
}

// corners of what mixtures of points in the plane reach: the upper right part of their convex hull
function mixtures(points) {
  const hull = [];
  for (const p of [...points].sort((a, b) => a[0] - b[0] || b[1] - a[1])) {
    const left = (a, b) => (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0]) >= 0;
    while (hull.length > 1 && left(hull[hull.length - 2], hull[hull.length - 1])) hull.pop();
    hull.push(p);
  }
  return hull;
}

function axes() {
  if (m === 2) {
    node("path", {d: `M${pad} ${pad / 2}V${H - pad}H${W - pad / 2}`, class: "axis"}, plot);
    for (const t of range(5)) {
      const f = t / 4, x = pad + f * (W - 2 * pad), y = H - pad - f * (H - 2 * pad);
      node("text", {x, y: H - pad + 20, class: "tick", "text-anchor": "middle"}, plot, fmt(lows[0] + f * (highs[0] - lows[0])));
      node("text", {x: pad - 14, y: y + 4, class: "tick", "text-anchor": "end"}, plot, fmt(lows[1] + f * (highs[1] - lows[1])));
    }
    node("text", {x: W / 2, y: H - 12, class: "name", "text-anchor": "middle"}, plot, objectives[0]);
    node("text", {x: 8, y: pad / 2 - 10, class: "name"}, plot, objectives[1]);
  } else {
    for (const j of range(3)) {
      const from = place(lows), to = place(lows.map((x, i) => i === j ? highs[i] : x));
      node("path", {d: `M${from}L${to}`, class: "axis"}, plot);
      const [x, y] = to.map((v, i) => v + 26 * (v - from[i]) / Math.max(1, Math.hypot(to[0] - from[0], to[1] - from[1])));
      const text = `${objectives[j]} ${fmt(lows[j])} to ${fmt(highs[j])}`, room = 3.6 * text.length;
      node("text", {x: Math.max(room, Math.min(W - room, x)), y: Math.max(14, Math.min(H - 6, y + 4)), class: "name", "text-anchor": "middle"}, plot, text);
    }
  }
}

const coloured = a => ({class: a.feasible ? "kept" : "broken", "marker-end": `url(#${a.feasible ? "kept" : "broken"})`});

// policies in the order of the first objective: the arrow keys go through them from the one that is served
const order = range(n).sort((a, b) => returns[a][0] - returns[b][0] || a - b), place_of = [];
order.forEach((i, k) => { place_of[i] = k; });
const moves = {ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, Home: -n, End: n};

// makes a mark of policy i one that can be picked; one mark alone is reached by the tabulator
function pick(mark, i) {
  const label = `policy ${i}: ` + objectives.map((o, j) => `${o} ${fmt(returns[i][j])}`).join(", ");
  const first = served[0][0] === i;
  for (const [k, v] of Object.entries({tabindex: first ? 0 : -1, role: "button", "aria-label": label})) mark.setAttribute(k, v);
  if (first) mark.setAttribute("id", "first");
  node("title", {}, mark, label);
  const take = k => { serve([[k, 1]], "the policy you picked"); $("first").focus(); };
  mark.addEventListener("click", () => take(i));
  mark.addEventListener("keydown", e => {
    if (!(e.key in moves)) return;
    e.preventDefault();
    take(order[Math.max(0, Math.min(n - 1, place_of[i] + moves[e.key]))]);
  });
}

function points() {
  axes();
  if (front) for (const g of front) { const [cx, cy] = place(g); node("circle", {cx, cy, r: 7, class: "exact"}, plot); }
  if (m === 2 && front) node("path", {d: "M" + mixtures(front).map(place).join("L"), class: "front"}, plot);
  if ($("arrows").checked) {
    const group = node("g", m === 2 ? {"clip-path": "url(#frame)"} : {}, plot);
    for (const a of arrows) {
      const [x1, y1] = place(a.start), [x2, y2] = place(a.end);
      node("line", {x1, y1, x2, y2, ...coloured(a)}, group);
    }
  }
  const chosen = new Map(served);
  for (const i of range(n)) {
    const [cx, cy] = place(returns[i]);
    pick(node("circle", {cx, cy, r: chosen.has(i) ? 8 : 4.5, class: chosen.has(i) ? "chosen" : "member"}, plot), i);
  }
  if (served.length > 1) {
    const [x, y] = place(mean(served));
    node("rect", {x: x - 6, y: y - 6, width: 12, height: 12, class: "chosen"}, plot);
  }
}

function parallel() {
  // names stand below their axes at an angle, and need room at the left and below
  const [left, right, top, bottom] = narrow ? [84, 26, 40, 150] : [120, 40, 50, 180];
  const x = j => left + j * (W - left - right) / (m - 1), y = u => H - bottom - u * (H - top - bottom);
  const line = g => "M" + unit(g).map((u, j) => `${x(j)} ${y(u)}`).join("L");
  for (const j of range(m)) {
    node("path", {d: `M${x(j)} ${y(0)}V${y(1)}`, class: "axis"}, plot);
    node("text", {x: x(j), y: H - bottom + 20, class: "tick", "text-anchor": "middle"}, plot, fmt(lows[j]));
    node("text", {x: x(j), y: top - 12, class: "tick", "text-anchor": "middle"}, plot, fmt(highs[j]));
    const y0 = H - bottom + 44;
    node("text", {x: x(j), y: y0, class: "name", "text-anchor": "end", transform: `rotate(-50 ${x(j)} ${y0})`}, plot, objectives[j]);
  }
  if (front) for (const g of front) node("path", {d: line(g), class: "exact line"}, plot);
  // an extension is an arrow along the axis of the objective that it raises, side by side around the axis
  if ($("arrows").checked) arrows.forEach((a, k) => {
    const at = x(a.objective) + 3 * ((k / m | 0) % 7 - 3), cut = g => y(Math.max(-0.05, Math.min(1.05, unit(g)[a.objective])));
    const [y1, y2] = [cut(a.start), cut(a.end)];
    if (Math.abs(y2 - y1) > 1) node("line", {x1: at, y1, x2: at, y2, ...coloured(a)}, plot);
    else node("circle", {cx: at, cy: y1, r: 2, class: coloured(a).class}, plot);  // an arrow of no length has no direction
  });
  const chosen = new Map(served);
  for (const i of [...range(n).filter(i => !chosen.has(i)), ...range(n).filter(i => chosen.has(i))]) {
    pick(node("path", {d: line(returns[i]), class: chosen.has(i) ? "chosen line" : "member line"}, plot), i);
  }
  if (served.length > 1) node("path", {d: line(mean(served)), class: "mixture line"}, plot);
}

function draw() {
  while (plot.lastChild && plot.lastChild.tagName !== "defs") plot.lastChild.remove();
  if (m <= 3) points(); else parallel();
}

// ---- what is served

function serve(pairs, why) {
  served = pairs.filter(([, p]) => p > 1e-9).sort((a, b) => b[1] - a[1]);
  const g = mean(served);
  const who = served.map(([i, p]) => served.length > 1 ? `policy ${i} in ${(100 * p).toFixed(1)} % of the episodes` : `policy ${i}`).join(", ");
  $("served").textContent = `${why}: ${who}`;
  $("values").replaceChildren(...range(m).map(j => {
    const tr = document.createElement("tr");
    for (const t of [objectives[j], fmt(g[j]), weights[j].toFixed(3)]) { const td = document.createElement("td"); td.textContent = t; tr.appendChild(td); }
    return tr;
  }));
  $("utility").textContent = `utility ${fmt(dot(weights, g))}`;
  draw(); roll();
}

function prefer() {
  const raw = range(m).map(j => Number($(`w${j}`).value));
  const sum = raw.reduce((a, b) => a + b, 0);
  weights = sum > 0 ? raw.map(x => x / sum) : range(m).map(() => 1 / m);
  serve([[assign(weights), 1]], "best for this preference");
}

function query() {
  const best = Number($("best").value);
  const bounds = range(m).map(j => $(`d${j}`).value.trim() === "" ? null : Number($(`d${j}`).value));
  if (bounds.some(x => x !== null && Number.isNaN(x))) { $("answer").textContent = "Bounds are numbers."; return; }
  const {feasible, share} = mixture(best, bounds);
  const pairs = share.map((p, i) => [i, p]).filter(([, p]) => p > 1e-9);
  const g = mean(pairs);
  const missed = range(m).filter(j => bounds[j] !== null && g[j] < bounds[j] - 1e-6 * Math.max(1, Math.abs(bounds[j])));
  $("answer").textContent = feasible ? "The bounds are met." : "No mixture meets the bounds. The closest one misses " +
    missed.map(j => `${objectives[j]} by ${fmt(bounds[j] - g[j])}`).join(", ") + ".";
  serve(pairs, feasible ? "best within the bounds" : "closest to the bounds");
}

// ---- rollouts

let clock = 0, timer = null;
function roll() {
  const box = $("rollout");
  if (!rollouts) { box.hidden = true; return; }
  clearInterval(timer);
  const svg = $("film");
  svg.replaceChildren();
  if (rollouts.panels) { curves(svg, rollouts.values[served[0][0]]); return; }
  const path = rollouts.paths[served[0][0]];
  svg.setAttribute("viewBox", `0 0 ${rollouts.width} ${rollouts.height}`);
  if (rollouts.background) node("image", {href: rollouts.background, width: rollouts.width, height: rollouts.height}, svg);
  const line = node("path", {d: "M" + path.map(p => p.join(" ")).join("L"), class: "trace"}, svg);
  const head = node("circle", {r: rollouts.width / 40, class: "head"}, svg);
  line.setAttribute("stroke-width", rollouts.width / 120);
  head.setAttribute("stroke-width", rollouts.width / 240);
  clock = 0;
  const tick = () => {
    const [cx, cy] = path[Math.min(clock, path.length - 1)];
    head.setAttribute("cx", cx); head.setAttribute("cy", cy);
    $("step").textContent = `step ${Math.min(clock, path.length - 1)} of ${path.length - 1}` + (served.length > 1 ? `, policy ${served[0][0]}` : "");
    if (clock >= path.length - 1) clearInterval(timer); else clock += 1;
  };
  tick();
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) timer = setInterval(tick, Math.max(20, Math.min(200, 4000 / path.length)));
  else head.setAttribute("visibility", "hidden");
}

// curves of one policy, panels one below the other, with the ranges of all policies
function curves(svg, rows) {
  const width = W, height = 200, left = pad, right = 12, top = 30, bottom = 34;
  svg.setAttribute("viewBox", `0 0 ${width} ${rollouts.panels.length * height}`);
  svg.setAttribute("class", "wide");
  let first = 0;
  rollouts.panels.forEach(([label, names], p) => {
    const columns = range(names.length).map(c => first + c), base = p * height;
    const low = Math.min(...columns.map(c => extent[c][0])), high = Math.max(...columns.map(c => extent[c][1]));
    const x = t => left + t * (width - left - right) / Math.max(1, rows.length - 1);
    const y = v => base + height - bottom - (high > low ? (v - low) / (high - low) : 0.5) * (height - top - bottom);
    node("path", {d: `M${left} ${base + top}V${base + height - bottom}H${width - right}`, class: "axis"}, svg);
    for (const v of [low, (low + high) / 2, high]) node("text", {x: left - 6, y: y(v) + 4, class: "tick", "text-anchor": "end"}, svg, fmt(v));
    const ticks = range(5).map(k => Math.round(k * (rows.length - 1) / 4));
    for (const t of ticks) node("text", {x: x(t), y: base + height - bottom + 16, class: "tick", "text-anchor": "middle"}, svg, t + 1);
    node("text", {x: narrow ? 4 : left, y: base + top - 12, class: "name"}, svg, label);
    names.forEach((name, c) => {
      node("path", {d: "M" + rows.map((row, t) => `${x(t).toFixed(1)} ${y(row[columns[c]]).toFixed(1)}`).join("L"), class: `curve c${c % 3}`}, svg);
      const at = width - right - (names.length - 1 - c) * (narrow ? 56 : 90);
      node("text", {x: at, y: base + top - 12, class: `name t${c % 3}`, "text-anchor": "end"}, svg, name);
    });
    first += names.length;
  });
  $("step").textContent = `policy ${served[0][0]}, ${rollouts.across}s 1 to ${rows.length}`;
}
const extent = rollouts && rollouts.panels ? rollouts.values[0][0].map((_, c) => {
  let low = Infinity, high = -Infinity;
  for (const rows of rollouts.values) for (const row of rows) { low = Math.min(low, row[c]); high = Math.max(high, row[c]); }
  return [low, high];
}) : [];

for (const j of range(m)) $(`w${j}`).addEventListener("input", prefer);
$("ask").addEventListener("submit", e => { e.preventDefault(); query(); });
$("arrows").addEventListener("change", draw);
$("again").addEventListener("click", roll);
if (m === 3) for (const id of ["turn", "tilt"]) $(id).addEventListener("input", () => {
  turn = Number($("turn").value); tilt = Number($("tilt").value); draw();
});
addEventListener("resize", () => { if (narrow !== (innerWidth < 600)) { layout(); draw(); roll(); } });
layout();
prefer();
