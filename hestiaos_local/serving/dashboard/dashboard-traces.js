// The decisions, the newest first, and the trace of one. Rows are added and changed where they stand, so that neither
// the focus nor the reader's place is lost.

import { ask } from "./dashboard-api.js";
import { button, element, find, moment, pairs, quoted } from "./dashboard-elements.js";
import { explain, Panel } from "./dashboard-panels.js";

const PAGE = 50; // traces that are asked for at once
const MOST = 500; // rows that are kept
const FIRST = ["decision", "outcome", "reason", "input", "output"]; // of all that a trace holds

const shown = new Map(); // by their ids: each trace and its row

async function load(before) {
  const decision = find("#filter").value;
  const query = new URLSearchParams({ limit: PAGE });
  if (decision) query.set("decision", decision);
  if (before) query.set("before", before);
  const { traces } = await ask(`api/v1/traces?${query}`);
  return decision === find("#filter").value ? traces : load(); // another was chosen meanwhile
}

function draw(section, [traces, { decisions: counts }]) {
  find("#counts").replaceChildren(
    ...Object.entries(counts).map(([name, count]) => element("span", { class: name }, `${name} ${count}`)),
  );
  const isFirst = shown.size === 0;
  const missed = traces.length === PAGE && !traces.some((trace) => shown.has(trace.trace_id));
  if (missed) clear();
  const added = traces.filter((trace) => !shown.has(trace.trace_id));
  if (added.length) for (const row of document.querySelectorAll("#traces .new")) row.classList.remove("new");
  for (const trace of traces) if (shown.has(trace.trace_id)) update(trace);
  for (const trace of added.reverse()) find("#traces").prepend(keep(trace, isFirst ? "" : "new"));
  while (shown.size > MOST) drop(find("#traces").lastElementChild);
  section.querySelector("table").hidden = shown.size === 0;
  if (isFirst || missed) find("#older").hidden = traces.length < PAGE;
  if (!isFirst && added.length) announce(added);
  drawRules();
  return shown.size ? "" : "Nothing has been decided yet.";
}

function keep(trace, name) {
  const row = element("tr", { class: name, "data-id": trace.trace_id });
  row.append(
    element("td", {}, button(moment(trace.timestamp), () => showTrace(trace.trace_id), { class: "link" })),
    element("td", {}),
    element("td", {}, element("div", { class: "clipped" }, quoted(trace.input ?? trace.command_type))),
    element("td", { class: "wide" }, quoted(trace.key)),
    element("td", { class: "wide" }),
  );
  shown.set(trace.trace_id, { trace, row });
  update(trace);
  return row;
}

function decisionOf(trace) {
  const cell = new DocumentFragment();
  cell.append(element("span", { class: trace.decision }, trace.decision));
  for (const { rule } of trace.violations ?? []) cell.append(element("small", {}, quoted(rule)));
  return cell;
}

function update(trace) {
  const known = shown.get(trace.trace_id);
  known.trace = trace;
  known.row.cells[1].replaceChildren(decisionOf(trace)); // an output that is blocked adds its rule
  known.row.lastElementChild.replaceChildren(quoted(trace.outcome ?? "under way"));
}

function drop(row) {
  shown.delete(row.dataset.id);
  row.remove();
}

function clear() {
  shown.clear();
  find("#traces").replaceChildren();
}

function announce(added) {
  const blocked = added.filter((trace) => trace.decision === "BLOCK").length;
  find("#news").textContent = `${added.length} new, ${blocked} blocked`;
}

// Which rules have decided the traces that are shown, and which would have, were they not in shadow mode.
function drawRules() {
  const rules = new Map();
  const count = (name, column) => {
    if (!rules.has(name)) rules.set(name, [0, 0]);
    rules.get(name)[column] += 1;
  };
  for (const { trace } of shown.values()) {
    for (const { rule } of trace.violations ?? []) count(rule, 0);
    for (const { rule } of [...(trace.shadow ?? []), ...(trace.output_shadow ?? [])]) count(rule, 1);
  }
  const rows = [...rules].sort(([a], [b]) => (a < b ? -1 : 1));
  find("#rules").hidden = rows.length === 0;
  find("#rules tbody").replaceChildren(
    ...rows.map(([name, counts]) =>
      element(
        "tr",
        {},
        element("th", { scope: "row" }, quoted(name)),
        ...counts.map((each) => element("td", {}, String(each))),
      ),
    ),
  );
}

export const decisions = new Panel("#decisions", () => Promise.all([load(), ask("api/governance/stability")]), draw);

find("#filter").addEventListener("change", () => {
  clear();
  decisions.forget();
  decisions.refresh();
});

find("#older").addEventListener("click", async () => {
  try {
    const older = await load(find("#traces").lastElementChild?.dataset.id);
    for (const trace of older) if (!shown.has(trace.trace_id)) find("#traces").append(keep(trace, ""));
    find("#older").hidden = older.length < PAGE || shown.size >= MOST;
    drawRules();
  } catch (error) {
    decisions.say(explain(error));
  }
});

// Show all that is known of an execution.
export async function showTrace(id) {
  const dialog = find("#trace");
  const say = (text) => dialog.querySelector(".note").replaceChildren(text);
  dialog.querySelector("dl").replaceChildren();
  say("Asking the server …");
  if (!dialog.open) dialog.showModal();
  try {
    const trace = await ask(`api/governance/trace/${encodeURIComponent(id)}`);
    const first = Object.fromEntries(FIRST.filter((name) => name in trace).map((name) => [name, trace[name]]));
    dialog.querySelector("dl").replaceChildren(...pairs({ ...first, ...trace }));
    say("");
  } catch (error) {
    say(explain(error));
  }
}

find("#close").addEventListener("click", () => find("#trace").close());
