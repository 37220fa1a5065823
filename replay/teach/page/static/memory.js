// The memory of one step as a drawing: pages from left to right, and from top to bottom the
// RAM blocks, the dirty store, the TLB, translated code and the migration bitmap. The byte
// map is drawn as bytes (columns of eight bits), the bitmaps as words (rows of bits).

const SVG = "http://www.w3.org/2000/svg";

function svgNode(name, attributes, parent, text) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  if (parent) parent.append(node);
  return node;
}

function bitAt(bits, page) {
  return ((bits >> BigInt(page)) & 1n) === 1n;
}

/** The pages of a set in words: "0-3, 7". */
function runText(bits) {
  const runs = [];
  const digits = bits.toString(2);
  const count = digits.length;
  for (let page = 0; page < count; page++) {
    if (digits[count - 1 - page] !== "1") continue;
    const first = page;
    while (page + 1 < count && digits[count - 2 - page] === "1") page++;
    runs.push(first === page ? String(first) : first + "-" + page);
  }
  return runs.length ? runs.join(", ") : "none";
}

/** How the store is made, in words: "11 bytes", "3 bitmaps of 2 words of 8 bits". */
function storeText(memory, wordBits) {
  const store = memory.store;
  if (store.kind === "bytes") return store.pages + (store.pages === 1 ? " byte" : " bytes");
  const words = store.pages / wordBits;
  return "3 bitmaps of " + words + (words === 1 ? " word" : " words") + " of " + wordBits + " bits";
}

/** How wide and tall things are, for a panel of so many pixels. */
function geometry(width, pages, wordBits) {
  const group = Math.min(8, wordBits);
  const label = 76;
  const perLine = width < 400 ? 16 : 32;
  const columns = Math.min(perLine, Math.max(8, Math.ceil(pages / 8) * 8));
  const gap = 4;
  const room = width - label - 4 - Math.floor((columns - 1) / group) * gap;
  const cell = Math.max(9, Math.min(24, Math.floor(room / columns)));
  const lineWidth = label + columns * cell + Math.floor((columns - 1) / group) * gap + 2;
  return { label, perLine: columns, cell, gap, group, width: lineWidth, wordBits };
}

/** The rows of a panel: each has a name, what is drawn in it, and what to compare. */
function memoryRows(memory, state) {
  const rows = memory.store.kind === "bytes" ? byteRows(memory) : bitmapRows(memory);
  const tlb = { direct: state ? state.tlb_direct : 0n, notdirty: state ? state.tlb_notdirty : 0n };
  rows.push({ label: "TLB", kind: "tlb", bits: tlb.direct, second: tlb.notdirty, keys: ["tlb_direct", "tlb_notdirty"], space: true });
  rows.push({ label: "code", kind: "code", bits: state ? state.has_code : 0n, keys: ["has_code"] });
  const started = state !== null && state.migration_bitmap !== null;
  rows.push({ label: "to send", kind: started ? "send" : "absent", bits: memory.hidden, keys: ["migration_bitmap"] });
  return rows;
}

function byteRows(memory) {
  const rows = [];
  for (let bit = 0; bit < 8; bit++) {
    const client = memory.clients.indexOf(bit);
    rows.push({
      label: client >= 0 ? CLIENTS[client].toUpperCase() : bit === 5 ? "unused" : "",
      kind: client < 0 ? "unused" : "bit", bits: memory.store.planes[bit],
      keys: client < 0 ? [] : [CLIENTS[client]], thin: client < 0, byte: true,
    });
  }
  return rows;
}

function bitmapRows(memory) {
  return CLIENTS.map((client, i) => ({
    label: client.toUpperCase(), kind: "bit", word: true, space: i > 0,
    bits: memory.store.planes[memory.clients[i]], keys: [client],
  }));
}

/** What to draw: { memory, state, before, other } gives rows with changed and differing pages. */
function markedRows(view) {
  const rows = memoryRows(view.memory, view.state);
  const old = view.before ? memoryRows(view.before.memory, view.before.state) : [];
  rows.forEach((row, i) => {
    const was = old[i] && old[i].kind !== "absent" ? old[i] : { bits: 0n, second: 0n };
    row.changed = row.kind === "absent" ? 0n : (row.bits ^ was.bits) | ((row.second || 0n) ^ (was.second || 0n));
    row.differs = 0n;
    for (const key of row.keys) {
      if (!view.state || !view.other) continue;
      row.differs |= (view.state[key] || 0n) ^ (view.other[key] || 0n);
    }
  });
  return rows;
}

/** Draw the memory into a fresh SVG; `lines` are the first pages of the lines to draw. */
function drawMemory(view, lines, size) {
  const rows = markedRows(view);
  const tall = rows.map((row) => (row.thin ? Math.ceil(size.cell / 2) : size.cell));
  const lineHeight = 24 + tall.reduce((sum, h, i) => sum + h + (rows[i].space ? 4 : 0), 0) + 12;
  const height = lines.length * lineHeight;
  const svg = svgNode("svg", { viewBox: "0 0 " + size.width + " " + height, width: size.width, height, role: "img", class: "memory" });
  const paths = {};
  const add = (name, d) => { paths[name] = (paths[name] || "") + d; };
  lines.forEach((first, i) => drawLine(svg, add, view, rows, tall, first, i * lineHeight, size));
  for (const name of PATHS) if (paths[name]) svgNode("path", { d: paths[name], class: "m-" + name }, svg);
  return svg;
}

/** The kinds of shapes, from the bottom up. */
const PATHS = [
  "hole", "ram", "off", "clear", "none", "on", "unused", "ghost", "direct", "notdirty", "code", "send",
  "byte", "word", "changed-on", "changed-off", "differs",
];

function columnX(size, i) {
  return size.label + i * size.cell + Math.floor(i / size.group) * size.gap;
}

function box(x, y, w, h) {
  return "M" + x + " " + y + "h" + w + "v" + h + "h" + -w + "z";
}

function drawLine(svg, add, view, rows, tall, first, top, size) {
  for (let i = 0; i < size.perLine; i += 8) {
    svgNode("text", { x: columnX(size, i), y: top + 10, class: "m-page" }, svg, String(first + i));
  }
  svgNode("text", { x: 0, y: top + 10, class: "m-label" }, svg, "page");
  drawRam(add, view.memory, first, top + 14, size);
  let y = top + 24;
  rows.forEach((row, r) => {
    if (row.space) y += 4;
    if (row.label) {
      svgNode("text", { x: 0, y: y + tall[r] / 2 + 3.5, class: "m-label" }, svg, row.label);
    }
    drawRow(add, view.memory, row, tall[r], first, y, size);
    y += tall[r];
  });
  drawOutlines(add, view.memory, rows, tall, first, top + 24, size);
}

function drawRam(add, memory, first, y, size) {
  for (let i = 0; i < size.perLine; i++) {
    const inside = bitAt(memory.mask, first + i);
    const starts = memory.blocks.some((block) => block[0] === first + i);
    const x = columnX(size, i);
    if (inside) add("ram", box(x + (starts ? 1.5 : 0), y, size.cell - (starts ? 1.5 : 0), 5));
    else add("hole", "M" + x + " " + (y + 2.5) + "h" + size.cell);
  }
}

function drawRow(add, memory, row, h, first, y, size) {
  const room = row.byte || row.word ? memory.store.pages : Math.max(memory.store.pages, memory.end);
  for (let i = 0; i < size.perLine; i++) {
    const page = first + i;
    const x = columnX(size, i) + 1;
    if (page >= room || row.kind === "absent") continue;
    const on = bitAt(row.bits, page);
    const shape = box(x, y + 0.5, size.cell - 2, h - 1);
    const kind = cellKind(row, on, bitAt(row.second || 0n, page), bitAt(memory.mask, page));
    add(kind, insideShape(kind, x, y, h, size) || shape);
    if (bitAt(row.changed, page)) {
      const r = Math.min(size.cell, h) / 5;
      const dot = box(x + size.cell / 2 - 1 - r, y + h / 2 - r, 2 * r, 2 * r);
      add(on ? "changed-on" : "changed-off", dot);
    }
    if (bitAt(row.differs, page)) add("differs", box(x - 1, y - 0.5, size.cell, h + 1));
  }
}

/** Shapes that do not fill their cell: a dot for nothing, a frame for a notdirty entry. */
function insideShape(kind, x, y, h, size) {
  if (kind === "none") return box(x + size.cell / 2 - 2, y + h / 2 - 1, 2, 2);
  return kind === "notdirty" ? box(x + 1.8, y + 2.3, size.cell - 5.6, h - 4.6) : null;
}

function cellKind(row, on, second, inRam) {
  if (row.kind === "tlb") return on ? "direct" : second ? "notdirty" : "none";
  if (row.kind === "unused") return on ? "unused" : "clear";
  if (!on) return row.kind === "code" ? "none" : "off";
  if (!inRam) return "ghost";
  return { bit: "on", code: "code", send: "send" }[row.kind];
}

/** A frame around each byte of the map, or around each word of a bitmap. */
function drawOutlines(add, memory, rows, tall, first, top, size) {
  const height = tall.slice(0, 8).reduce((sum, h) => sum + h, 0);
  let y = top;
  rows.forEach((row, r) => {
    if (row.space) y += 4;
    if (row.word) outlineWords(add, memory, first, y, tall[r], size);
    y += tall[r];
  });
  if (!rows[0].byte) return;
  for (let i = 0; i < size.perLine && first + i < memory.store.pages; i++) {
    add("byte", box(columnX(size, i) + 0.25, top - 1, size.cell - 0.5, height + 2));
  }
}

function outlineWords(add, memory, first, y, h, size) {
  const step = Math.min(size.wordBits, size.perLine);
  for (let i = 0; i < size.perLine && first + i < memory.store.pages; i += step) {
    const last = Math.min(i + step, size.perLine) - 1;
    const x = columnX(size, i);
    add("word", box(x - 0.75, y - 1, columnX(size, last) + size.cell - x + 1.5, h + 2));
  }
}

/** The first pages of the lines in which anything is ever seen, in any of some runs. */
function linesToDraw(runs, size) {
  let used = 1n;
  for (const run of runs) {
    for (const memory of run.memories) {
      if (memory) used |= memory.store.planes.reduce((all, bits) => all | bits, memory.mask | memory.hidden);
    }
  }
  const lines = [];
  const mask = (1n << BigInt(size.perLine)) - 1n;
  for (let first = 0; used >> BigInt(first); first += size.perLine) {
    if ((used >> BigInt(first)) & mask) lines.push(first);
  }
  return lines;
}

function pagesUsed(runs) {
  let end = 1;
  for (const run of runs) {
    for (const memory of run.memories) {
      if (memory) end = Math.max(end, memory.end, usedPages(memory));
    }
  }
  return end;
}

function usedPages(memory) {
  const all = memory.store.planes.reduce((bits, part) => bits | part, memory.hidden);
  return all ? all.toString(2).length : 0;
}
