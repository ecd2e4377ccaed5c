"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const { models, labels, rows } = data, count = rows.true.length;
const SVG = "http://www.w3.org/2000/svg", PAGE = 20, SMALL = 15, LABELS = 40;
const byId = (id) => document.getElementById(id);
const isRight = (model, i) => model.right ? model.right[i] === 1 : model.guess[i] === rows.true[i];
const [scoreName, lessIsBetter] = data.score;
const worth = (model, i) => model.score ? (lessIsBetter ? -model.score[i] : model.score[i]) : +isRight(model, i);
const state = { model: 0, true: "", guess: "", show: "", q: "", bin: "", sort: "", page: 0 };
let here = models[0], shownLabels = LABELS, drawings = [];

const put = (node, attributes, parts) => {
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== null && value !== false) node.setAttribute(key, value);
  }
  node.append(...parts);
  return node;
};
const el = (name, attributes = {}, ...parts) => put(document.createElement(name), attributes, parts);
const draw = (name, attributes = {}, ...parts) => put(document.createElementNS(SVG, name), attributes, parts);
const whole = (value) => value.toLocaleString("en-US");
const percent = (value, digits = 1) => (value * 100).toFixed(digits) + " %";
const plain = (name) => name.replaceAll("_", " ");
function short(value) {
  if (value === null || value === undefined) return "undefined";
  const size = Math.abs(value);
  return size >= 1000 ? whole(Math.round(value)) : size >= 100 ? value.toFixed(1) : value.toFixed(size >= 10 ? 2 : 4);
}
const between = (low, high) => low === null ? "" : short(low) + " – " + short(high);

// A drawing that fits its place, made anew when that changes.
function fitted(host, attributes, make) {
  const node = draw("svg", attributes);
  host.append(node);
  drawings.push({ node, make });
}
function fit() {
  for (const { node, make } of drawings) {
    const { width, height } = node.getBoundingClientRect();
    if (!width) continue;
    node.setAttribute("viewBox", "0 0 " + width + " " + height);
    make(node, width, height);
  }
}

// An interval on a line from low to high; a thin line where all rows are.
function mark(value, from, to, [low, high], middle) {
  const x = (at) => (2 + 96 * (at - low) / (high - low || 1)).toFixed(2) + "%";
  const node = draw("svg", { class: "mark", "aria-hidden": "true" });
  node.append(draw("line", { class: "grid", x1: "0", x2: "100%", y1: "50%", y2: "50%" }));
  if (middle !== null) node.append(draw("line", { class: "even", x1: x(middle), x2: x(middle), y1: 0, y2: "100%" }));
  if (from !== null) node.append(draw("line", { class: "range", x1: x(from), x2: x(to), y1: "50%", y2: "50%" }));
  node.append(draw("circle", { class: "dot", cx: x(value), cy: "50%", r: 3 }));
  return node;
}
const bar = (share) => {
  const inner = el("i");
  inner.style.width = (share * 100).toFixed(1) + "%";
  return el("span", { class: "bar", "aria-hidden": "true" }, inner);
};
const table = (heads, lines) => [
  el("thead", {}, el("tr", {}, ...heads.map(([text, number]) => el("th", { scope: "col", class: number ? "n" : null }, text)))),
  el("tbody", {}, ...lines.map((cells) => el("tr", {}, ...cells.map((cell, i) => {
    const parts = [].concat(cell);
    return i ? el("td", { class: heads[i][1] ? "n" : null }, ...parts) : el("th", { scope: "row" }, ...parts);
  })))),
];
const wide = (heads, lines) => el("div", { class: "wide" }, el("table", {}, ...table(heads, lines)));
const section = (id, there) => { byId(id).hidden = !there; return there; };

const FIRST = ["accuracy", "entity_f1", "span_f1", "relation_f1", "exact_match", "f1", "subset_accuracy", "pearson", "spearman", "mae", "perplexity", "macro_f1", "micro_f1", "mcc", "roc_auc", "macro_roc_auc", "log_loss", "ece", "balanced_accuracy"];
// The metrics that say most; of rows with one label micro F1 is the accuracy.
function headlines(model) {
  const known = new Map(model.metrics.map((metric) => [metric[0], metric]));
  const found = FIRST.filter((name) => known.has(name) && known.get(name)[1] !== null && !(name === "micro_f1" && known.has("accuracy")));
  return (found.length ? found : [...known.keys()]).slice(0, 6).map((name) => known.get(name));
}

function headline() {
  byId("headline").querySelector("h2 span").textContent = models.length > 1 ? " of " + here.name : "";
  byId("tiles").replaceChildren(...headlines(here).map(([name, value, low, high]) => {
    const tile = el("div", {}, el("span", {}, plain(name)), el("b", {}, short(value)), el("span", {}, between(low, high) || " "));
    if (low !== null && low >= 0 && high <= 1 && name !== "log_loss") tile.append(mark(value, low, high, [0, 1], null));
    return tile;
  }));
  byId("metrics").replaceChildren(...table([["metric"], ["value", 1], ["95 % interval", 1]],
    here.metrics.map(([name, value, low, high]) => [plain(name), short(value), between(low, high)])));
}

function comparison() {
  if (!section("compared", data.compared)) return;
  const { comparisons, best, cheapest_as_good: cheap, assumptions } = data.compared;
  const parts = [el("p", {}, "Best: ", el("b", {}, best), cheap === null ? "" : "; least time a row within its interval: ", cheap === null ? "" : el("b", {}, cheap))];
  const of = (model, name) => model.metrics.find((metric) => metric[0] === name) || [name, null, null, null];
  parts.push(wide([["metric"], ...models.map((model) => [model.name, 1])], headlines(here).map(([name]) => [plain(name), ...models.map((model) => {
    const [, value, low, high] = of(model, name);
    return [el("b", {}, short(value)), low === null ? "" : " (" + between(low, high) + ")"];
  })])), el("h3", {}, "Pairs"));
  const gaps = comparisons.flatMap((pair) => Object.values(pair.difference).flatMap((gap) => [gap.low ?? gap.value ?? 0, gap.high ?? gap.value ?? 0]));
  const wise = comparisons.every((pair) => pair.right_or_wrong ?? true);
  const most = Math.max(...gaps.map(Math.abs), 1e-9);
  const lines = comparisons.flatMap((pair) => Object.entries(pair.difference).map(([name, gap], i) => [
    i ? "" : pair.says, plain(name), gap.value === null ? "undefined" : (gap.value > 0 ? "+" : "") + gap.value.toFixed(4), gap.value === null ? "" : mark(gap.value, gap.low, gap.high, [-most, most], 0),
    gap.p.toPrecision(2), i ? "" : pair.p_holm.toPrecision(2), i ? "" : whole(pair.only_first), i ? "" : whole(pair.only_second)]));
  parts.push(wide([["verdict"], ["metric"], ["second − first", 1], ["95 % interval (dashed: 0)"], ["p", 1], ["p by Holm", 1], [wise ? "only first right" : "first better", 1], [wise ? "only second" : "second better", 1]], lines));
  if (models.some((model) => model.cost)) {
    const cost = (model, name, scale, digits) => model.cost?.[name] == null ? "–" : whole(+(model.cost[name] * scale).toPrecision(digits));
    parts.push(el("h3", {}, "Cost"), wide([["model"], ["rows/s", 1], ["ms a row", 1], ["p99", 1], ["start, s", 1], ["memory, MB", 1], ["disk, MB", 1]], models.map((model) => [model.name,
      cost(model, "rows_per_second", 1, 4), cost(model, "latency_p50_ms", 1, 3), cost(model, "latency_p99_ms", 1, 3), cost(model, "startup_seconds", 1, 2), cost(model, "peak_memory_bytes", 1e-6, 3), cost(model, "disk_bytes", 1e-6, 3)])));
  }
  parts.push(el("p", { class: "soft" }, assumptions));
  byId("compared").lastElementChild.replaceChildren(...parts);
}

// What sorts labels: rows of [name, precision, recall, f1, support].
function sorted(names, by) {
  const at = new Map(here.per_label.map((row) => [row[0], row])), errors = new Map();
  for (const [i, j, n] of here.confusion?.cells || []) if (i !== j) for (const k of [i, j]) {
    const name = here.confusion.labels[k];
    errors.set(name, (errors.get(name) || 0) + n);
  }
  const keys = { rows: (name) => -(at.get(name)?.[4] || 0), errors: (name) => -(errors.get(name) || 0), precision: (name) => at.get(name)?.[1] ?? 2, recall: (name) => at.get(name)?.[4] ? at.get(name)[2] : 2, f1: (name) => at.get(name)?.[3] ?? 2, name: () => 0 };
  const key = new Map(names.map((name) => [name, keys[by](name)]));
  return [...names].sort((a, b) => key.get(a) - key.get(b) || (a < b ? -1 : a > b ? 1 : 0));
}

function confusion() {
  const found = here.confusion;
  if (!section("confusion", found)) return;
  const n = found.labels.length, size = byId("confusion-size"), part = byId("confusion-cells").value === "share";
  size.hidden = n <= SMALL;
  const names = sorted(found.labels, byId("confusion-sort").value).slice(0, size.hidden ? n : +size.lastElementChild.value);
  const place = new Map(found.labels.map((name, i) => [name, i])), cells = new Map(found.cells.map(([i, j, k]) => [i * n + j, k]));
  const totals = new Map();
  for (const [i, , k] of found.cells) totals.set(i, (totals.get(i) || 0) + k);
  const head = (name, axis) => el("th", { scope: axis === "true" ? "row" : "col" }, el("button", { type: "button", title: name, onclick: () => choose({ [axis]: name, [axis === "true" ? "guess" : "true"]: "" }) }, name));
  const body = names.map((truth) => el("tr", {}, head(truth, "true"), ...names.map((guess) => {
    const i = place.get(truth), j = place.get(guess), k = cells.get(i * n + j) || 0, share = k / (totals.get(i) || 1);
    const cell = el("td", { tabindex: -1, class: k ? null : "none", "data-true": truth, "data-guess": guess, "aria-label": whole(k) + " rows of " + truth + " answered " + guess }, k ? part ? Math.round(share * 100) + "" : whole(k) : "·");
    if (k) cell.style.background = i === j ? "rgb(var(--good-rgb) / " + (0.1 + 0.45 * share).toFixed(2) + ")" : "rgb(var(--bad-rgb) / " + (0.08 + 0.6 * Math.sqrt(share)).toFixed(2) + ")";
    return cell;
  })));
  byId("matrix").replaceChildren(el("thead", {}, el("tr", {}, el("td"), ...names.map((name) => head(name, "guess")))), el("tbody", {}, ...body));
  byId("matrix").querySelector("tbody td").tabIndex = 0;
  const worst = found.cells.filter(([i, j]) => i !== j).sort((a, b) => b[2] - a[2]).slice(0, 12);
  byId("pairs").replaceChildren(...worst.map(([i, j, k]) => el("li", {}, el("button", { type: "button", onclick: () => choose({ true: found.labels[i], guess: found.labels[j] }) }, found.labels[i] + " → " + found.labels[j] + ": " + whole(k)))));
  byId("pairs").parentElement.hidden = !worst.length;
}

function axes(node, [left, right, top, bottom], x, y, xs, ys, form) {
  for (const at of ys) node.append(draw("line", { class: "grid", x1: left, x2: right, y1: y(at), y2: y(at) }), draw("text", { x: left - 5, y: y(at) + 4, "text-anchor": "end" }, form(at)));
  for (const at of xs) node.append(draw("text", { x: x(at), y: bottom + 14, "text-anchor": at === xs[xs.length - 1] ? "end" : "middle" }, percent(at, 0)));
}
const line = (points) => points.map(([x, y]) => x.toFixed(1) + "," + y.toFixed(1)).join(" ");

function reliability() {
  const host = byId("reliability").lastElementChild;
  host.replaceChildren();
  if (!section("reliability", here.bins)) return;
  const most = Math.max(...here.bins.map((bin) => bin[1])), steps = data.n_bins;
  fitted(host, { role: "group", "aria-label": "Reliability diagram" }, (node, width, height) => {
    const box = [40, width - 12, 8, height - 20], [left, right, top, bottom] = box;
    const x = (at) => left + at * (right - left), y = (at) => bottom - at * (bottom - top);
    node.replaceChildren();
    axes(node, box, x, y, [0, 0.25, 0.5, 0.75, 1], [0, 0.25, 0.5, 0.75, 1], (at) => percent(at, 0));
    node.append(draw("line", { class: "even", x1: x(0), y1: y(0), x2: x(1), y2: y(1) }));
    for (const [bin, n, sure, right_, low, high] of here.bins) {
      const from = bin / steps, says = percent(from, 0) + " to " + percent((bin + 1) / steps, 0) + " sure: " + whole(n) + " rows, " + percent(right_) + " right (" + percent(low) + " – " + percent(high) + ")", wide = x(1 / steps) - left;
      const pick = () => choose({ bin: String(bin) });
      node.append(draw("g", { class: "pick", tabindex: 0, role: "button", "aria-label": says, onclick: pick, onkeydown: (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); pick(); } } },
        draw("title", {}, says), draw("rect", { class: "back", x: x(from), y: top, width: wide, height: bottom - top }),
        draw("rect", { class: "count", x: x(from) + 1, width: Math.max(1, wide - 2), y: bottom - n / most * (bottom - top) / 3, height: n / most * (bottom - top) / 3 }),
        draw("line", { class: "range", x1: x(sure), x2: x(sure), y1: y(low), y2: y(high) }), draw("circle", { class: "dot", cx: x(sure), cy: y(right_), r: 3.5 })));
    }
  });
}

function risk() {
  const host = byId("risk").querySelector("div"), points = here.risk;
  host.replaceChildren();
  if (!section("risk", points?.length)) return;
  let at = points.length - 1;
  const top_ = Math.max(...points.map((point) => point[2]), 0.01) * 1.08;
  const say = () => { byId("risk-said").textContent = "From " + points[at][0].toFixed(3) + " on: " + percent(points[at][1]) + " of the rows answered, " + percent(points[at][2], 2) + " of the answers wrong."; };
  const move = (to) => { at = Math.max(0, Math.min(points.length - 1, to)); say(); fit(); };
  fitted(host, { role: "img", tabindex: 0, "aria-label": "Error against the share of rows answered; arrows move along the curve",
    onpointermove: (event) => {
      const box = event.currentTarget.getBoundingClientRect(), share = (event.clientX - box.left - 48) / (box.width - 64);
      move(points.reduce((best, point, i) => Math.abs(point[1] - share) < Math.abs(points[best][1] - share) ? i : best, 0));
    },
    onkeydown: (event) => { const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key]; if (step) { event.preventDefault(); move(at + step); } },
  }, (node, width, height) => {
    const box = [48, width - 16, 8, height - 20], [left, right, top, bottom] = box;
    const x = (share) => left + share * (right - left), y = (error) => bottom - error / top_ * (bottom - top);
    node.replaceChildren();
    axes(node, box, x, y, [0, 0.25, 0.5, 0.75, 1], [0, 0.25, 0.5, 0.75, 1].map((part) => part * top_), (error) => percent(error));
    node.append(draw("polyline", { class: "curve", points: line(points.map((point) => [x(point[1]), y(point[2])])) }),
      draw("circle", { class: "dot", cx: x(points[at][1]), cy: y(points[at][2]), r: 4 }));
  });
  say();
}

function perLabel() {
  if (!section("labels", here.per_label.length)) return;
  const at = new Map(here.per_label.map((row) => [row[0], row])), names = sorted([...at.keys()], byId("labels-sort").value);
  const cell = (value) => value === null ? "–" : [bar(value), value.toFixed(3)];
  byId("per-label").replaceChildren(...table([["label"], ["precision"], ["recall"], ["F1"], ["rows", 1]],
    names.slice(0, shownLabels).map((name) => { const [, precision, recall, f1, n] = at.get(name); return [name, cell(precision), cell(recall), cell(f1), whole(n ?? 0)]; })));
  byId("more-labels").hidden = names.length <= shownLabels;
  byId("more-labels").textContent = whole(names.length - shownLabels) + " more labels";
}

function slices() {
  const found = here.slices;
  if (!section("slices", found)) return;
  const all = here.metrics.find((metric) => metric[0] === found.metric)?.[1] ?? null;
  const lowest = (parts) => Math.min(...parts.map((part) => part.accuracy.low), all ?? 1);
  const shown = (parts, kinds) => wide([["slice"], [found.metric, 1], ["95 % interval (Wilson); dashed: all rows"], ["rows", 1], ["errors", 1]], parts.slice(0, 100).map((part) => {
    const { value, low, high } = part.accuracy, name = part.kind === "ngram" ? "“" + part.name + "”" : part.name || "(empty)";
    return [kinds && part.kind !== "ngram" ? part.kind + ": " + name : name, value.toFixed(4), [mark(value, low, high, [lowest(parts), 1], all), " " + low.toFixed(3) + " – " + high.toFixed(3)], whole(part.rows), whole(part.errors)];
  }));
  const says = whole(found.looked_at) + " slices of " + whole(found.min_rows) + " rows or more: " + (found.worse.length ? whole(found.worse.length) + " worse than the other rows beyond chance (p by Holm at most " + found.level + "), worst first" + (found.worse.length > 100 ? "; the first 100:" : ":") : "none is worse than the other rows beyond chance.");
  byId("slices").lastElementChild.replaceChildren(el("p", { class: "soft" }, says), ...(found.worse.length ? [shown(found.worse, true)] : []),
    ...Object.entries(found.by).map(([kind, parts]) => el("details", {}, el("summary", {}, "by " + kind.replace(/^column /, "")), shown(parts, false))));
}

function robustness() {
  const curves = here.robustness && Object.entries(here.robustness), attack = here.attack;
  if (!section("robustness", curves)) return;
  const host = byId("robustness").lastElementChild, parts = [];
  const metric = curves.length && "accuracy" in curves[0][1][0] ? "accuracy" : "subset_accuracy";
  const ends = curves.flatMap(([, points]) => points.flatMap((point) => [point[metric].low, point[metric].high])).filter((value) => value !== null);
  const low = Math.min(...ends, 1), high = Math.max(...ends, 0), furthest = Math.max(...curves.flatMap(([, points]) => points.map((point) => point.strength)), 0.01);
  parts.push(el("p", { class: "soft" }, plain(metric) + " after an edit in a share of the words of " + whole(here.robustness_rows) + " rows; band: 95 % interval. One scale for all."));
  const grid = el("div", { class: "small" });
  for (const [kind, points] of curves) {
    const last = points[points.length - 1], figure = el("div", {}, el("h3", {}, kind), el("p", {}, points[0][metric].value.toFixed(3) + " → " + last[metric].value.toFixed(3)));
    fitted(figure, { role: "img", "aria-label": kind + ": " + points.map((point) => percent(point.strength, 0) + " of words " + point[metric].value.toFixed(3)).join(", ") }, (node, width, height) => {
      const box = [36, width - 14, 6, height - 18], [left, right, top, bottom] = box;
      const x = (share) => left + share / furthest * (right - left), y = (value) => bottom - (value - low) / (high - low || 1) * (bottom - top);
      node.replaceChildren();
      axes(node, box, x, y, [0, furthest], [low, high], (value) => value.toFixed(2));
      const edge = (name) => points.map((point) => [x(point.strength), y(point[metric][name])]);
      node.append(draw("polygon", { class: "band", points: line([...edge("low"), ...edge("high").reverse()]) }), draw("polyline", { class: "curve", points: line(edge("value")) }));
    });
    grid.append(figure);
  }
  parts.push(grid);
  if (attack) parts.push(el("p", {}, "Under attack (" + whole(attack.rows) + " rows, at most " + whole(attack.most_queries) + " questions each): accuracy " + short(attack.accuracy.value) + " → " + short(attack.accuracy_under_attack.value) + (attack.words_changed === null ? "." : ", " + attack.words_changed.toFixed(1) + " words to flip an answer.")));
  if (here.fragile_words?.length) parts.push(el("h3", {}, "Fragile words: rows whose answer flipped when only this word was changed, of so many"),
    el("ul", { class: "words" }, ...here.fragile_words.slice(0, 30).map((one) => el("li", {}, el("b", {}, one.word), " " + [one.tried ? one.flips + " of " + one.tried : "", one.attacks ? one.attacks + " attacked" : ""].filter(Boolean).join(", ")))));
  host.replaceChildren(...parts);
}

// Which rows the filter asks for, as their numbers in this page.
const lower = [];
function matching() {
  const number = new Map(labels.map((name, i) => [name, i]));
  const want = (name) => name === "" ? -1 : number.has(name) ? number.get(name) : -2;
  const truth = want(state.true), guess = want(state.guess), q = state.q.toLowerCase();
  const given = here.guess, others = models.filter((model) => model !== here && model.guess);
  const shows = { "": () => true, wrong: (i) => !isRight(here, i), right: (i) => isRight(here, i),
    differ: (i) => others.some((model) => model.guess[i] !== given[i]),
    better: (i) => others.some((model) => worth(here, i) > worth(model, i)),
    worse: (i) => others.some((model) => worth(here, i) < worth(model, i)) };
  const fits = shows[state.show] || shows[""];
  const found = [];
  for (let i = 0; i < count; i++) {
    if (truth !== -1 && rows.true[i] !== truth || guess !== -1 && given[i] !== guess || !fits(i)) continue;
    if (state.bin !== "" && here.bin && here.bin[i] !== +state.bin) continue;
    if (q && rows.text) {
      lower[i] ??= rows.text[i].toLowerCase();
      if (!lower[i].includes(q)) continue;
    }
    found.push(i);
  }
  const sign = { sure: -1, unsure: 1 }[state.sort];
  if (sign && here.sure) found.sort((a, b) => sign * ((here.sure[a] ?? -1) - (here.sure[b] ?? -1)) || a - b);
  const order = { best: -1, worst: 1 }[state.sort];
  if (order && here.score) found.sort((a, b) => order * (worth(here, a) - worth(here, b)) || a - b);
  return found;
}

function marked(text) {
  const q = state.q.toLowerCase(), folded = text.toLowerCase(), parts = [];
  if (!q || folded.length !== text.length) return [text];
  let from = 0;
  for (let at = folded.indexOf(q); at >= 0; at = folded.indexOf(q, from)) {
    parts.push(text.slice(from, at), el("mark", {}, text.slice(at, at + q.length)));
    from = at + q.length;
  }
  return [...parts, text.slice(from)];
}

const answer = (model, i) => {
  const right = isRight(model, i), sure = (model.sure?.[i] ?? null) !== null ? " (" + (model.sure[i] / 1000).toFixed(3) + ")" : "";
  const score = model.score ? " (" + scoreName + " " + short(model.score[i]) + ")" : "";
  return el("span", { class: data.judged ? right ? "right" : "wrong" : null }, (data.judged ? right ? "✓ " : "✗ " : "") + (models.length > 1 || !data.judged ? (models.length > 1 ? model.name : "answer") + ": " : "") + labels[model.guess[i]] + sure + score);
};

function examples() {
  if (!section("examples", count && here.guess)) return;
  const found = matching(), pages = Math.max(1, Math.ceil(found.length / PAGE));
  state.page = Math.max(0, Math.min(pages - 1, state.page));
  for (const name of ["true", "guess", "show", "sort", "q"]) if (byId(name).value !== state[name]) byId(name).value = state[name];
  byId("bin").hidden = state.bin === "";
  byId("bin").textContent = "confidence " + percent(+state.bin / data.n_bins, 0) + " to " + percent((+state.bin + 1) / data.n_bins, 0);
  let says = whole(found.length) + " of " + whole(count) + " rows";
  if (count < data.n) says += ", a sample drawn from " + whole(data.n);
  if (rows.text && rows.text.some((text) => text.length === data.cut)) says += "; texts are cut, and searched, at " + data.cut + " characters";
  byId("count").textContent = says + ".";
  byId("list").replaceChildren(...found.slice(state.page * PAGE, (state.page + 1) * PAGE).map((i) => el("li", {},
    ...(rows.text ? [el("p", { dir: "auto" }, ...(rows.text[i].trim() ? marked(rows.text[i]) : ["(empty)"]))] : []),
    el("div", { class: "said" }, el("span", {}, (rows.lines ? "line " : "row ") + whole(rows.line[i])), el("span", {}, "truth: " + labels[rows.true[i]]),
      ...models.filter((model) => model.guess && (models.length <= 4 || model === here)).map((model) => answer(model, i))))));
  byId("page").textContent = "page " + whole(state.page + 1) + " of " + whole(pages);
  byId("before").disabled = !state.page;
  byId("after").disabled = state.page >= pages - 1;
  byId("pages").hidden = pages === 1;
  for (const cell of byId("matrix").querySelectorAll("td[data-true]")) {
    const chosen = cell.dataset.true === state.true && cell.dataset.guess === state.guess;
    if (chosen || cell.hasAttribute("aria-selected")) cell.setAttribute("aria-selected", chosen);
  }
}

function remember() {
  const kept = Object.entries(state).filter(([, value]) => value !== "" && value !== 0);
  history.replaceState(null, "", kept.length ? "#" + new URLSearchParams(kept) : location.pathname + location.search);
}
function filter(wanted) {
  Object.assign(state, { page: 0 }, wanted);
  examples();
  remember();
}
// A cell, a label or a bin: nothing else is asked for then, and its rows are brought into sight.
function choose(wanted) {
  filter({ true: "", guess: "", show: "", q: "", bin: "", ...wanted });
  byId("examples").scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  byId("examples").focus({ preventScroll: true });
}

function options() {
  const seen = { true: new Map(), guess: new Map() };
  for (const [name, ids] of [["true", rows.true], ["guess", here.guess || []]]) {
    for (const id of ids) seen[name].set(id, (seen[name].get(id) || 0) + 1);
    const most = [...seen[name]].sort((a, b) => b[1] - a[1]).slice(0, 1000);
    const names = new Set(most.map(([id]) => labels[id]).sort().concat(here.confusion?.labels || []));
    byId(name).replaceChildren(el("option", { value: "" }, "any"), ...[...names].map((label) => el("option", { value: label }, label)));
  }
  const halves = data.judged ? [["wrong", "wrong"], ["right", "right"]] : [];
  const [better, worse] = here.score ? ["better than another", "worse than another"] : ["right, another wrong", "wrong, another right"];
  const shows = [["", "all"], ...halves, ...(models.length > 1 ? [["differ", "answers differ"], ["better", better], ["worse", worse]] : [])];
  byId("show").replaceChildren(...shows.map(([value, text]) => el("option", { value }, text)));
  byId("show").parentElement.hidden = shows.length < 2;
  for (const name of ["true", "guess"]) byId(name).parentElement.hidden = data.free;
  const sorts = [["", "of the file"], ...(here.sure ? [["sure", "surest first"], ["unsure", "least sure first"]] : []), ...(here.score ? [["worst", "worst first"], ["best", "best first"]] : [])];
  byId("sort").replaceChildren(...sorts.map(([value, text]) => el("option", { value }, text)));
  byId("sort-label").hidden = sorts.length < 2;
  byId("q").parentElement.hidden = !rows.text;
}

function all() {
  here = models[state.model];
  drawings = [];
  for (const part of [headline, comparison, confusion, reliability, risk, perLabel, slices, robustness, options, examples, fit]) part();
}

function fromAddress() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  for (const name of Object.keys(state)) state[name] = typeof state[name] === "number" ? Math.max(0, parseInt(wanted.get(name), 10) || 0) : wanted.get(name) ?? "";
  state.model = Math.min(models.length - 1, state.model);
  for (const radio of byId("models").querySelectorAll("input")) radio.checked = +radio.value === state.model;
  all();
}

byId("models").hidden = models.length < 2;
byId("models").append(...models.map((model, i) => el("label", {}, el("input", { type: "radio", name: "model", value: i, onchange: () => { state.model = i; state.page = 0; all(); remember(); } }), " " + model.name)));
byId("skip").addEventListener("click", (event) => { event.preventDefault(); byId("examples").scrollIntoView(); byId("examples").focus(); });
byId("confusion-sort").value = (here.confusion?.labels.length || 0) > SMALL ? "errors" : "rows";
for (const id of ["confusion-sort", "confusion-cells", "confusion-size"]) byId(id).addEventListener("change", () => { confusion(); examples(); });
byId("labels-sort").addEventListener("change", perLabel);
byId("more-labels").addEventListener("click", () => { shownLabels += 200; perLabel(); });
byId("matrix").addEventListener("click", (event) => {
  const cell = event.target.closest("td[data-true]");
  if (cell) choose({ true: cell.dataset.true, guess: cell.dataset.guess });
});
byId("matrix").addEventListener("keydown", (event) => {
  const cell = event.target.closest("td[data-true]"), step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  if (!cell || !step && event.key !== "Enter" && event.key !== " ") return;
  event.preventDefault();
  if (!step) return cell.click();
  const next = byId("matrix").tBodies[0].rows[cell.parentElement.sectionRowIndex + step[0]]?.cells[cell.cellIndex + step[1]];
  if (!next?.matches("td")) return;
  cell.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
});
for (const name of ["true", "guess", "show", "sort"]) byId(name).addEventListener("change", (event) => filter({ [name]: event.target.value }));
let typed = 0;
byId("q").addEventListener("input", (event) => { clearTimeout(typed); typed = setTimeout(() => filter({ q: event.target.value }), 120); });
byId("filter").addEventListener("submit", (event) => { event.preventDefault(); filter({ q: byId("q").value }); });
byId("filter").addEventListener("reset", (event) => { event.preventDefault(); filter({ true: "", guess: "", show: "", q: "", bin: "", sort: "" }); });
byId("before").addEventListener("click", () => filter({ page: state.page - 1 }));
byId("after").addEventListener("click", () => filter({ page: state.page + 1 }));
addEventListener("hashchange", fromAddress);
new ResizeObserver(fit).observe(byId("main"));
fromAddress();
