import { type Bits, setBit } from './bits.ts';
import type { Postings } from './postings.ts';
import type { QueryNode } from './query.ts';

/** Sets of slots, used again from query to query. */
export class BitsPool {
  readonly #free: Bits[] = [];
  #words = 0;

  /** An empty set with room for so many slots. */
  take(slots: number): Bits {
    const words = (slots >>> 5) + 1;
    if (words > this.#words) {
      this.#free.length = 0;
      this.#words = Math.ceil(words * 1.25);
    }
    const bits = this.#free.pop();
    return bits ? bits.fill(0) : new Uint32Array(this.#words);
  }

  give(bits: Bits): void {
    if (bits.length === this.#words) this.#free.push(bits);
  }

  get bytes(): number {
    return this.#free.length * this.#words * 4;
  }
}

interface Matcher {
  readonly postings: Postings;
  readonly alive: Bits;
  readonly slots: number;
  readonly pool: BitsPool;
}

/** The slots of living documents that match; the caller gives the set back to the pool. */
export function matchQuery(matcher: Matcher, query: QueryNode): Bits {
  const found = evaluate(matcher, query);
  const { alive } = matcher;
  const shared = Math.min(found.length, alive.length);
  for (let at = 0; at < shared; at += 1) found[at]! &= alive[at]!;
  return found;
}

function evaluate(matcher: Matcher, node: QueryNode): Bits {
  const { pool, slots } = matcher;
  switch (node.kind) {
    case 'term': {
      const bits = pool.take(slots);
      addTerm(matcher, node.term, bits);
      return bits;
    }
    case 'or': {
      const bits = pool.take(slots);
      for (const child of node.nodes) {
        if (child.kind === 'term') addTerm(matcher, child.term, bits);
        else combine(matcher, bits, child, (one, other) => one | other);
      }
      return bits;
    }
    case 'and': {
      // The rarest part first: where it finds nothing, nobody looks further.
      const parts = node.nodes.filter((child) => child.kind !== 'not');
      parts.sort((one, other) => estimate(matcher, one) - estimate(matcher, other));
      const [rarest, ...rest] = parts;
      if (rarest && estimate(matcher, rarest) === 0) return pool.take(slots);
      const bits = rarest ? evaluate(matcher, rarest) : all(matcher);
      for (const child of rest) combine(matcher, bits, child, (one, other) => one & other);
      for (const child of node.nodes)
        if (child.kind === 'not') combine(matcher, bits, child.node, (one, other) => one & ~other);
      return bits;
    }
    case 'not': {
      const bits = all(matcher);
      combine(matcher, bits, node.node, (one, other) => one & ~other);
      return bits;
    }
    case 'none':
      return pool.take(slots);
    case 'phrase':
    case 'prefix':
    case 'weighted':
      throw new Error(`the index cannot answer a ${node.kind} query: ask supports() first`);
  }
}

function all({ pool, alive, slots }: Matcher): Bits {
  const bits = pool.take(slots);
  bits.set(alive.subarray(0, Math.min(alive.length, bits.length)));
  return bits;
}

function addTerm({ postings }: Matcher, term: string, bits: Bits): void {
  const { words, start, end } = postings.find(term);
  for (let at = start; at < end; at += 2) setBit(bits, words[at]!);
}

function combine(matcher: Matcher, bits: Bits, child: QueryNode, by: (one: number, other: number) => number): void {
  const other = evaluate(matcher, child);
  for (let at = 0; at < bits.length; at += 1) bits[at] = by(bits[at]!, other[at]!);
  matcher.pool.give(other);
}

/** Upper bound of the matches, dead entries included. */
function estimate(matcher: Matcher, node: QueryNode): number {
  switch (node.kind) {
    case 'term': {
      const { start, end } = matcher.postings.find(node.term);
      return (end - start) / 2;
    }
    case 'and':
      return Math.min(...node.nodes.map((child) => estimate(matcher, child)));
    case 'or':
      return node.nodes.reduce((sum, child) => sum + estimate(matcher, child), 0);
    case 'none':
      return 0;
    default:
      return matcher.slots;
  }
}
