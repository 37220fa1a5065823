// A trace on a step: one observation an operation, as replay.trace.Observation has them,
// and beside each what only the player draws (the raw store, the blocks).

const STATE_FIELDS = [
  "vga", "code", "migration", "tlb_direct", "tlb_notdirty", "has_code",
  "migration_bitmap", "migration_dirty_pages", "logging",
];
const PAGE_SETS = STATE_FIELDS.slice(0, 7);
const FIELDS = ["ret", "status", "events", ...STATE_FIELDS];

/** Run a trace at a step. Gives { observations, memories }, null where the run had ended. */
function runTrace(trace, step) {
  const vm = machineAt(String(step))(trace.config);
  const observer = { vm, writes: -1, store: null, nominal: 0n };
  const observations = [];
  const memories = [];
  let dead = false;
  for (const op of trace.ops) {
    const seen = dead ? null : oneOperation(observer, op);
    observations.push(seen);
    memories.push(seen ? memoryOf(observer) : null);
    dead = dead || seen.status !== "ok";
  }
  return { observations, memories };
}

function oneOperation(observer, op) {
  const vm = observer.vm;
  let ret = null;
  let status = "ok";
  try {
    const had = vm.migration_bitmap;
    ret = vm[op.name](...op.args);
    if (vm.migration_bitmap !== had) observer.nominal = (1n << endOfRam(vm)) - 1n;
  } catch (fault) {
    if (fault instanceof OutOfDomain) throw fault;
    status = fault instanceof Aborted ? "abort" : "crash";
    ret = status === "abort" ? null : String(fault);
  }
  const events = vm.events;
  vm.events = [];
  const state = status === "ok" ? stateOf(observer) : null;
  return { ret: ret === undefined ? null : ret, status, events, state };
}

function look(observer) {
  const vm = observer.vm;
  const writes = writesOf(vm);
  if (writes !== observer.writes) {
    observer.writes = writes;
    observer.store = storeOf(vm);
  }
  return observer.store;
}

function stateOf(observer) {
  const vm = observer.vm;
  const store = look(observer);
  const mask = blockMask(vm);
  const [vga, code, migration] = vm.clients.map((client) => store.planes[Number(client)] & mask);
  const entries = [...vm.tlb];
  const bitmap = vm.migration_bitmap;
  return {
    vga, code, migration,
    tlb_direct: pageSet(entries.filter((entry) => entry[1]).map((entry) => entry[0])),
    tlb_notdirty: pageSet(entries.filter((entry) => !entry[1]).map((entry) => entry[0])),
    has_code: pageSet(vm.has_code),
    migration_bitmap: bitmap ? bitsOf(bitmap, vm.BITS_PER_LONG) & observer.nominal : null,
    migration_dirty_pages: vm.migration_dirty_pages,
    logging: vm.in_migration,
  };
}

/** What the player draws beyond the observation. */
function memoryOf(observer) {
  const vm = observer.vm;
  const bits = vm.TARGET_PAGE_BITS;
  return {
    store: look(observer),
    clients: vm.clients.map(Number),
    mask: blockMask(vm),
    end: Number(endOfRam(vm)),
    blocks: vm.blocks.map((block) => [Number(block.offset >> bits), Number(block.length >> bits)]),
    hidden: vm.migration_bitmap ? bitsOf(vm.migration_bitmap, vm.BITS_PER_LONG) : 0n,
  };
}

/** A run that was recorded when the site was built: sets come as hexadecimal text, and what
 *  is as it was after the operation before is left out. */
function readRecorded(recorded) {
  const set = (text) => (text === null ? null : BigInt("0x" + text));
  let state = { migration_bitmap: null, migration_dirty_pages: 0, logging: false };
  for (const name of PAGE_SETS.slice(0, 6)) state[name] = "0";
  let memory = {};
  const observations = recorded.observations.map((said) => {
    if (said === null) return null;
    const seen = { ret: null, status: "ok", events: [], ...said };
    if (seen.state === null) return seen;
    state = { ...state, ...seen.state };
    const whole = { ...state, migration_dirty_pages: BigInt(state.migration_dirty_pages) };
    for (const name of PAGE_SETS) whole[name] = set(state[name]);
    return { ...seen, state: whole };
  });
  const memories = recorded.memories.map((changes) => {
    if (changes === null) return null;
    memory = { ...memory, ...changes };
    const store = { ...memory.store, planes: memory.store.planes.map(set) };
    return { ...memory, mask: set(memory.mask), hidden: set(memory.hidden), store };
  });
  return { observations, memories };
}

// --- comparing ------------------------------------------------------------------------

function fieldOf(seen, name) {
  if (name === "ret" || name === "status" || name === "events") return seen[name];
  return seen.state ? seen.state[name] : null;
}

/** The names of the fields in which two observations differ, as replay.trace has it. */
function differences(a, b) {
  if (a === null || b === null) return a === b ? [] : ["status"];
  const names = a.status !== b.status ? FIELDS.slice(0, 3) : FIELDS;
  return names.filter((name) => asJson(fieldOf(a, name)) !== asJson(fieldOf(b, name)));
}

/** An observation as Observation.to_json() gives it. */
function observationJson(seen) {
  if (seen === null) return null;
  const state = seen.state && Object.fromEntries(
    Object.entries(seen.state).map(([name, value]) => [
      name, PAGE_SETS.includes(name) && value !== null ? value.toString(16) : value,
    ]),
  );
  return { ret: seen.ret, status: seen.status, events: seen.events, state };
}

/** JSON text, in which a BigInt is a number with all its digits. */
function asJson(value) {
  if (typeof value === "bigint") return value.toString();
  if (Array.isArray(value)) return "[" + value.map(asJson).join(",") + "]";
  if (value !== null && typeof value === "object") {
    const parts = Object.entries(value).map(([key, part]) => JSON.stringify(key) + ":" + asJson(part));
    return "{" + parts.join(",") + "}";
  }
  return JSON.stringify(value);
}
