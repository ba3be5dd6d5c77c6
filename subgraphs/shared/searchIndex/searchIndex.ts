import { hasBit, listBits, setBit } from './bits.ts';
import { type Condition, type Filter, NumberColumn, SetColumn, ValueColumn, type ValueCount } from './columns.ts';
import { Documents } from './documents.ts';
import { withRoom } from './growth.ts';
import { BitsPool, matchQuery } from './matching.ts';
import { type PostingList, Postings } from './postings.ts';
import { type QueryNode, scoredTerms, supportsQuery } from './query.ts';
import { fillNorms, inverseDocumentFrequency, maxFields, type ScoredField, saturation } from './scoring.ts';
import { Sweeper } from './sweeper.ts';
import { type Place, topHits } from './topHits.ts';
import type { DocumentTerms } from './tsvector.ts';

export interface SearchIndexOptions<Value extends string, Set extends string, Count extends string> {
  /** At most four; a posting's packed frequencies stand in their order. */
  readonly fields: readonly ScoredField[];
  /** Columns with one value or none. */
  readonly values: readonly Value[];
  /** Columns with any number of values. */
  readonly sets: readonly Set[];
  readonly numbers: readonly Count[];
  /** Column of numbers that multiplies each score; where no words are asked for, it is the score. @default none */
  readonly boost?: Count;
}

export interface IndexedDocument<Value extends string, Set extends string, Count extends string> extends DocumentTerms {
  readonly id: string;
  /** Handed back with hits, so that who reads the document sees whether it has changed. */
  readonly revision: number;
  /** True where only those find it to whom a search grants it. */
  readonly restricted: boolean;
  readonly values: Readonly<Record<Value, string | null>>;
  readonly sets: Readonly<Record<Set, readonly string[]>>;
  readonly numbers: Readonly<Record<Count, number>>;
}

/** Which documents a search is about. */
export interface IndexSelection {
  /** Null: all documents. */
  readonly query: QueryNode | null;
  readonly conditions: readonly Condition[];
  /** Restricted documents that count, by id. */
  readonly granted: 'all' | readonly string[];
}

export interface IndexPage {
  readonly limit: number;
  /** Worst first: the page before a place, or a ranking upside down. */
  readonly reversed: boolean;
  /** Last hit of the page before. */
  readonly after: Hit | null;
}

export interface Hit extends Place {
  readonly revision: number;
}

export interface HitPage {
  readonly total: number;
  readonly hits: readonly Hit[];
}

/** What an empty index takes. */
const fixedBytes = 16_384;

/**
 * Inverted index in memory with filters, ranked by BM25F. Everything is synchronous; a search of n matches costs about
 * 10 ns for each. Terms come from whoever reads the texts, so that the index has no tokeniser of its own.
 */
export class SearchIndex<Value extends string = string, Set extends string = string, Count extends string = string> {
  readonly #fields: readonly ScoredField[];
  readonly #documents = new Documents();
  readonly #postings = new Postings();
  readonly #values: ReadonlyMap<string, ValueColumn>;
  readonly #sets: ReadonlyMap<string, SetColumn>;
  readonly #numbers: ReadonlyMap<string, NumberColumn>;
  readonly #boost: NumberColumn | undefined;
  readonly #sweeper = new Sweeper(this.#postings, (slot) => this.#documents.release(slot));
  readonly #pool = new BitsPool();
  readonly #norms = new Float64Array(maxFields * 256);
  #normsStand = false;
  /** Matches of the search under way, and scores by slot. */
  #matches = new Uint32Array(0);
  #scores = new Float64Array(0);

  /** @throws {RangeError} with more than four fields. */
  constructor(options: SearchIndexOptions<Value, Set, Count>) {
    if (options.fields.length > maxFields)
      throw new RangeError(`expected at most ${maxFields} fields, got ${options.fields.length}`);
    this.#fields = options.fields;
    this.#values = new Map(options.values.map((name) => [name, new ValueColumn()]));
    this.#sets = new Map(options.sets.map((name) => [name, new SetColumn()]));
    this.#numbers = new Map(options.numbers.map((name) => [name, new NumberColumn()]));
    this.#boost = options.boost === undefined ? undefined : this.#numbers.get(options.boost);
  }

  get size(): number {
    return this.#documents.size;
  }

  get restrictedCount(): number {
    return this.#documents.restrictedCount;
  }

  /** Memory it takes, about. */
  get bytes(): number {
    const columns = [...this.#values.values(), ...this.#sets.values(), ...this.#numbers.values()];
    return (
      fixedBytes +
      columns.reduce((sum, column) => sum + column.bytes, 0) +
      this.#documents.bytes +
      this.#postings.bytes +
      this.#postings.termCount * 48 +
      this.#sweeper.bytes +
      this.#pool.bytes +
      this.#matches.byteLength +
      this.#scores.byteLength
    );
  }

  supports(query: QueryNode): boolean {
    return supportsQuery(query);
  }

  /** Adds a document, or puts it in the place of the one of the same id. */
  put(document: IndexedDocument<Value, Set, Count>): void {
    this.#discard(document.id);
    const slot = this.#documents.add(document);
    for (const [name, column] of this.#values) column.set(slot, document.values[name as Value]);
    for (const [name, column] of this.#sets) column.set(slot, document.sets[name as Set]);
    for (const [name, column] of this.#numbers) column.set(slot, document.numbers[name as Count]);
    for (let at = 0; at < document.terms.length; at += 1)
      this.#postings.append(document.terms[at]!, slot, document.frequencies[at]!);
    this.#normsStand = false;
    this.#sweeper.step(this.#documents.limit);
  }

  /** Removes a document; false when there was none. */
  remove(id: string): boolean {
    const removed = this.#discard(id);
    this.#sweeper.step(this.#documents.limit);
    return removed;
  }

  #discard(id: string): boolean {
    const slot = this.#documents.remove(id);
    if (slot === undefined) return false;
    for (const column of this.#values.values()) column.clear(slot);
    for (const column of this.#sets.values()) column.clear(slot);
    this.#sweeper.add(slot);
    this.#normsStand = false;
    return true;
  }

  /** Takes out at once what removed documents left behind; else that happens along with later changes. */
  compact(): void {
    this.#sweeper.finishAll(this.#documents.limit);
  }

  count(selection: IndexSelection): number {
    return this.#match(selection);
  }

  /** A page of the ranking and the number of all matches. Without scored words the order is that of the ids. */
  search(selection: IndexSelection, page: IndexPage): HitPage {
    const total = this.#match(selection);
    if (total === 0 || page.limit === 0) return { total, hits: [] };
    const scores = this.#score(selection.query, total);
    const { ids } = this.#documents;
    const after = page.after && this.#settle(page.after, scores, total);
    const slots = topHits(this.#matches, total, { scores, ids }, { ...page, after });
    return {
      total,
      hits: slots.map((slot) => ({
        id: ids[slot]!,
        score: scores[slot]!,
        revision: this.#documents.revisionOf(slot),
      })),
    };
  }

  /** How many matches have each value of a column, most frequent first. */
  facets(selection: IndexSelection, columns: readonly string[], limit: number): ReadonlyMap<string, ValueCount[]> {
    const count = this.#match(selection);
    return new Map(
      columns.map((name) => {
        const column = this.#values.get(name) ?? this.#sets.get(name);
        if (!column) throw new RangeError(`expected a column of values, got ${name}`);
        return [name, column.count(this.#matches, count, limit)];
      }),
    );
  }

  /** Lists the slots of the selection in `#matches`; answers how many they are. */
  #match({ query, conditions, granted }: IndexSelection): number {
    const documents = this.#documents;
    const slots = documents.limit;
    this.#matches = withRoom(this.#matches, slots);
    const matches = this.#matches;
    let count: number;
    if (query === null) count = listBits(documents.alive, matches);
    else if (query.kind === 'term') count = listEntries(this.#postings.find(query.term), documents.alive, matches);
    else {
      const matcher = { postings: this.#postings, alive: documents.alive, slots, pool: this.#pool };
      const found = matchQuery(matcher, query);
      count = listBits(found, matches);
      this.#pool.give(found);
    }
    if (granted !== 'all' && documents.restrictedCount > 0) count = this.#keepGranted(count, granted);
    const filters = conditions.map((condition) => this.#filter(condition));
    // The most selective first: the others then look at what it leaves.
    filters.sort((one, other) => one.estimate - other.estimate);
    for (const filter of filters) count = filter.keep(matches, count);
    return count;
  }

  #keepGranted(count: number, granted: readonly string[]): number {
    const { restricted } = this.#documents;
    const matches = this.#matches;
    const allowed = this.#pool.take(this.#documents.limit);
    for (const id of granted) {
      const slot = this.#documents.find(id);
      if (slot !== undefined) setBit(allowed, slot);
    }
    let kept = 0;
    for (let at = 0; at < count; at += 1) {
      const slot = matches[at]!;
      matches[kept] = slot;
      if (!hasBit(restricted, slot) || hasBit(allowed, slot)) kept += 1;
    }
    this.#pool.give(allowed);
    return kept;
  }

  #filter(condition: Condition): Filter {
    const missing = () => new RangeError(`there is no column ${condition.column} for ${condition.kind}`);
    switch (condition.kind) {
      case 'oneOf': {
        const column = this.#values.get(condition.column);
        if (!column) throw missing();
        return column.oneOf(condition.values);
      }
      case 'anyOf':
      case 'allOf': {
        const column = this.#sets.get(condition.column);
        if (!column) throw missing();
        return condition.kind === 'anyOf' ? column.anyOf(condition.values) : column.allOf(condition.values);
      }
      case 'between': {
        const column = this.#numbers.get(condition.column);
        if (!column) throw missing();
        return column.between(condition.from ?? Number.NEGATIVE_INFINITY, condition.to ?? Number.POSITIVE_INFINITY);
      }
    }
  }

  /** Scores of the matches, by slot. */
  #score(query: QueryNode | null, count: number): Float64Array {
    this.#scores = withRoom(this.#scores, this.#documents.limit);
    const scores = this.#scores;
    if (!this.#normsStand) {
      fillNorms(this.#norms, this.#fields, (field) => this.#documents.averageLength(field));
      this.#normsStand = true;
    }
    const wanted = this.#pool.take(this.#documents.limit);
    for (let at = 0; at < count; at += 1) {
      const slot = this.#matches[at]!;
      scores[slot] = 0;
      setBit(wanted, slot);
    }
    for (const term of query === null ? [] : scoredTerms(query)) {
      const list = this.#postings.find(term);
      const idf = inverseDocumentFrequency(this.#documents.size, this.#frequencyOf(list));
      addScores(list, { wanted, scores, idf, lengths: this.#documents.lengths, norms: this.#norms });
    }
    this.#pool.give(wanted);
    if (this.#boost !== undefined) this.#boostScores(this.#boost, query === null, count);
    return scores;
  }

  #boostScores(boost: NumberColumn, alone: boolean, count: number): void {
    const scores = this.#scores;
    for (let at = 0; at < count; at += 1) {
      const slot = this.#matches[at]!;
      scores[slot] = (alone ? 1 : scores[slot]!) * boost.get(slot);
    }
  }

  /** Living documents that contain a term. */
  #frequencyOf({ words, start, end }: PostingList): number {
    if (this.#sweeper.deadCount === 0) return (end - start) / 2;
    const { alive } = this.#documents;
    let count = 0;
    for (let at = start; at < end; at += 2) count += (alive[words[at]! >>> 5]! >>> (words[at]! & 31)) & 1;
    return count;
  }

  /** Scores move with every change elsewhere: a hit that has not changed is where it stands now, any other where it stood. */
  #settle(hit: Hit, scores: Float64Array, count: number): Place {
    const slot = this.#documents.find(hit.id);
    if (slot === undefined || this.#documents.revisionOf(slot) !== hit.revision) return hit;
    return this.#matches.subarray(0, count).includes(slot) ? { id: hit.id, score: scores[slot]! } : hit;
  }
}

/** Slots of living documents among a term's entries. */
function listEntries({ words, start, end }: PostingList, alive: Uint32Array, target: Uint32Array): number {
  let count = 0;
  for (let at = start; at < end; at += 2) {
    const slot = words[at]!;
    target[count] = slot;
    count += (alive[slot >>> 5]! >>> (slot & 31)) & 1;
  }
  return count;
}

interface Scoring {
  readonly wanted: Uint32Array;
  readonly scores: Float64Array;
  readonly idf: number;
  readonly lengths: Uint32Array;
  readonly norms: Float64Array;
}

function addScores({ words, start, end }: PostingList, { wanted, scores, idf, lengths, norms }: Scoring): void {
  for (let at = start; at < end; at += 2) {
    const slot = words[at]!;
    if (((wanted[slot >>> 5]! >>> (slot & 31)) & 1) === 0) continue;
    scores[slot]! += idf * saturation(words[at + 1]!, lengths[slot]!, norms);
  }
}
