"use strict";
// Shows what a rule does at an update n of N when it is told another horizon, and what that costs.
const data = JSON.parse(document.getElementById("data").textContent);

// ---- reading

// the progress that a rule sees at update n when it is told the horizon of number `told`: at most 1
const seen = (n, told) => Math.min(n, data.told[told]) / data.told[told];

// slopes [advantages][ratios] of r A - f of a rule at update n, told the horizon of number `told`
const slopes = (rule, n, told) => data.slopes[data.rules[rule].slices[told][n]].map(row => row.map(x => x / data.scale));

// the slope at ratio r, between the two ratios of the grid that enclose it
function at(row, r) {
  const x = data.ratio;
  let i = 0;
  while (i < x.length - 2 && x[i + 1] < r) i++;
  const share = (r - x[i]) / (x[i + 1] - x[i]);
  return row[i] + (row[i + 1] - row[i]) * share;
}

const fmt = x => Math.abs(x) < 5e-4 ? "0" : String(Number(x.toPrecision(3)));
const interval = row => row.low === null ? fmt(row.mean) : `${fmt(row.mean)} [${fmt(row.low)}, ${fmt(row.high)}]`;

// ---- page

const $ = id => document.getElementById(id);
const svgNS = "http://www.w3.org/2000/svg";

function node(tag, attributes, parent, text) {
  const e = document.createElementNS(svgNS, tag);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  if (text !== undefined) e.textContent = text;
  parent.appendChild(e);
  return e;
}

const W = 640, PH = 380, LEFT = 56, RIGHT = 74, TOP = 16, BOTTOM = 46;
const [r0, r1] = [Math.log(data.ratio[0]), Math.log(data.ratio[data.ratio.length - 1])];
const px = r => LEFT + (Math.log(r) - r0) / (r1 - r0) * (W - LEFT - RIGHT);

function drawSlopes(rule, n, told) {
  const plot = $("plot"), rows = slopes(rule, n, told), [low, high] = data.rules[rule].range;
  const py = y => TOP + (high - Math.min(high, Math.max(low, y))) / (high - low) * (PH - TOP - BOTTOM);
  plot.setAttribute("viewBox", `0 0 ${W} ${PH}`);
  plot.replaceChildren();
  node("line", {class: "one", x1: px(1), x2: px(1), y1: TOP, y2: PH - BOTTOM}, plot);
  node("path", {class: "axis", d: `M${LEFT} ${TOP}V${PH - BOTTOM}H${W - RIGHT}`}, plot);
  for (const r of [0.5, 0.7, 1, 1.4, 2].filter(r => Math.log(r) >= r0 - 1e-9 && Math.log(r) <= r1 + 1e-9)) {
    node("text", {class: "tick", x: px(r), y: PH - BOTTOM + 20, "text-anchor": "middle"}, plot, String(r));
  }
  const step = high - low > 6 ? 2 : 1;
  for (let y = Math.ceil(low / step) * step; y <= high; y += step) {
    node("line", {class: "zero", x1: LEFT, x2: W - RIGHT, y1: py(y), y2: py(y)}, plot);
    node("text", {class: "tick", x: LEFT - 8, y: py(y) + 5, "text-anchor": "end"}, plot, String(y));
  }
  node("text", {class: "tick", x: (LEFT + W - RIGHT) / 2, y: PH - 6, "text-anchor": "middle"}, plot, "ratio r");
  const ends = rows.map((row, k) => ({k, y: py(row[row.length - 1])})).sort((a, b) => a.y - b.y);
  for (let i = 1; i < ends.length; i++) ends[i].y = Math.max(ends[i].y, ends[i - 1].y + 20);  // names do not overlap
  const over = Math.max(0, ends[ends.length - 1].y - (PH - BOTTOM));
  rows.forEach((row, k) => {
    const d = row.map((y, i) => `${i ? "L" : "M"}${px(data.ratio[i]).toFixed(1)} ${py(y).toFixed(1)}`).join("");
    node("path", {class: `curve c${k}`, d}, plot);
  });
  for (const {k, y} of ends) node("text", {class: `name t${k}`, x: W - RIGHT + 8, y: y + 5 - over}, plot, `A = ${data.advantage[k]}`);
  const told_ = `${data.names[told]} = ${data.told[told]}`;
  const k = data.advantage.indexOf(1), values = [1.1, 1.2, 1.3].map(r => fmt(at(rows[k], r))).join(", ");
  const sentence = `Update n = ${n} of ${data.horizon}, told ${told_}: progress ${fmt(seen(n, told))}. ` +
    `For A = 1 the slope at r = 1.1, 1.3, 1.5 is ${values}.`;
  plot.setAttribute("aria-label", `Slopes of r A - f by the ratio r. ${sentence}`);
  $("where").textContent = sentence;
}

function drawReturns(rule, told) {
  const rows = data.rules[rule].rows, plot = $("returns"), H = 34 * rows.length + 34, width = 480, name = 176;
  const ends = rows.flatMap(row => row.low === null ? [row.mean] : [row.low, row.high, row.mean]);
  const [low, high] = [Math.min(...ends), Math.max(...ends)];
  const x = v => high > low ? name + (v - low) / (high - low) * (width - name - 30) : (name + width) / 2;
  plot.setAttribute("viewBox", `0 0 ${width} ${H}`);
  plot.replaceChildren();
  rows.forEach((row, i) => {
    const y = 22 + 34 * i, g = node("g", {class: row.told === data.names[told] ? "now" : ""}, plot);
    node("text", {class: "name", x: name - 14, y: y + 5, "text-anchor": "end"}, g, row.name);
    if (row.low !== null) node("line", {class: "bar", x1: x(row.low), x2: x(row.high), y1: y, y2: y}, g);
    node("circle", {class: "dot", cx: x(row.mean), cy: y, r: 5}, g);
  });
  const marks = high > low ? [[low, "start"], [high, "end"]] : [[low, "middle"]];
  for (const [v, anchor] of marks) node("text", {class: "tick", x: x(v), y: H - 8, "text-anchor": anchor}, plot, fmt(v));
  plot.setAttribute("aria-label", "Returns with 95 % intervals: " + rows.map(row => `${row.name} ${interval(row)}`).join("; "));
  $("answer").replaceChildren(...rows.map(row => {
    const line = document.createElement("tr");
    line.className = row.told === data.names[told] ? "now" : "";
    const change = row.change === null ? "" : `${interval(row.change)} against ${row.against}`;
    for (const text of [row.name, interval(row), change]) {
      const cell = document.createElement("td");
      cell.textContent = text;
      line.appendChild(cell);
    }
    return line;
  }));
}

function update() {
  const rule = Number($("rule").value), n = Number($("n").value), told = Number($("told").value);
  $("progress").textContent = `${n} of ${data.horizon}`;
  $("horizon").textContent = `${data.names[told]} = ${data.told[told]}`;
  $("told").setAttribute("aria-valuetext", $("horizon").textContent);
  $("n").setAttribute("aria-valuetext", $("progress").textContent);
  drawSlopes(rule, n, told);
  drawReturns(rule, told);
  $("verdict").textContent = data.rules[rule].verdict;
}

// the first rule that changes over a lifetime is shown first
$("rule").value = Math.max(0, data.rules.findIndex(rule => rule.slices[0].some(k => k !== rule.slices[0][0])));
for (const id of ["rule", "n", "told"]) $(id).addEventListener("input", update);
update();
