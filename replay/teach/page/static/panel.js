// One step's panel: its memory, what the operation gave, the counters, and the events.

const STATE_WORDS = {
  vga: "dirty for VGA", code: "dirty for CODE", migration: "dirty for MIGRATION",
  tlb_direct: "TLB direct", tlb_notdirty: "TLB notdirty", has_code: "holds code",
  migration_bitmap: "to send", migration_dirty_pages: "pages to send", logging: "logging",
};

function element(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value !== false && value !== null) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

function retText(seen) {
  if (seen.status !== "ok") return seen.status;
  return seen.ret === null ? "nothing" : String(seen.ret);
}

function eventText(event) {
  const second = event[0] === "tb_invalidate" ? hex(event[2]) : String(event[2]);
  return event[0] + " " + hex(event[1]) + ", " + second;
}

/** A value of the state in words. */
function stateText(name, value) {
  if (value === null || value === undefined) return "none";
  if (typeof value === "boolean") return value ? "on" : "off";
  return PAGE_SETS.includes(name) ? runText(value) : String(value);
}

/** Fill a panel for a position: `view` as drawMemory wants it, and what was observed. */
function showPanel(panel, view, seen, differing, events) {
  const memory = panel.querySelector("[data-memory]");
  if (view) {
    const svg = drawMemory(view, view.lines, view.size);
    svg.setAttribute("aria-label", memoryText(view));
    memory.replaceChildren(svg);
  } else {
    memory.replaceChildren(element("p", { class: "empty" }, "An empty machine: no RAM yet."));
  }
  const made = view ? storeText(view.memory, view.size.wordBits) : "nothing yet";
  panel.querySelector("[data-made]").textContent = "Dirty store: " + made;
  const dead = view !== null && view.state === null;
  panel.classList.toggle("dead", dead);
  showFacts(panel.querySelector("[data-facts]"), view, seen, differing);
  showEvents(panel.querySelector("[data-events]"), events, differing.includes("events"));
}

function memoryText(view) {
  if (!view.state) return "Memory as it was when the process died.";
  const parts = PAGE_SETS.map((name) => STATE_WORDS[name] + ": " + stateText(name, view.state[name]));
  return "Memory. Pages " + parts.join("; ") + ".";
}

function showFacts(list, view, seen, differing) {
  const state = view && view.state;
  const facts = [
    ["gave", ["ret", "status"], seen ? retText(seen) : view ? "had ended" : "nothing yet"],
    ["pages to send", ["migration_dirty_pages"], state ? String(state.migration_dirty_pages) : "–"],
    ["logging", ["logging"], state ? stateText("logging", state.logging) : "–"],
  ];
  list.replaceChildren(...facts.map(([name, keys, text]) => {
    const differs = keys.some((key) => differing.includes(key));
    const value = element("dd", {}, text, ...(differs ? [element("span", { class: "mark" }, " differs")] : []));
    return element("div", { class: differs ? "differs" : null }, element("dt", {}, name), value);
  }));
}

function showEvents(list, events, differs) {
  if (!events.length) {
    list.replaceChildren(element("li", { class: "none" }, "no event so far"));
    return;
  }
  list.replaceChildren(...events.map(({ index, event, now }) => {
    const mark = now && differs ? [element("span", { class: "mark" }, " differs")] : [];
    return element("li", { class: now ? "now" : null }, index + ": " + eventText(event), ...mark);
  }));
  list.scrollTop = list.scrollHeight;
}

/** The events of all operations up to and with the one at `last`. */
function eventsUntil(observations, last) {
  const found = [];
  observations.slice(0, last + 1).forEach((seen, index) => {
    for (const event of seen ? seen.events : []) found.push({ index, event, now: index === last });
  });
  return found;
}

/** The same in words: every field of both steps, differing ones marked. */
function showTable(table, steps, pair, differing) {
  const cell = (seen, name) => {
    if (!seen) return "had ended";
    if (name === "ret") return retText(seen);
    if (name === "status") return seen.status;
    if (name === "events") return seen.events.map(eventText).join("; ") || "none";
    return seen.state ? stateText(name, seen.state[name]) : "–";
  };
  const head = element("tr", {}, element("th", { scope: "col" }, "seen"),
    ...steps.map((step) => element("th", { scope: "col" }, stepName(step))),
    element("th", { scope: "col" }, "equal?"));
  const rows = FIELDS.map((name) => element("tr", { class: differing.includes(name) ? "differs" : null },
    element("th", { scope: "row" }, STATE_WORDS[name] || { ret: "gave", status: "status", events: "events" }[name]),
    ...pair.map((seen) => element("td", {}, cell(seen, name))),
    element("td", {}, differing.includes(name) ? "differs" : "equal")));
  table.replaceChildren(element("thead", {}, head), element("tbody", {}, ...rows));
}

/** "step 38", or what a changed copy of a step is called. */
function stepName(step) {
  return String(step).endsWith("!") ? "step " + String(step).slice(0, -1) + " with the mistake" : "step " + step;
}
