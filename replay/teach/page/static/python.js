// What the translated models need of Python: integers of any size, containers that tell
// when an index is outside. An integer is a BigInt everywhere in here.

class Aborted extends Error {}
class OutOfDomain extends Error {}
class Crash extends Error {}
class IndexFault extends Error {}

class RAMBlock {
  constructor(offset, length) {
    this.offset = offset;
    this.length = length;
  }
}

/** The list of RAM blocks, with Python's list methods. */
class Blocks extends Array {
  insert(index, block) {
    this.splice(Number(index), 0, block);
  }

  append(block) {
    this.push(block);
  }

  remove(block) {
    const at = this.indexOf(block);
    if (at < 0) throw new Crash("remove: not in the list");
    this.splice(at, 1);
  }
}

/** The TLB: page to true (direct) or false (notdirty). */
class Tlb extends Map {
  get(page) {
    const found = super.get(page);
    return found === undefined ? null : found;
  }

  item(page) {
    const found = super.get(page);
    if (found === undefined) throw new Crash("no TLB entry for page " + page);
    return found;
  }

  pop(page, otherwise) {
    const found = this.get(page);
    this.delete(page);
    return found === null ? otherwise : found;
  }
}

class Pages extends Set {
  discard(page) {
    this.delete(page);
  }

  difference_update(pages) {
    for (const page of pages) this.delete(page);
  }
}

/** Cells of a fixed width, zero at first; one is at most `limit`. `writes` counts changes. */
class Store {
  constructor(count, limit) {
    this.cells = new Array(Number(count)).fill(0n);
    this.limit = limit;
    this.writes = 0;
  }

  resize(count) {
    const have = this.cells.length;
    this.cells.length = Number(count);
    if (have < this.cells.length) this.cells.fill(0n, have);
    this.writes += 1;
  }

  /** What of the span lies outside stays out: zeroing never lengthens a store. */
  zero(first, count) {
    const end = BigInt(this.cells.length);
    const low = python.max(first, 0n);
    const high = python.min(first + count, end);
    if (low < high) this.cells.fill(0n, Number(low), Number(high));
    this.writes += 1;
  }
}

const python = {
  Aborted, OutOfDomain, Crash, IndexFault, RAMBlock,

  /** An integer from what may be a bool. */
  int(value) {
    return value === true ? 1n : value === false ? 0n : value;
  },

  floorDiv(a, b) {
    const quotient = a / b;
    return quotient * b !== a && (a < 0n) !== (b < 0n) ? quotient - 1n : quotient;
  },

  min(a, b) {
    return b < a ? b : a;
  },

  max(a, b) {
    return b > a ? b : a;
  },

  bitLength(value) {
    const size = value < 0n ? -value : value;
    return size === 0n ? 0n : BigInt(size.toString(2).length);
  },

  bitCount(value) {
    let left = value < 0n ? -value : value;
    let count = 0n;
    for (; left; left &= left - 1n) count += 1n;
    return count;
  },

  *range(first, end, step) {
    const low = end === undefined ? 0n : first;
    const high = end === undefined ? first : end;
    const by = step === undefined ? 1n : step;
    if (by <= 0n) throw new Crash("range: the step must be positive");
    for (let at = low; at < high; at += by) yield at;
  },

  *enumerate(items) {
    let index = 0n;
    for (const item of items) yield [index++, item];
  },

  len(container) {
    return BigInt((container.cells || container).length);
  },

  /** The place of an index, from the end where it is negative; a fault when outside. */
  place(cells, index) {
    const at = index < 0n ? index + BigInt(cells.length) : index;
    if (at < 0n || at >= BigInt(cells.length)) throw new IndexFault("index " + index);
    return Number(at);
  },

  at(container, index) {
    const cells = container.cells || container;
    return cells[python.place(cells, index)];
  },

  put(container, index, value) {
    if (!container.cells) {
      container[python.place(container, index)] = value;
      return;
    }
    const at = python.place(container.cells, index);
    if (value < 0n || value > container.limit) throw new Crash("a cell cannot hold " + value);
    container.cells[at] = value;
    container.writes += 1;
  },

  /** bytes(count) into [low, high): as many cells out as in, or the store changes its size. */};
