// Shows what the platform decides, by the public API alone, with the user's key, which stays in this page's memory.

import { ask, setKey } from "./dashboard-api.js";
import { button, duration, element, find, moment, pairs, quoted } from "./dashboard-elements.js";
import { explain, needsKey, Panel } from "./dashboard-panels.js";
import { decisions, showTrace } from "./dashboard-traces.js";

const FAST = 2000; // milliseconds between two looks at what changes quickly
const SLOW = 10000;

const approvals = new Panel(
  "#approvals",
  () => ask("api/v1/approvals?status=pending"),
  (section, { approvals: waiting }) => {
    section.querySelector("ul").replaceChildren(...waiting.map(approvalItem));
    return waiting.length ? "" : "None is waiting.";
  },
);

function approvalItem(approval) {
  const bar = element("div", { class: "bar" });
  bar.append(
    button("Approve", () => decide(approval, true, bar), { "aria-label": `Approve: ${approval.rule}` }),
    button("Deny", () => decide(approval, false, bar), { "aria-label": `Deny: ${approval.rule}` }),
  );
  if (approval.trace_id) bar.append(button("Its trace", () => showTrace(approval.trace_id)));
  return element(
    "li",
    {},
    element("p", {}, element("strong", {}, quoted(approval.rule)), " ", quoted(approval.reason)),
    element("pre", { tabindex: "0", "aria-label": "What was asked" }, approval.input ?? ""),
    element("p", { class: "note" }, "until ", moment(approval.expires)),
    bar,
  );
}

async function decide(approval, approve, bar) {
  for (const each of bar.children) each.disabled = true;
  try {
    await ask(`api/v1/approvals/${encodeURIComponent(approval.approval_id)}`, { approve });
    find("#news").textContent = approve ? "Approved: the same call passes once." : "Denied.";
    await approvals.refresh();
  } catch (error) {
    approvals.say(explain(error));
    for (const each of bar.children) each.disabled = false;
  }
  approvals.section.focus();
}

const limits = new Panel(
  "#limits",
  () => ask("api/v1/limits"),
  (section, { limits: all }) => {
    section.querySelector("ul").replaceChildren(...all.map(limitItem));
    return all.length ? "" : "The policy has none.";
  },
);

function limitItem({ name, per, window, requests, tokens, used }) {
  const scope = per === "all" ? "" : ` for each ${per}`;
  const item = element("li", {}, element("strong", {}, quoted(name)), `${scope}, in ${duration(window)}`);
  for (const use of used.length ? used : [{ subject: "", requests: 0, tokens: 0 }]) {
    if (requests !== null) item.append(meterOf(use.subject, use.requests, requests, "requests"));
    if (tokens !== null) item.append(meterOf(use.subject, use.tokens, tokens, "tokens"));
  }
  return item;
}

function meterOf(subject, value, max, unit) {
  const meter = element("meter", { min: 0, max, high: 0.8 * max, optimum: 0, value });
  const text = `${value.toLocaleString()} of ${max.toLocaleString()} ${unit}`;
  return element("label", {}, ...(subject ? [quoted(subject), ": "] : []), text, meter);
}

const policy = new Panel(
  "#policy",
  () => ask("api/v1/policy"),
  (section, { text, ...said }) => {
    section.querySelector("dl").replaceChildren(...pairs(said));
    section.querySelector("details").hidden = !text;
    section.querySelector("pre").textContent = text ?? "";
  },
);

const health = new Panel(
  "#health",
  async () => {
    try {
      return await Promise.all([ask("api/system/status"), ask("api/system/metrics")]);
    } catch (error) {
      sayState(error.message, "bad");
      throw error;
    }
  },
  (section, [status, metrics]) => {
    sayState(`${status.status}, version ${status.version}`, status.status === "OK" ? "good" : "bad");
    section.querySelector("dl").replaceChildren(...pairs({ ...status, ...metrics }));
  },
);

function sayState(text, name) {
  find("#state").textContent = text;
  find("#state").className = name;
}

const fast = [decisions, approvals];
const slow = [limits, policy, health];
const isPaused = () => find("#pause").getAttribute("aria-pressed") === "true";
const refresh = (panels) => Promise.all(panels.map((panel) => panel.refresh()));

find("#pause").addEventListener("click", () => find("#pause").setAttribute("aria-pressed", String(!isPaused())));

find("#login").addEventListener("submit", async (event) => {
  event.preventDefault();
  setKey(find("#key").value.trim());
  find("#key").value = "";
  find("#refused").textContent = "";
  find("#login").hidden = true;
  await refresh([...fast, ...slow]);
  if (needsKey()) {
    find("#refused").textContent = "The server does not accept this key.";
    return;
  }
  find("#forget").hidden = false;
  find("main").hidden = false;
  find("#decisions").focus();
});

find("#forget").addEventListener("click", () => location.reload()); // with it goes all that was shown

async function repeat(panels, pause) {
  for (;;) {
    if (!document.hidden && !needsKey() && !isPaused()) await refresh(panels);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

repeat(fast, FAST);
repeat(slow, SLOW);
