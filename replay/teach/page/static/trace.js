// Reading a trace of the format dirty-trace/1, with the rules of replay/files.py and
// replay/domain.py: what is outside is refused with the line, the cause and the cure.

const CLIENTS = ["vga", "code", "migration"];
const OPS = {
  //@operations
};
const LIMITS = { pages: 1024, ops: 500, characters: 200000 };

/** What is wrong with a trace, and in which line of its text. */
class TraceProblem extends Error {
  constructor(line, problem) {
    super("line " + line + ": " + problem);
    this.line = line;
  }
}

/** A trace from its text, ready to run: { name, config, ops: [{ name, args, text, shown }] }. */
function parseTrace(text, limits = LIMITS) {
  if (text.length > limits.characters) {
    throw new TraceProblem(1, "the text is longer than the page takes; use replay compare");
  }
  const lines = text.split("\n");
  while (lines.length && !lines[lines.length - 1].trim()) lines.pop();
  if (!lines.length) throw new TraceProblem(1, "the text is empty; the first line is the header");
  const header = parseHeader(parseLine(lines[0], 1));
  const layout = newLayout(header.config);
  const ops = [];
  for (let i = 1; i < lines.length; i++) {
    if (ops.length === limits.ops) {
      throw new TraceProblem(i + 1, "the page takes " + limits.ops + " operations at most");
    }
    const op = parseOp(parseLine(lines[i], i + 1), header.config, i + 1);
    const problem = checkOp(op, layout, limits);
    if (problem) throw new TraceProblem(i + 1, op.name + ": " + problem);
    followOp(op, layout);
    ops.push(finishOp(op, i + 1));
  }
  return { ...header, ops };
}

function parseLine(line, number) {
  let value;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw new TraceProblem(number, "not JSON: " + error.message);
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    throw new TraceProblem(number, "the line is " + kindOf(value) + "; it must be an object");
  }
  return value;
}

function kindOf(value) {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  return { string: "a string", number: "a number", boolean: String(value) }[typeof value] || "an object";
}

function shownValue(value) {
  return typeof value === "string" ? "'" + value.slice(0, 40) + "'" : kindOf(value);
}

function nearest(word, names) {
  const starts = names.filter((name) => name.startsWith(String(word).slice(0, 4)));
  return "; known are " + (starts.length ? starts : names).join(", ");
}

function checkKeys(value, required, optional, what, line) {
  for (const key of Object.keys(value)) {
    if (!required.includes(key) && !optional.includes(key)) {
      throw new TraceProblem(line, what + " has no '" + key.slice(0, 40) + "'; it has " + required.join(", "));
    }
  }
  const missing = required.filter((key) => !(key in value));
  if (missing.length) {
    throw new TraceProblem(line, what + " lacks " + missing.join(", ") + "; it must have " + required.join(", "));
  }
}

// --- the header -----------------------------------------------------------------------

function parseHeader(value) {
  if (value.format !== "dirty-trace/1") {
    throw new TraceProblem(1, "the first line must be the header, " +
      '{"format": "dirty-trace/1", "name": …, "config": {…}}; its format is ' + shownValue(value.format));
  }
  checkKeys(value, ["format", "name", "config"], [], "the header", 1);
  if (typeof value.name !== "string") {
    throw new TraceProblem(1, "name is " + kindOf(value.name) + "; it must be a string");
  }
  return { name: value.name, config: parseConfig(value.config) };
}

function parseConfig(value) {
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    throw new TraceProblem(1, "config is " + kindOf(value) + "; it must be an object");
  }
  checkKeys(value, ["page_bits", "hpratio", "tcg"], ["word_bits"], "config", 1);
  const config = { word_bits: 64, ...value };
  for (const name of ["page_bits", "hpratio", "word_bits"]) integer(config[name], "config: " + name, 1);
  if (typeof config.tcg !== "boolean") {
    throw new TraceProblem(1, "config: tcg is " + shownValue(config.tcg) + "; it must be true or false");
  }
  const problem = checkConfig(config);
  if (problem) throw new TraceProblem(1, "config: " + problem);
  return config;
}

function checkConfig(config) {
  const { page_bits: bits, hpratio, word_bits: word } = config;
  if (bits < 3 || bits > 30) return "page_bits is " + bits + "; it must be 3 to 30 (12 for 4 KiB pages)";
  if (hpratio < 1 || hpratio > 1024 || hpratio & (hpratio - 1)) {
    return "hpratio is " + hpratio + "; it must be a power of two from 1 to 1024";
  }
  if (![2, 4, 8, 16, 32, 64].includes(word)) {
    return "word_bits is " + word + "; it must be one of 2, 4, 8, 16, 32, 64";
  }
  return null;
}

function integer(value, what, line) {
  if (typeof value !== "number" || !Number.isInteger(value)) {
    throw new TraceProblem(line, what + " is " + shownValue(value) + "; it must be an integer");
  }
  if (value < 0 || value > Number.MAX_SAFE_INTEGER) {
    throw new TraceProblem(line, what + " is " + value + "; the page takes 0 to 2^53 - 1");
  }
  return value;
}

// --- operations -----------------------------------------------------------------------

function parseOp(value, config, line) {
  const name = value.op;
  if (typeof name !== "string") {
    throw new TraceProblem(line, 'the operation has no "op"; it must be {"op": NAME, …} with its arguments');
  }
  if (!Object.hasOwn(OPS, name)) {
    throw new TraceProblem(line, "unknown operation " + shownValue(name) + nearest(name, Object.keys(OPS)));
  }
  checkKeys(value, ["op", ...OPS[name]], [], name, line);
  const named = {};
  for (const parameter of OPS[name]) named[parameter] = parseArgument(parameter, value[parameter], config, line);
  return { name, named };
}

function parseArgument(parameter, value, config, line) {
  if (parameter === "client") {
    if (!CLIENTS.includes(value)) {
      throw new TraceProblem(line, "unknown client " + shownValue(value) + "; name one of " + CLIENTS.join(", "));
    }
    return value;
  }
  if (parameter !== "words") return BigInt(integer(value, parameter, line));
  if (!Array.isArray(value)) {
    throw new TraceProblem(line, "words is " + kindOf(value) + "; it must be a list of hexadecimal strings");
  }
  return value.map((word, i) => parseWord(word, i, config, line));
}

function parseWord(word, index, config, line) {
  if (typeof word !== "string" || !/^(0|[1-9a-f][0-9a-f]*)$/.test(word)) {
    throw new TraceProblem(line, "word " + index + " is " + shownValue(word) +
      "; it must be lowercase hexadecimal digits in quotes, no prefix, no padding");
  }
  const bits = BigInt("0x" + word);
  if (bits >> BigInt(config.word_bits)) {
    throw new TraceProblem(line, "word " + index + " has more than the machine's " + config.word_bits + " bits");
  }
  return bits;
}

function finishOp(op, line) {
  const args = OPS[op.name].map((parameter) =>
    parameter === "client" ? BigInt(CLIENTS.indexOf(op.named.client)) : op.named[parameter]);
  return { name: op.name, args, line, shown: showOp(op) };
}

function showOp(op) {
  const parts = Object.entries(op.named).map(([name, value]) => {
    if (Array.isArray(value)) return name + "=[" + value.map((word) => word.toString(16)).join(" ") + "]";
    return name + "=" + (name === "addr" || name === "start" ? hex(value) : value);
  });
  return op.name + "(" + parts.join(", ") + ")";
}

function hex(value) {
  return "0x" + value.toString(16);
}

// --- the domain -----------------------------------------------------------------------

function newLayout(config) {
  return { config, bits: BigInt(config.page_bits), blocks: [], migrating: false, bitmapPages: 0 };
}

function layoutEnd(layout) {
  return layout.blocks.reduce((end, block) => Math.max(end, block[0] + block[1]), 0);
}

/** Best fit after the end of a block, as the trace language places blocks. */
function placeBlock(layout, pages) {
  let best = null;
  for (const [first, length] of layout.blocks) {
    const end = first + length;
    const starts = layout.blocks.map((block) => block[0]).filter((start) => start >= end);
    const gap = (starts.length ? Math.min(...starts) : Infinity) - end;
    if (gap >= pages && (best === null || gap < best[0])) best = [gap, end];
  }
  return best ? best[1] : 0;
}

function blockOf(layout, addr) {
  const page = Number(addr >> layout.bits);
  return layout.blocks.find((block) => block[0] <= page && page < block[0] + block[1]) || null;
}

function checkOp(op, layout, limits) {
  const named = op.named;
  let block = null;
  if (named.addr !== undefined) {
    block = blockOf(layout, named.addr);
    if (!block) return "addr " + hex(named.addr) + " lies in no RAM block; " + showBlocks(layout);
  }
  const check = CHECKS[op.name];
  return check ? check(named, layout, block, limits) : null;
}

function showBlocks(layout) {
  if (!layout.blocks.length) return "there is none yet, allocate one with ram_alloc";
  const spans = [...layout.blocks].sort((a, b) => a[0] - b[0]).slice(0, 8).map(([first, pages]) =>
    hex(BigInt(first) << layout.bits) + ".." + hex(BigInt(first + pages) << layout.bits));
  return "blocks are " + spans.join(", ");
}

function startsBlock(named, layout, block) {
  const start = BigInt(block[0]) << layout.bits;
  if (start === named.addr) return null;
  return "addr " + hex(named.addr) + " is not where a block starts; this one starts at " + hex(start);
}

function insideRam(named, layout) {
  const end = BigInt(layoutEnd(layout)) << layout.bits;
  if (named.addr + named.length <= end) return null;
  return "the range ends at " + hex(named.addr + named.length) + ", past the end of RAM " + hex(end);
}

function running(named, layout) {
  return layout.migrating ? null : "no migration is running; put a migration_start before";
}

const CHECKS = {
  ram_alloc(named, layout, block, limits) {
    if (named.pages < 1n) return "pages is 0; a block has at least one page";
    const end = placeBlock(layout, Number(named.pages)) + Number(named.pages);
    if (end > limits.pages) {
      return "RAM would end at page " + end + "; the page draws " + limits.pages +
        " at most, replay compare runs larger ones";
    }
    if (layout.migrating && end > layout.bitmapPages) {
      return "the block would end at page " + end + ", past the migration bitmap's " +
        layout.bitmapPages + "; stop the migration first";
    }
    return null;
  },
  ram_free: startsBlock,
  store(named, layout) {
    const page = 1n << layout.bits;
    if (![1n, 2n, 4n].includes(named.size)) return "size is " + named.size + "; it must be 1, 2 or 4";
    return (named.addr & (page - 1n)) + named.size > page ? "the store leaves its page" : null;
  },
  dma_write(named, layout, block) {
    const end = BigInt(block[0] + block[1]) << layout.bits;
    if (named.addr + named.length <= end) return null;
    return "the write ends at " + hex(named.addr + named.length) + ", past its block's end " + hex(end);
  },
  store_notdirty: (named) => (named.addr % 4n ? "addr must be a multiple of 4" : null),
  region_set_dirty: insideRam,
  region_get_dirty: insideRam,
  kvm_log_sync(named, layout) {
    const size = layout.config.word_bits;
    if (named.pages < 1n) return "pages is 0; a section has at least one host page";
    if (named.addr & ((1n << layout.bits) - 1n)) {
      return "addr " + hex(named.addr) + " must be a multiple of the page size";
    }
    const wanted = Math.ceil(Number(named.pages) / size);
    if (named.words.length === wanted) return null;
    return named.words.length + " words for " + named.pages + " pages; there must be " + wanted;
  },
  migration_start(named, layout) {
    if (layout.migrating) return "a migration is running already; put a migration_stop before";
    return layout.blocks.length ? null : "there is no RAM to migrate; put a ram_alloc before";
  },
  migration_sync: running,
  migration_next: (named, layout, block) => running(named, layout) || startsBlock(named, layout, block),
  migration_stop: running,
  //@checks
};

function followOp(op, layout) {
  if (op.name === "ram_alloc") {
    const pages = Number(op.named.pages);
    const first = placeBlock(layout, pages);
    const at = layout.blocks.findIndex((block) => block[1] < pages);
    layout.blocks.splice(at < 0 ? layout.blocks.length : at, 0, [first, pages]);
  } else if (op.name === "ram_free") {
    layout.blocks.splice(layout.blocks.indexOf(blockOf(layout, op.named.addr)), 1);
  } else if (op.name === "migration_start") {
    layout.migrating = true;
    layout.bitmapPages = layoutEnd(layout);
  } else if (op.name === "migration_stop") {
    layout.migrating = false;
    layout.bitmapPages = 0;
  }
}
