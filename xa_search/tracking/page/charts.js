"use strict";
// Pictures of a report. In: a report and what is chosen in it. Out: elements; all text goes in as text, never as markup.
const COLOURS = { COMPLETE: "#0072b2", PRUNED: "#767676", FAIL: "#d55e00", RUNNING: "#009e73", PAUSED: "#cc79a7" };
const STATES = { COMPLETE: "full budget", PRUNED: "stopped early", FAIL: "failed", RUNNING: "running", PAUSED: "waiting" };
const VIRIDIS = ["#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725"];
const SIZE = { width: 720, height: 360, left: 60, right: 20, top: 16, bottom: 46 };

function node(space, name, attributes, children) {
  const made = space ? document.createElementNS(space, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  for (const child of children) made.append(child);
  return made;
}
const html = (name, attributes = {}, ...children) => node(null, name, attributes, children);
const svg = (name, attributes = {}, ...children) => node("http://www.w3.org/2000/svg", name, attributes, children);
const shown = (value) => (value === null || value === undefined ? "–" : Number(value).toFixed(1));
const short = (value) => (typeof value === "number" ? String(Number(value.toPrecision(3))) : String(value));

function viridis(share) {
  const place = Math.min(1, Math.max(0, share)) * (VIRIDIS.length - 1);
  const low = Math.min(VIRIDIS.length - 2, Math.floor(place));
  const parts = [1, 3, 5].map((start) => {
    const [a, b] = [VIRIDIS[low], VIRIDIS[low + 1]].map((hex) => parseInt(hex.slice(start, start + 2), 16));
    return Math.round(a + (b - a) * (place - low));
  });
  const light = (0.299 * parts[0] + 0.587 * parts[1] + 0.114 * parts[2]) / 255;
  return { back: `rgb(${parts.join(",")})`, ink: light > 0.5 ? "#000" : "#fff" };
}

function extent(values) {
  const known = values.filter((value) => value !== null && value !== undefined && Number.isFinite(value));
  if (!known.length) return [0, 1];
  const [low, high] = [Math.min(...known), Math.max(...known)];
  return low === high ? [low - 1, high + 1] : [low, high];
}

function ticks([low, high], wanted = 5) {
  const rough = (high - low) / wanted, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= rough) || rough;
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step / 1e6; at += step) found.push(Number(at.toPrecision(12)));
  return found;
}

// A shape a state, so that colour alone says nothing; a star for the winner, a diamond for the baseline.
function mark(trial, x, y) {
  const paths = {
    star: "M0-8 2-2.5 8-2.5 3.2 1.2 5 7 0 3.6-5 7-3.2 1.2-8-2.5-2-2.5Z", diamond: "M0-7 6 0 0 7-6 0Z",
    COMPLETE: "M-5 0A5 5 0 1 0 5 0A5 5 0 1 0-5 0Z", PRUNED: "M-5.5-4.5H5.5L0 5.5Z", FAIL: "M-5-5 5 5M5-5-5 5",
    RUNNING: "M-4.5-4.5H4.5V4.5H-4.5Z", PAUSED: "M-5 5.5H5L0-5.5Z",
  };
  const kind = trial.is_winner ? "star" : trial.is_baseline ? "diamond" : trial.state;
  return svg("path", {
    d: paths[kind], transform: `translate(${x} ${y})`, "data-trial": trial.number, "stroke-width": 2,
    stroke: kind === "star" ? "#000" : COLOURS[trial.state], fill: trial.state === "FAIL" ? "none" : kind === "star" ? "#e69f00" : COLOURS[trial.state], "fill-opacity": 0.85,
  });
}

function legend(trials) {
  const kinds = [];
  const winner = trials.find((one) => one.is_winner), baseline = trials.find((one) => one.is_baseline);
  if (winner) kinds.push([winner, "winner"]);
  if (baseline) kinds.push([{ ...baseline, is_winner: false }, "zero-shot baseline"]);
  for (const state of Object.keys(STATES))
    if (trials.some((one) => one.state === state)) kinds.push([{ state, number: "" }, STATES[state]]);
  return html("ul", { class: "legend" }, ...kinds.map(([trial, text]) => {
    const drawn = mark(trial, 9, 9);
    drawn.removeAttribute("data-trial");
    return html("li", {}, svg("svg", { viewBox: "0 0 18 18", "aria-hidden": "true" }, drawn), text);
  }));
}

function axes(xs, ys, xTitle, yTitle, whole = false) {
  const x = (value) => SIZE.left + ((value - xs[0]) / (xs[1] - xs[0])) * (SIZE.width - SIZE.left - SIZE.right);
  const y = (value) => SIZE.height - SIZE.bottom - ((value - ys[0]) / (ys[1] - ys[0])) * (SIZE.height - SIZE.top - SIZE.bottom);
  const group = svg("g", { stroke: "#cbd2d9" });
  const text = (content, attributes) => svg("text", { stroke: "none", ...attributes }, content);
  for (const at of ticks(ys)) group.append(svg("path", { d: `M${SIZE.left} ${y(at)}H${SIZE.width - SIZE.right}` }), text(short(at), { x: SIZE.left - 6, y: y(at) + 4, "text-anchor": "end" }));
  for (const at of ticks(xs).filter((one) => !whole || Number.isInteger(one))) group.append(svg("path", { d: `M${x(at)} ${SIZE.height - SIZE.bottom}v5` }), text(short(at), { x: x(at), y: SIZE.height - SIZE.bottom + 18, "text-anchor": "middle" }));
  group.append(text(xTitle, { x: SIZE.width - SIZE.right, y: SIZE.height - 8, "text-anchor": "end" }));
  group.append(text(yTitle, { x: 14, y: SIZE.top, "text-anchor": "end", transform: `rotate(-90 14 ${SIZE.top})` }));
  return { x, y, group };
}

function picture(title, ...children) {
  const hint = `${title}. Arrow keys choose a trial.`;
  return svg("svg", { viewBox: `0 0 ${SIZE.width} ${SIZE.height}`, tabindex: 0, role: "group", "aria-label": hint, "data-picture": "" }, svg("title", {}, title), ...children);
}

function targetScores(report, trial, metric) {
  const places = report.targets.map((lang) => report.trial_languages.indexOf(lang));
  const values = places.map((place) => (trial.by_language[metric] || [])[place]).filter((one) => one !== null && one !== undefined);
  return values.length ? { mean: values.reduce((a, b) => a + b, 0) / values.length, worst: Math.min(...values) } : null;
}

// The mean over the targets against the worst of them; the line joins trials that none beats in both.
function pareto(report, trials, metric) {
  const points = trials.map((trial) => ({ trial, at: targetScores(report, trial, metric) })).filter((one) => one.at);
  if (!points.length) return html("p", {}, "No trial has this metric in a target.");
  const scale = axes(extent(points.map((one) => one.at.mean)), extent(points.map((one) => one.at.worst)), "mean over targets", "worst target");
  const front = points.filter((one) => !points.some((other) => other.at.mean >= one.at.mean && other.at.worst >= one.at.worst && (other.at.mean > one.at.mean || other.at.worst > one.at.worst)));
  front.sort((a, b) => a.at.mean - b.at.mean);
  const line = svg("path", { fill: "none", stroke: "#000", "stroke-dasharray": "4 3", d: front.map((one, place) => `${place ? "L" : "M"}${scale.x(one.at.mean)} ${scale.y(one.at.worst)}`).join("") });
  const marks = points.map((one) => mark(one.trial, scale.x(one.at.mean), scale.y(one.at.worst)));
  return html("div", {}, picture("Mean and worst target of each trial", scale.group, line, ...marks), legend(points.map((one) => one.trial)));
}

// The selection score by epoch; dashed lines are the epochs after which trials are compared.
function curves(report, trials) {
  const begun = trials.filter((trial) => trial.scores.length);
  if (!begun.length) return html("p", {}, "No trial has reported an epoch.");
  const longest = Math.max(2, ...begun.map((trial) => trial.scores.length));
  const scale = axes([1, longest], extent(begun.flatMap((trial) => trial.scores)), "epoch", "selection score", true);
  const rungs = report.rungs.filter((rung) => rung <= longest).map((rung) => svg("path", { d: `M${scale.x(rung)} ${SIZE.top}V${SIZE.height - SIZE.bottom}`, stroke: "#7b8794", "stroke-dasharray": "5 4" }));
  const lines = begun.map((trial) => svg("path", {
    "data-trial": trial.number, fill: "none", stroke: trial.is_winner ? "#000" : COLOURS[trial.state], "stroke-width": trial.is_winner ? 3 : 1.5, "stroke-opacity": 0.75,
    d: trial.scores.map((score, place) => `${place ? "L" : "M"}${scale.x(place + 1)} ${scale.y(score)}`).join(""),
  }));
  const ends = begun.map((trial) => mark(trial, scale.x(trial.scores.length), scale.y(trial.scores[trial.scores.length - 1])));
  return html("div", {}, picture("Learning curves", scale.group, ...rungs, ...lines, ...ends), legend(begun));
}

function dimension(parameter, values) {
  if (parameter.choices) {
    const names = parameter.choices.map(String);
    return { place: (value) => (names.length < 2 ? 0.5 : names.indexOf(String(value)) / (names.length - 1)), labels: names.map((name) => [name, name]) };
  }
  const ends = parameter.low === null ? extent(values) : [parameter.low, parameter.high];
  const [low, high] = parameter.log ? ends.map(Math.log) : ends;
  return { place: (value) => ((parameter.log ? Math.log(value) : value) - low) / (high - low || 1), labels: ends.map((end) => [end, short(end)]) };
}

// Parallel coordinates: a line a trial over its settings to its score, which gives the colour.
function parallel(report, trials) {
  const names = Object.keys(report.parameters);
  const scored = trials.filter((trial) => trial.score !== null);
  const [low, high] = extent(scored.map((trial) => trial.score));
  const dimensions = names.map((name) => ({ name, value: (trial) => trial.params[name], ...dimension(report.parameters[name], trials.map((trial) => trial.params[name])) }));
  dimensions.push({ name: "score", value: (trial) => trial.score, place: (value) => (value - low) / (high - low), labels: [[low, shown(low)], [high, shown(high)]] });
  const [top, bottom] = [40, SIZE.height - 30];
  const x = (place) => 60 + (place / Math.max(1, dimensions.length - 1)) * (SIZE.width - 120);
  const y = (share) => bottom - Math.min(1, Math.max(0, share)) * (bottom - top);
  const bars = dimensions.flatMap((one, place) => [
    svg("path", { d: `M${x(place)} ${top}V${bottom}`, stroke: "#1f2933" }),
    svg("text", { x: x(place), y: 16 + (place % 2) * 14, "text-anchor": "middle", "font-weight": 600 }, one.name),
    ...one.labels.map(([value, label]) => svg("text", { x: x(place) + 5, y: y(one.place(value)) + 4, "font-size": 11 }, label)),
  ]);
  const lines = scored.map((trial) => {
    const points = dimensions.map((one, place) => [x(place), one.value(trial)]).map(([at, value], place) => (value === undefined || value === null ? null : `${at} ${y(dimensions[place].place(value))}`)).filter(Boolean);
    return svg("path", { "data-trial": trial.number, fill: "none", "stroke-width": trial.is_winner ? 4 : 2, "stroke-opacity": 0.8, stroke: viridis((trial.score - low) / (high - low)).back, d: `M${points.join("L")}` });
  });
  return html("div", {}, picture("Settings and scores as parallel coordinates", ...lines, ...bars), html("p", { class: "small" }, "A line a trial: dark is low, bright is high; the winner's is thick. A setting that a trial did not search is left out of its line."));
}

// A cell a trial and language, coloured by viridis over the range of the metric, its number in it.
function heat(report, trials, metric) {
  const known = trials.flatMap((trial) => trial.by_language[metric] || []).filter((value) => value !== null);
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const head = html("tr", {}, html("th", { scope: "col" }, "trial"), ...report.trial_languages.map((lang) => html("th", { scope: "col" }, lang)));
  const rows = trials.filter((trial) => trial.by_language[metric]).map((trial) => html("tr", { "data-trial": trial.number },
    html("th", { scope: "row" }, `${trial.number}${trial.is_winner ? " ★" : ""}`),
    ...trial.by_language[metric].map((value) => {
      const cell = html("td", {}, shown(value));
      if (value !== null) {
        const colour = viridis(high > low ? (value - low) / (high - low) : 1);
        cell.style.background = colour.back;
        cell.style.color = colour.ink;
      }
      return cell;
    })));
  return html("table", { class: "heat" }, html("caption", { class: "small" }, low === high ? "" : `from ${shown(low)} (dark) to ${shown(high)} (bright)`), html("thead", {}, head), html("tbody", {}, ...rows));
}
