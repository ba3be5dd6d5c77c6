export type { Condition, ValueCount } from './columns.ts';
export { type QueryNode, supportsQuery } from './query.ts';
export { type ScoredField, tsvectorFields } from './scoring.ts';
export {
  type Hit,
  type HitPage,
  type IndexedDocument,
  type IndexPage,
  type IndexSelection,
  SearchIndex,
  type SearchIndexOptions,
} from './searchIndex.ts';
export type { Place } from './topHits.ts';
export { parseTsquery } from './tsquery.ts';
export { type DocumentTerms, parseTsvector } from './tsvector.ts';
