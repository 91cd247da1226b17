"use strict";
// Plans for rewards that the reader writes, with the models that explorers left, and says what the plan loses.
const data = JSON.parse(document.getElementById("data").textContent);
const range = k => [...Array(k).keys()];

// ---- planning

const A = 4, H = data.horizon, S = data.successors.length / A;
const successors = data.successors;

// value of every pair at one stage: r(s, a) + sum_x p(x | s, a) V(x)
function backup(p, reward, V) {
  return successors.map((next, i) => next.reduce((sum, x, j) => sum + p[i][j] * V[x], reward[i]));
}

// an optimal policy for rewards [H][S A] under transitions p, the first of equal actions
function plan(p, reward) {
  const policy = [], values = [];
  let V = Array(S).fill(0);
  for (let h = H - 1; h >= 0; h--) {
    const Q = backup(p, reward[h], V);
    const actions = range(S).map(s => {
      let best = 0;
      for (let a = 1; a < A; a++) if (Q[s * A + a] > Q[s * A + best] + 1e-9) best = a;
      return best;
    });
    V = actions.map((a, s) => Q[s * A + a]);
    policy.unshift(actions); values.unshift(V);
  }
  return {policy, values};
}

// values [H][S] of a policy under transitions p
function evaluate(p, reward, policy) {
  const values = [];
  let V = Array(S).fill(0);
  for (let h = H - 1; h >= 0; h--) {
    const Q = backup(p, reward[h], V);
    V = policy[h].map((a, s) => Q[s * A + a]);
    values.unshift(V);
  }
  return values;
}

// distributions over states [H][S] of a policy under transitions p, from state 0
function visits(p, policy) {
  const found = [];
  let d = range(S).map(s => s === 0 ? 1 : 0);
  for (let h = 0; h < H; h++) {
    found.push(d);
    const after = Array(S).fill(0);
    d.forEach((w, s) => { const i = s * A + policy[h][s]; successors[i].forEach((x, j) => { after[x] += w * p[i][j]; }); });
    d = after;
  }
  return found;
}

// the largest amounts of the stages, added up
const total = reward => reward.reduce((sum, row) => sum + Math.max(...row), 0);

// ---- rewards as text

const columns = data.layout[0].length;
const cells = data.layout.flatMap((row, i) => [...row].map((c, j) => [i, j, c])).filter(c => c[2] !== "#");
const stateOf = (i, j) => cells.findIndex(c => c[0] === i && c[1] === j);

const LARGEST = 1e9;  // of an amount; sums of larger ones would overflow

// lines "row column amount @ stage" as entries {state, amount, stage from 0 or null}; a message for the first bad one
function parse(text) {
  const entries = [];
  for (const [n, line] of text.split("\n").entries()) {
    if (!line.trim()) continue;
    const found = line.trim().match(/^(\d+)[\s,]+(\d+)(?:[\s,=]+([0-9]*\.?[0-9]+(?:e[+-]?\d+)?))?(?:\s*@\s*(\d+))?$/i);
    if (!found) return {entries, message: `Line ${n + 1}: write row, column, amount, for example 1 5 0.5.`};
    const state = stateOf(Number(found[1]) - 1, Number(found[2]) - 1);
    if (state < 0) return {entries, message: `Line ${n + 1}: row ${found[1]}, column ${found[2]} is a wall or outside the map.`};
    const stage = found[4] === undefined ? null : Number(found[4]) - 1;
    if (stage !== null && (stage < 0 || stage >= H)) return {entries, message: `Line ${n + 1}: the stage must be 1 to ${H}.`};
    const amount = found[3] === undefined ? 1 : Number(found[3]);
    if (amount > LARGEST) return {entries, message: `Line ${n + 1}: the amount is too large.`};
    entries.push({state, amount, stage});
  }
  return {entries, message: ""};
}

// rewards [H][S A] of entries; those without a stage are paid at `stage`, or at every one where it is null
function rewardOf(entries, stage) {
  const reward = range(H).map(() => Array(S * A).fill(0));
  for (const e of entries) {
    const at = e.stage !== null ? [e.stage] : stage === null ? range(H) : [stage];
    const amount = e.stage === null && stage === null ? e.amount / H : e.amount;
    for (const h of at) for (let a = 0; a < A; a++) reward[h][e.state * A + a] += amount;
  }
  return reward;
}

// ---- page

const $ = id => document.getElementById(id);
const svgNS = "http://www.w3.org/2000/svg";
const fmt = x => x === null ? "none" : Math.abs(x) < 5e-5 ? "0" : String(Number(x.toPrecision(4)));
let adversary = false;  // whether the reward is the model's worst one in place of the text
let result = null;
let told = 0;  // the state that the line below the map is about

function node(tag, attributes, parent) {
  const e = document.createElementNS(svgNS, tag);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  parent.appendChild(e);
  return e;
}

const map = $("map");
map.setAttribute("viewBox", `0 0 ${columns} ${data.layout.length}`);
data.layout.forEach((row, i) => [...row].forEach((c, j) => { if (c === "#") node("rect", {x: j, y: i, width: 1, height: 1, class: "wall"}, map); }));
const boxes = cells.map(([i, j], s) => {
  const box = node("rect", {x: j, y: i, width: 1, height: 1, class: "free", tabindex: s === 0 ? 0 : -1, role: "button"}, map);
  box.addEventListener("click", () => toggle(s));
  box.addEventListener("focus", () => tell(s));
  box.addEventListener("mouseenter", () => tell(s));
  box.addEventListener("keydown", e => press(e, s));
  return box;
});
node("circle", {cx: cells[0][1] + .5, cy: cells[0][0] + .5, r: .42, class: "start"}, map);
const marks = node("g", {}, map);

function press(event, s) {
  const step = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]}[event.key];
  if (event.key === "Enter" || event.key === " ") { event.preventDefault(); toggle(s); return; }
  if (!step) return;
  event.preventDefault();
  let [i, j] = cells[s];
  for (;;) {  // over a wall to the next free cell
    i += step[0]; j += step[1];
    if (i < 0 || j < 0 || i >= data.layout.length || j >= columns) return;
    const next = stateOf(i, j);
    if (next >= 0) { boxes[s].setAttribute("tabindex", -1); boxes[next].setAttribute("tabindex", 0); boxes[next].focus(); return; }
  }
}

// writes or removes the line of a cell
function toggle(s) {
  const [i, j] = cells[s], name = `${i + 1} ${j + 1}`;
  const lines = adversary ? [] : $("text").value.split("\n").filter(line => line.trim());
  const kept = lines.filter(line => !line.trim().match(new RegExp(`^${i + 1}[\\s,]+${j + 1}(?![0-9])`)));
  if (kept.length === lines.length) kept.push(`${name} 1`);
  $("text").value = kept.join("\n");
  adversary = false;
  told = s;
  update();
}

function update() {
  const model = data.models[Number($("model").value)];
  $("worst").disabled = model.worst === null;
  $("worst").textContent = "the adversary's reward" + (model.worst === null ? " (not looked for on this map)" : "");
  if (model.worst === null) adversary = false;
  $("paid").disabled = $("when").value === "all";
  let reward, message = "";
  if (adversary) reward = model.worst.map(stage => stage.flat());
  else {
    const read = parse($("text").value);
    message = read.message;
    const stage = Math.min(H, Math.max(1, Math.round(Number($("paid").value)) || H)) - 1;
    reward = rewardOf(read.entries, $("when").value === "all" ? null : stage);
  }
  const sum = total(reward);
  if (sum > 1 + 1e-9) {
    reward = reward.map(row => row.map(x => x / sum));
    message += ` The stage maxima add up to ${fmt(sum)}; all amounts are divided by it.`;
  }
  $("problem").textContent = message.trim();
  const own = plan(model.probabilities, reward), best = plan(data.probabilities, reward);
  const values = evaluate(data.probabilities, reward, own.policy);
  result = {model, reward, own, best, values, visits: visits(data.probabilities, own.policy)};
  const lost = best.values[0][0] - values[0][0];
  const rows = [
    ["optimal value", fmt(best.values[0][0])], ["value of the plan", fmt(values[0][0])],
    ["planning error", fmt(lost)], ["value under the model", fmt(own.values[0][0])],
    ["upper bound for all rewards", fmt(model.upper) + (model.upper >= 1 ? " (says nothing: an error is at most 1)" : "")],
    ["certificate of the explorer", certificate(model)],
  ];
  $("answer").replaceChildren(...rows.map(([name, value]) => {
    const row = document.createElement("tr");
    for (const text of [name, value]) { const cell = document.createElement("td"); cell.textContent = text; row.appendChild(cell); }
    return row;
  }));
  const what = adversary ? "The adversary's reward" : "This reward";
  $("verdict").textContent = total(reward) === 0 ? "Nothing is paid yet: click a cell." :
    `${what}: the plan of ${model.name} reaches ${fmt(values[0][0])} of ${fmt(best.values[0][0])}, and loses ${fmt(lost)}.`;
  draw();
  tell(told);
}

function certificate(model) {
  if (model.certificate === null) return "none";
  const covered = model.c_beta >= model.rho ? "covered by its radius" : "not covered by its radius";
  const empty = model.certificate >= 1 ? "; says nothing: an error is at most 1" : "";
  return `${fmt(model.certificate)} (c_beta ${fmt(model.c_beta)}, rho ${fmt(model.rho)}: ${covered}${empty})`;
}

function field(h) {
  const {reward, own, best, values, visits} = result;
  return {
    reward: range(S).map(s => Math.max(...reward[h].slice(s * A, s * A + A))),
    planned: values[h], best: best.values[h],
    lost: best.values[h].map((v, s) => v - values[h][s]), visits: visits[h],
  };
}

function draw() {
  const h = Number($("stage").value) - 1, name = $("show").value, shown = field(h)[name];
  // one scale for all stages; the optimal value's for both values
  const scale = Math.max(1e-12, ...range(H).map(k => Math.max(...field(k)[name === "planned" ? "best" : name])));
  $("shown").textContent = `${h + 1} of ${H}`;
  boxes.forEach((box, s) => {
    const x = Math.min(1, Math.max(0, shown[s] / scale));
    box.setAttribute("fill", `rgb(${[[255, 0], [255, 114], [255, 178]].map(([a, b]) => Math.round(a + (b - a) * .85 * x)).join(",")})`);
    box.setAttribute("aria-label", `row ${cells[s][0] + 1}, column ${cells[s][1] + 1}, ${fmt(shown[s])}`);
  });
  marks.replaceChildren();
  const paid = range(S).map(s => Math.max(...result.reward.map(row => Math.max(...row.slice(s * A, s * A + A)))));
  const most = Math.max(...paid);
  boxes.forEach((box, s) => box.setAttribute("aria-pressed", paid[s] > 0));
  cells.forEach(([i, j], s) => {
    if (most > 0 && paid[s] > 0.01 * most) node("rect", {x: j + .07, y: i + .07, width: .86, height: .86, class: "pays"}, marks);
    if (most === 0) return;
    const [dy, dx] = [[-1, 0], [1, 0], [0, -1], [0, 1]][result.own.policy[h][s]];
    const [x, y] = [j + .5 + .2 * dx, i + .5 + .2 * dy];
    node("path", {class: "arrow", d: `M${j + .5 - .2 * dx} ${i + .5 - .2 * dy}L${x} ${y}M${x - .14 * dx - .12 * dy} ${y - .14 * dy - .12 * dx}L${x} ${y}L${x - .14 * dx + .12 * dy} ${y - .14 * dy + .12 * dx}`}, marks);
  });
}

// what is known of a cell at the stage shown
function tell(s) {
  told = s;
  const h = Number($("stage").value) - 1, f = field(h), move = ["up", "down", "left", "right"][result.own.policy[h][s]];
  $("cell").textContent = `Row ${cells[s][0] + 1}, column ${cells[s][1] + 1}, stage ${h + 1}: goes ${move}; value of the plan ${fmt(f.planned[s])}, optimum ${fmt(f.best[s])}; visited with probability ${fmt(f.visits[s])}.`;
}

$("stage").max = H;
$("text").value = `${cells[S - 1][0] + 1} ${cells[S - 1][1] + 1} 1`;
for (const id of ["model", "when", "paid"]) $(id).addEventListener("input", update);
$("text").addEventListener("input", () => { adversary = false; update(); });
for (const id of ["stage", "show"]) $(id).addEventListener("input", () => { draw(); tell(told); });
$("clear").addEventListener("click", () => { $("text").value = ""; adversary = false; update(); });
$("worst").addEventListener("click", () => { $("text").value = ""; adversary = true; update(); });
update();
