import { isContentWord, wordsOf } from '../text/tokens.ts';
import { scoreBm25 } from './bm25.ts';

export interface MemoryEntry {
  readonly key: string;
  /** What is remembered, as text. */
  readonly text: string;
  readonly kind: 'SHORT_TERM' | 'LONG_TERM';
  /** ISO 8601: when it was stored or, for the long term, last read. */
  readonly lastAccessedAt: string;
  /** 0 to 1; values outside are clamped. @default 0.5 */
  readonly importance?: number | null;
  /** Counted from `lastAccessedAt`; null: never ends. */
  readonly ttlSeconds?: number | null;
}

export interface ScoredMemory<E extends MemoryEntry> {
  readonly entry: E;
  /** recency x importance x relevance, 0 to 1. */
  readonly score: number;
  readonly recency: number;
  readonly importance: number;
  readonly relevance: number;
}

export interface MemoryScoring {
  /** Age at which recency is one half. @default 3,600 */
  readonly shortTermHalfLifeSeconds?: number;
  /** @default 604,800, a week */
  readonly longTermHalfLifeSeconds?: number;
}

const defaultImportance = 0.5;

/**
 * Ranks what is remembered and not expired for a query, best first, ties by key: recency x importance x relevance, the
 * three factors of Park et al. (2023). Recency halves with each half-life (exponential forgetting, Ebbinghaus 1885);
 * relevance is BM25 of key and text over the best of the entries, hence 0 to 1; a query without a content word makes
 * every entry equally relevant. `now` is in ms since 1970 or a Date.
 */
export function scoreMemory<E extends MemoryEntry>(
  entries: readonly E[],
  query: string,
  now: number | Date,
  options: MemoryScoring = {},
): ScoredMemory<E>[] {
  const nowMs = Number(now);
  const alive = evictExpired(entries, nowMs).kept;
  const queryWords = contentWords(query);
  const relevances =
    queryWords.length === 0 ? alive.map(() => 1) : normalize(scoreBm25(alive.map(wordsOfEntry), queryWords));
  return alive
    .map((entry, index) => {
      const recency = recencyOf(entry, nowMs, options);
      const importance = importanceOf(entry);
      const relevance = relevances[index] ?? 0;
      return { entry, score: recency * importance * relevance, recency, importance, relevance };
    })
    .sort((left, right) => right.score - left.score || compareKeys(left.entry, right.entry));
}

export interface Eviction<E> {
  readonly kept: readonly E[];
  readonly evicted: readonly E[];
}

/** Splits off the entries whose time to live has passed; at the very end of it an entry is expired. */
export function evictExpired<E extends MemoryEntry>(entries: readonly E[], now: number | Date): Eviction<E> {
  const nowMs = Number(now);
  const isExpired = ({ ttlSeconds, lastAccessedAt }: E): boolean =>
    ttlSeconds !== undefined && ttlSeconds !== null && !(timeOf(lastAccessedAt, nowMs) + ttlSeconds * 1_000 > nowMs);
  return { kept: entries.filter((entry) => !isExpired(entry)), evicted: entries.filter(isExpired) };
}

/** Expired entries, and then those of least recency x importance until at most `maxEntries` are left. */
export function evictToCapacity<E extends MemoryEntry>(
  entries: readonly E[],
  maxEntries: number,
  now: number | Date,
): Eviction<E> {
  const ranked = scoreMemory(entries, '', now).slice(0, Math.max(0, maxEntries));
  const keep = new Set(ranked.map(({ entry }) => entry));
  return { kept: entries.filter((entry) => keep.has(entry)), evicted: entries.filter((entry) => !keep.has(entry)) };
}

function contentWords(text: string): string[] {
  return wordsOf(text).filter(isContentWord);
}

function wordsOfEntry({ key, text }: MemoryEntry): string[] {
  return contentWords(`${key.replace(/[_.:/-]+/g, ' ')} ${text}`);
}

function normalize(scores: readonly number[]): number[] {
  const best = scores.reduce((max, score) => Math.max(max, score), 0);
  return scores.map((score) => (best === 0 ? 0 : score / best));
}

function recencyOf({ kind, lastAccessedAt }: MemoryEntry, nowMs: number, options: MemoryScoring): number {
  const { shortTermHalfLifeSeconds = 3_600, longTermHalfLifeSeconds = 604_800 } = options;
  const halfLifeMs = (kind === 'SHORT_TERM' ? shortTermHalfLifeSeconds : longTermHalfLifeSeconds) * 1_000;
  return 0.5 ** (Math.max(0, nowMs - timeOf(lastAccessedAt, nowMs)) / halfLifeMs);
}

/** A time that cannot be read counts as now: nothing is lost for a bad date. */
function timeOf(iso: string, nowMs: number): number {
  const time = Date.parse(iso);
  return Number.isNaN(time) ? nowMs : time;
}

function importanceOf({ importance }: MemoryEntry): number {
  const value = importance ?? defaultImportance;
  return Number.isNaN(value) ? defaultImportance : Math.min(1, Math.max(0, value));
}

function compareKeys(left: MemoryEntry, right: MemoryEntry): number {
  return left.key < right.key ? -1 : left.key > right.key ? 1 : 0;
}
