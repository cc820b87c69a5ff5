// What happens on the page. In: the reports that stand in it. Out: pictures, filters, a chosen trial marked everywhere.
function begin(report, number) {
  for (const trial of report.trials) trial.is_baseline = trial.number === report.baseline;
  const own = (selector) => [...document.querySelectorAll(`${selector}[data-report="${number}"]`)];
  const state = { chosen: null, ranges: {}, choices: {}, least: null, metric: Object.keys(report.trial_metrics)[0] };
  const draw = { pareto: (trials) => pareto(report, trials, state.metric), heat: (trials) => heat(report, trials, state.metric), curves: (trials) => curves(report, trials), parallel: (trials) => parallel(report, trials) };
  const passes = (trial) =>
    Object.entries(state.ranges).every(([name, [low, high]]) => (low === null || trial.params[name] >= low) && (high === null || trial.params[name] <= high)) &&
    Object.entries(state.choices).every(([name, allowed]) => allowed.has(String(trial.params[name]))) &&
    (state.least === null || (trial.score !== null && trial.score >= state.least));
  const visible = () => report.trials.filter(passes);

  function choose(trial) {
    state.chosen = trial;
    document.getElementById("chosen").textContent = trial === null ? "" :
      `trial ${trial.number} of ${report.search_id}: ${trial.role}, ${STATES[trial.state]}, score ${shown(trial.score)}; ${Object.entries(trial.params).map(([name, value]) => `${name} ${short(value)}`).join(", ")}`;
    paint();
  }

  function paint() {
    const chosen = state.chosen === null ? null : String(state.chosen.number);
    for (const place of [...own("table.trials"), ...own("[data-chart]")])
      for (const one of place.querySelectorAll("[data-trial]")) {
        const is = one.dataset.trial === chosen;
        one.classList.toggle("chosen", is);
        if (one instanceof SVGElement) {
          one.style.opacity = chosen === null || is ? 1 : 0.25;
          one.style.filter = is ? "drop-shadow(0 0 2px #d55e00)" : "";
        }
      }
  }

  function render(kinds = Object.keys(draw)) {
    const trials = visible();
    for (const kind of kinds)
      for (const place of own(`[data-chart="${kind}"]`)) {
        const focused = place.contains(document.activeElement);
        place.replaceChildren(draw[kind](trials));
        if (focused) place.querySelector("[data-picture]")?.focus();
      }
    const kept = new Set(trials.map((trial) => String(trial.number)));
    for (const table of own("table.trials")) for (const row of table.querySelectorAll("tr[data-trial]")) row.classList.toggle("out", !kept.has(row.dataset.trial));
    for (const form of own("form.filters")) form.querySelector("output").textContent = `${trials.length} of ${report.trials.length} trials`;
    paint();
  }

  function byNumber(text) {
    return report.trials.find((trial) => String(trial.number) === text) || null;
  }

  function listen(place) {
    place.addEventListener("pointerover", (event) => {
      const found = event.target.closest?.("[data-trial]");
      if (found) choose(byNumber(found.dataset.trial));
    });
    place.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (event.key === "Escape") return choose(null);
      if (!event.target.closest("[data-picture]") || !step) return undefined;
      event.preventDefault();
      const drawn = new Set([...place.querySelectorAll("[data-trial]")].map((one) => one.dataset.trial));
      const trials = visible().filter((trial) => drawn.has(String(trial.number)));
      const at = trials.indexOf(state.chosen);
      return trials.length ? choose(trials[at < 0 ? (step > 0 ? 0 : trials.length - 1) : (at + step + trials.length) % trials.length]) : undefined;
    });
  }

  function filter(form) {
    const field = (name, end) => {
      const input = html("input", { type: "number", step: "any", "aria-label": `${name} ${end}`, placeholder: end });
      input.addEventListener("input", () => {
        const value = input.value === "" ? null : Number(input.value);
        if (name === "score") state.least = value;
        else (state.ranges[name] ||= [null, null])[end === "at least" ? 0 : 1] = value;
        render();
      });
      return input;
    };
    for (const [name, parameter] of Object.entries(report.parameters)) {
      const set = html("fieldset", {}, html("legend", {}, name));
      if (parameter.choices)
        for (const choice of parameter.choices.map(String)) {
          const box = html("input", { type: "checkbox", checked: "" });
          box.addEventListener("change", () => {
            const allowed = (state.choices[name] ||= new Set(parameter.choices.map(String)));
            allowed[box.checked ? "add" : "delete"](choice);
            if (allowed.size === parameter.choices.length) delete state.choices[name];
            render();
          });
          set.append(html("label", {}, box, ` ${choice}`));
        }
      else set.append(field(name, "at least"), " ", field(name, "at most"));
      form.append(set);
    }
    const reset = html("button", { type: "reset" }, "Show all");
    form.append(html("fieldset", {}, html("legend", {}, "score"), field("score", "at least")), reset, html("output", { "aria-live": "polite" }));
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(() => { Object.assign(state, { ranges: {}, choices: {}, least: null }); render(); }));
  }

  own("form.filters").forEach(filter);
  own("[data-chart]").forEach(listen);
  for (const table of own("table.trials")) {
    listen(table);
    table.addEventListener("click", (event) => {
      const row = event.target.closest("tr[data-trial]");
      if (row) choose(byNumber(row.dataset.trial));
    });
  }
  for (const select of own("select")) {
    const change = () => {
      if (select.dataset.switches === "metric") {
        state.metric = select.value;
        render(["pareto", "heat"]);
      } else for (const part of own("[data-score]")) part.hidden = part.dataset.score !== select.value;
    };
    select.addEventListener("change", change);
    change();
  }
  render();
}

function copyOf(button) {
  const code = button.parentElement.querySelector("code");
  const done = () => { button.textContent = "Copied"; setTimeout(() => { button.textContent = "Copy"; }, 2000); };
  const byHand = () => {
    getSelection().selectAllChildren(code);
    document.execCommand("copy");
    done();
  };
  if (navigator.clipboard) navigator.clipboard.writeText(code.textContent).then(done, byHand);
  else byHand();
}

// A running search's page asks whether it is still what the search's files say, and loads itself anew if not.
function keepUp(seconds) {
  let stamp = null;
  setInterval(async () => {
    try {
      const answer = await fetch("stamp", { cache: "no-store" });
      const text = await answer.text();
      if (stamp !== null && text !== stamp) location.reload();
      stamp = text;
    } catch { /* the command was ended: the page stays as it is */ }
  }, 1000 * seconds);
}

document.querySelectorAll("script.report").forEach((one, number) => begin(JSON.parse(one.textContent), number));
document.querySelectorAll("[data-copy]").forEach((button) => button.addEventListener("click", () => copyOf(button)));
document.querySelectorAll("main > section").forEach((section) =>
  document.getElementById("contents").append(html("li", {}, html("a", { href: `#${section.id}` }, section.querySelector("h2").textContent))));
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((one) => { one.open = true; }));
if (Number(document.body.dataset.live)) keepUp(Number(document.body.dataset.live));
