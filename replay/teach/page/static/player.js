// The player: a trace at two steps at once, forwards and backwards, one operation at a time.
// Position 0 is before the first operation, position n after the last.

const SECOND = 1100;

class Player {
  constructor(root) {
    this.root = root;
    this.find = (name) => root.querySelector("[data-" + name + "]");
    this.traces = JSON.parse(this.find("traces").textContent);
    this.timer = null;
    this.at = 0;
    this.listen();
    const asked = askedFor();
    const offered = (step) => [...this.find("a").options].some((option) => option.value === step);
    for (const side of ["a", "b"]) if (!offered(asked[side])) asked[side] = null;
    this.setSteps(asked.a || root.dataset.a, asked.b || root.dataset.b);
    this.choose(asked.trace || root.dataset.trace, !asked.a);
    if (asked.play) this.playFromLink();
  }

  // --- what is played ---

  choose(id, withSteps) {
    const entry = this.traces.find((trace) => trace.id === id) || this.traces[0];
    this.entry = entry;
    this.offerMistake(entry.recorded ? entry.recorded.step : null);
    this.find("trace").value = entry.id;
    if (withSteps) this.setSteps(entry.a, entry.b);
    this.find("text").value = entry.text;
    this.load();
  }

  /** A lesson's mistake was recorded on the lesson's own trace, and can be chosen with it. */
  offerMistake(step) {
    for (const option of this.root.querySelectorAll("option[value$='!']")) {
      option.disabled = option.hidden = option.value !== step;
      if (option.disabled && option.selected) option.parentNode.value = parseInt(option.value, 10);
    }
  }

  setSteps(a, b) {
    this.find("a").value = String(a);
    this.find("b").value = String(b);
  }

  /** Read the editor and run its trace at both steps. */
  load() {
    this.stop();
    const problem = this.find("problem");
    try {
      this.trace = parseTrace(this.find("text").value);
      this.steps = [this.find("a").value, this.find("b").value];
      this.runs = this.steps.map((step) => this.runAt(step));
    } catch (error) {
      if (!(error instanceof TraceProblem || error instanceof OutOfDomain)) throw error;
      problem.textContent = "Not run. " + error.message;
      this.find("text").setAttribute("aria-invalid", "true");
      return false;
    }
    problem.textContent = "";
    const asMeant = this.steps[0] === this.entry.a && this.steps[1] === this.entry.b;
    this.find("note").textContent = asMeant ? this.entry.note : "";
    this.find("text").removeAttribute("aria-invalid");
    this.differing = this.trace.ops.map((_, i) =>
      differences(this.runs[0].observations[i], this.runs[1].observations[i]));
    this.firstDifference = this.differing.findIndex((names) => names.length > 0);
    this.showProgram();
    this.layOut();
    this.moveTo(0);
    return true;
  }

  runAt(step) {
    if (!step.endsWith("!")) return runTrace(this.trace, step);
    if (this.find("text").value !== this.entry.text) {
      throw new TraceProblem(1, "the mistake was recorded on the lesson's own trace; choose two steps to run another");
    }
    return readRecorded(this.entry.recorded);
  }

  showProgram() {
    const items = this.trace.ops.map((op, i) => {
      const differs = this.differing[i].length > 0;
      const button = element("button", { type: "button", class: differs ? "differs" : null }, 
        element("span", { class: "index" }, String(i)), element("span", {}, op.shown),
        ...(differs ? [element("span", { class: "mark" }, i === this.firstDifference ? " first difference" : " differs")] : []));
      button.addEventListener("click", () => { this.stop(); this.moveTo(i + 1); });
      return element("li", {}, button);
    });
    this.find("ops").replaceChildren(...items);
    this.find("at").max = String(this.trace.ops.length);
    const found = this.firstDifference >= 0;
    this.find("difference").disabled = !found;
    this.find("summary").textContent = found
      ? "The two first differ at operation " + this.firstDifference + ", " + this.trace.ops[this.firstDifference].shown + "."
      : "The two are equal on all " + this.trace.ops.length + " operations.";
    this.find("summary").classList.toggle("differs", found);
  }

  /** Decide how wide cells are and which lines there are: both panels alike. */
  layOut() {
    const width = this.find("memory").clientWidth || 400;
    const size = geometry(width, pagesUsed(this.runs), this.trace.config.word_bits);
    const lines = linesToDraw(this.runs, size);
    this.drawn = { width, size, lines };
    this.root.querySelectorAll("[data-memory]").forEach((box) => { box.style.minHeight = this.tallest() + "px"; });
  }

  /** Room for the taller of the two drawings, so that nothing moves while the trace plays. */
  tallest() {
    const heights = this.runs.filter((run) => run.memories[0]).map((run) => {
      const view = { memory: run.memories[0], state: run.observations[0].state, before: null, other: null };
      const svg = drawMemory(view, this.drawn.lines, this.drawn.size);
      const scale = Math.min(1, this.drawn.width / this.drawn.size.width);
      return Math.ceil(Number(svg.getAttribute("height")) * scale);
    });
    return Math.max(60, ...heights);
  }

  // --- where we are ---

  moveTo(position) {
    this.at = Math.max(0, Math.min(this.trace.ops.length, position));
    const differing = this.at ? this.differing[this.at - 1] : [];
    this.root.querySelectorAll("[data-panel]").forEach((panel, i) => this.showSide(panel, i, differing));
    const pair = this.runs.map((run) => (this.at ? run.observations[this.at - 1] : null));
    showTable(this.find("table"), this.steps, pair, differing);
    this.showPosition(differing);
  }

  showSide(panel, side, differing) {
    const run = this.runs[side];
    const index = this.at - 1;
    const seen = index >= 0 ? run.observations[index] : null;
    panel.querySelector("[data-name]").textContent = stepName(this.steps[side]);
    const other = index >= 0 ? this.runs[1 - side].observations[index] : null;
    const view = index < 0 ? null : {
      ...this.momentOf(run, index), before: index ? this.momentOf(run, index - 1) : null,
      other: other && other.state, lines: this.drawn.lines, size: this.drawn.size,
    };
    showPanel(panel, view, seen, differing, eventsUntil(run.observations, index));
  }

  /** Memory and state after an operation; where the run had ended, its last memory. */
  momentOf(run, index) {
    let last = index;
    while (last > 0 && run.memories[last] === null) last -= 1;
    const seen = run.observations[index];
    return { memory: run.memories[last], state: seen ? seen.state : null };
  }

  showPosition(differing) {
    const count = this.trace.ops.length;
    const range = this.find("at");
    range.value = String(this.at);
    const text = this.positionText(differing);
    range.setAttribute("aria-valuetext", this.at + " of " + count);
    this.find("status").textContent = text;
    this.find("status").classList.toggle("differs", differing.length > 0);
    this.find("first").disabled = this.find("back").disabled = this.at === 0;
    this.find("last").disabled = this.find("forward").disabled = this.at === count;
    this.root.querySelectorAll("[data-ops] button").forEach((button, i) => {
      if (i === this.at - 1) button.setAttribute("aria-current", "step");
      else button.removeAttribute("aria-current");
    });
    this.keepInSight();
  }

  keepInSight() {
    const list = this.find("ops");
    const current = list.querySelector("[aria-current]");
    if (!current) list.scrollTop = 0;
    else list.scrollTop = Math.max(0, current.offsetTop - list.clientHeight / 2);
  }

  positionText(differing) {
    const count = this.trace.ops.length;
    if (!this.at) return "Before the first of " + count + " operations.";
    const op = this.trace.ops[this.at - 1];
    const words = differing.map((name) => STATE_WORDS[name] || { ret: "what it gave" }[name] || name);
    const verdict = differing.length ? "they differ in " + words.join(", ") + "." : "both alike.";
    return "After operation " + (this.at - 1) + ", " + op.shown + ": " + verdict;
  }

  // --- playing ---

  play() {
    if (this.at === this.trace.ops.length) this.moveTo(0);
    this.timer = setInterval(() => {
      this.moveTo(this.at + 1);
      if (this.at === this.trace.ops.length) this.stop();
    }, SECOND);
    this.showPlaying();
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
    this.showPlaying();
  }

  toggle() {
    if (this.timer === null) this.play();
    else this.stop();
  }

  showPlaying() {
    this.find("play").textContent = this.timer === null ? "Play" : "Pause";
  }

  playFromLink() {
    this.root.scrollIntoView({ block: "start" });
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) this.moveTo(this.firstDifference + 1);
    else this.play();
  }

  // --- hands ---

  listen() {
    const go = { first: () => 0, back: () => this.at - 1, forward: () => this.at + 1,
      last: () => this.trace.ops.length, difference: () => this.firstDifference + 1 };
    for (const [name, where] of Object.entries(go)) {
      this.find(name).addEventListener("click", () => { this.stop(); this.moveTo(where()); });
    }
    this.find("play").addEventListener("click", () => this.toggle());
    this.find("at").addEventListener("input", () => { this.stop(); this.moveTo(Number(this.find("at").value)); });
    this.find("trace").addEventListener("change", () => this.choose(this.find("trace").value, true));
    for (const side of ["a", "b"]) this.find(side).addEventListener("change", () => this.load());
    this.find("run").addEventListener("click", () => this.runEdited());
    this.find("reset").addEventListener("click", () => this.choose(this.find("trace").value, false));
    this.root.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.resized()).observe(this.find("memory"));
  }

  runEdited() {
    if (!this.load()) {
      this.find("text").focus();
      return;
    }
    this.moveTo(this.firstDifference >= 0 ? this.firstDifference + 1 : this.trace.ops.length);
  }

  resized() {
    const width = this.find("memory").clientWidth;
    if (!this.drawn || !width || width === this.drawn.width) return;
    this.layOut();
    this.moveTo(this.at);
  }

  key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || /^(SELECT|TEXTAREA|INPUT)$/.test(event.target.tagName)) return;
    const onButton = /^(BUTTON|SUMMARY|A)$/.test(event.target.tagName);
    const go = { ArrowLeft: this.at - 1, ArrowRight: this.at + 1, Home: 0, End: this.trace.ops.length }[event.key];
    if (go !== undefined) {
      this.stop();
      this.moveTo(go);
    } else if (event.key === " " && !onButton) {
      this.toggle();
    } else {
      return;
    }
    event.preventDefault();
  }
}

/** What a link to the player asks for: #trace=…&a=38&b=39&play */
function askedFor() {
  const asked = new URLSearchParams(location.hash.slice(1));
  return { trace: asked.get("trace"), a: asked.get("a"), b: asked.get("b"), play: asked.has("play") };
}

function mountPlayers() {
  for (const root of document.querySelectorAll("[data-player]")) {
    root.player = new Player(root);
    root.classList.add("ready");
  }
}

document.addEventListener("DOMContentLoaded", mountPlayers);
