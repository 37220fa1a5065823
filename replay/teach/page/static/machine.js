// The machine that every step stands on, written by hand as refmodels/machine.py is; the
// functions of a step are folded into a prototype on top of it.

class Machine {
  constructor(config, fields) {
    const bits = BigInt(config.word_bits);
    this.TARGET_PAGE_BITS = BigInt(config.page_bits);
    this.TARGET_PAGE_SIZE = 1n << this.TARGET_PAGE_BITS;
    this.TARGET_PAGE_MASK = -1n << this.TARGET_PAGE_BITS;
    this.BITS_PER_LONG = bits;
    this.LONG_SHIFT = python.bitLength(bits) - 1n;
    this.LONG_MASK = bits - 1n;
    this.LONG_MAX = (1n << bits) - 1n;
    this.hpratio = BigInt(config.hpratio);
    this.tcg = config.tcg;
    this.blocks = new Blocks();
    this.ram_list_version = 0n;
    this.tlb = new Tlb();
    this.page_descs = new Pages();
    this.has_code = new Pages();
    this.in_migration = false;
    this.migration_bitmap = null;
    this.migration_dirty_pages = 0n;
    this.events = [];
    this.stray = 0n;
    this.initialise(fields);
  }

  initialise(fields) {
    for (const [name, first] of Object.entries(fields)) this[name] = first.call(this);
    this.clients = [this.DIRTY_MEMORY_VGA, this.DIRTY_MEMORY_CODE, this.DIRTY_MEMORY_MIGRATION];
  }

  new_bytes(count = 0n) {
    return new Store(count, 255n);
  }

  /** Words of 2 and 4 bits lie in bytes of their own, as in Python. */
  new_words(count = 0n) {
    return new Store(count, this.BITS_PER_LONG < 8n ? 255n : this.LONG_MAX);
  }

  renew(store, count) {
    store.resize(count);
  }

  memset(store, first, count) {
    store.zero(first, count);
    if (first < 0n || count < 0n || first + count > python.len(store)) this.stray += 1n;
  }

  abort(condition = false) {
    if (!condition) throw new Aborted("abort");
  }

  tell(event, first, second) {
    this.events.push([event, first, second]);
  }
}

// --- the fold -------------------------------------------------------------------------

const deltas = [];
const fixes = {};
const machines = new Map();

/** Called by models.js with the deltas of all steps. */
function defineSteps(make) {
  deltas.push(...make(python));
}

function defineFixes(make) {
  Object.assign(fixes, make(python));
}

/**
 * The class of a step: the deltas 0..step folded, as refmodels/delta.py folds them. After the
 * last step, "39+a+b", come what all fixes stand on, and these fixes in the order of all.
 */
function machineAt(step) {
  if (machines.has(step)) return machines.get(step);
  const [number, ...named] = step.split("+");
  const parts = named.flatMap((name) => (name === "all" ? fixes.all : [name]));
  const table = { constants: {}, fields: {}, functions: {} };
  for (const delta of deltas.slice(0, Number(number) + 1)) fold(table, delta);
  if (parts.length) fold(table, fixes[""]);
  for (const name of Object.keys(fixes)) if (parts.includes(name)) fold(table, fixes[name]);
  class MachineAtStep extends Machine {}
  Object.assign(MachineAtStep.prototype, table.constants, table.functions);
  const made = (config) => new MachineAtStep(config, table.fields);
  machines.set(step, made);
  return made;
}

function fold(table, delta) {
  for (const name of delta.removes || []) {
    for (const entries of Object.values(table)) delete entries[name];
  }
  for (const kind of Object.keys(table)) Object.assign(table[kind], delta[kind] || {});
}

// --- observing ------------------------------------------------------------------------

/** One bit of each byte as one integer: a plane of a byte map. */
function plane(bytes, bit) {
  let digits = "";
  for (let i = bytes.length - 1; i >= 0; i--) digits += (bytes[i] >> bit) & 1;
  return digits ? BigInt("0b" + digits) : 0n;
}

/** All bits of a bitmap as one integer. */
function bitsOf(words, wordBits) {
  let bits = 0n;
  for (let i = words.cells.length - 1; i >= 0; i--) bits = (bits << wordBits) | words.cells[i];
  return bits;
}

/** The store as it lies in memory: a plane for each bit of the byte, or for each bitmap. */
function storeOf(vm) {
  if (vm.phys_dirty) {
    const bytes = vm.phys_dirty.cells.map(Number);
    const planes = Array.from({ length: 8 }, (_, bit) => plane(bytes, bit));
    return { kind: "bytes", planes, pages: bytes.length };
  }
  const planes = vm.dirty_memory.map((words) => bitsOf(words, vm.BITS_PER_LONG));
  const words = vm.dirty_memory[0].cells.length;
  return { kind: "bitmaps", planes, pages: words * Number(vm.BITS_PER_LONG) };
}

function writesOf(vm) {
  if (vm.phys_dirty) return vm.phys_dirty.writes;
  return vm.dirty_memory.reduce((sum, words) => sum + words.writes, 0);
}

function blockMask(vm) {
  let mask = 0n;
  for (const block of vm.blocks) {
    const pages = block.length >> vm.TARGET_PAGE_BITS;
    mask |= ((1n << pages) - 1n) << (block.offset >> vm.TARGET_PAGE_BITS);
  }
  return mask;
}

function endOfRam(vm) {
  let last = 0n;
  for (const block of vm.blocks) last = python.max(last, block.offset + block.length);
  return last >> vm.TARGET_PAGE_BITS;
}

function pageSet(pages) {
  let bits = 0n;
  for (const page of pages) bits |= 1n << page;
  return bits;
}
