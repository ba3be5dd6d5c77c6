import type { Condition, IndexPage, IndexSelection, QueryNode } from '#shared/searchIndex/index.ts';
import { scoredTerms } from '#shared/searchIndex/query.ts';
import {
  bucketLength,
  fillNorms,
  frequencyOf,
  inverseDocumentFrequency,
  lengthBucket,
  saturation,
  tsvectorFields,
} from '#shared/searchIndex/scoring.ts';

export interface NaiveDocument {
  readonly id: string;
  readonly revision: number;
  readonly restricted: boolean;
  readonly terms: readonly string[];
  readonly frequencies: readonly number[];
  readonly values: { readonly kind: string | null; readonly owner: string | null };
  readonly sets: { readonly tags: readonly string[] };
  readonly numbers: { readonly at: number };
}

/** The index as a list that is read from end to end for every question. */
export class NaiveIndex {
  readonly documents = new Map<string, NaiveDocument>();

  put(document: NaiveDocument): void {
    this.documents.set(document.id, document);
  }

  remove(id: string): boolean {
    return this.documents.delete(id);
  }

  #matches({ query, conditions, granted }: IndexSelection): NaiveDocument[] {
    return [...this.documents.values()].filter(
      (document) =>
        (!document.restricted || granted === 'all' || granted.includes(document.id)) &&
        (query === null || contains(document, query)) &&
        conditions.every((condition) => meets(document, condition)),
    );
  }

  count(selection: IndexSelection): number {
    return this.#matches(selection).length;
  }

  facets(selection: IndexSelection, limit: number): Record<'kind' | 'tags', { value: string; count: number }[]> {
    const matches = this.#matches(selection);
    const counted = (valuesOf: (document: NaiveDocument) => readonly string[]) =>
      [...Map.groupBy(matches.flatMap(valuesOf), (value) => value)]
        .map(([value, list]) => ({ value, count: list.length }))
        .sort((one, other) => other.count - one.count || (one.value < other.value ? -1 : 1))
        .slice(0, limit);
    return {
      kind: counted(({ values }) => (values.kind === null ? [] : [values.kind])),
      tags: counted(({ sets }) => [...new Set(sets.tags)]),
    };
  }

  search(selection: IndexSelection, { limit, reversed, after }: IndexPage) {
    const matches = this.#matches(selection);
    const all = [...this.documents.values()];
    const norms = new Float64Array(4 * 256);
    const bucketOf = (document: NaiveDocument, field: number) =>
      lengthBucket(document.frequencies.reduce((sum, packed) => sum + frequencyOf(packed, field), 0));
    fillNorms(norms, tsvectorFields, (field) =>
      all.length === 0
        ? 0
        : all.reduce((sum, document) => sum + bucketLength(bucketOf(document, field)), 0) / all.length,
    );
    const scoreOf = (document: NaiveDocument): number => {
      const buckets = [0, 1, 2, 3].reduce((packed, field) => packed | (bucketOf(document, field) << (8 * field)), 0);
      let score = 0;
      for (const term of selection.query === null ? [] : scoredTerms(selection.query)) {
        const containing = all.filter(({ terms }) => terms.includes(term)).length;
        const at = document.terms.indexOf(term);
        if (at >= 0)
          score +=
            inverseDocumentFrequency(all.length, containing) *
            saturation(document.frequencies[at]!, buckets >>> 0, norms);
      }
      return score;
    };
    const order = (one: { score: number; id: string }, other: { score: number; id: string }) =>
      (other.score - one.score || (one.id < other.id ? -1 : one.id > other.id ? 1 : 0)) * (reversed ? -1 : 1);
    const ranking = matches
      .map((document) => ({ id: document.id, score: scoreOf(document), revision: document.revision }))
      .sort(order);
    const hits = ranking.filter((hit) => after === null || order(after, hit) < 0).slice(0, limit);
    return { total: matches.length, hits };
  }
}

function contains(document: NaiveDocument, node: QueryNode): boolean {
  switch (node.kind) {
    case 'term':
      return document.terms.includes(node.term);
    case 'and':
      return node.nodes.every((child) => contains(document, child));
    case 'or':
      return node.nodes.some((child) => contains(document, child));
    case 'not':
      return !contains(document, node.node);
    default:
      return false;
  }
}

function meets({ values, sets, numbers }: NaiveDocument, condition: Condition): boolean {
  switch (condition.kind) {
    case 'oneOf': {
      const value = values[condition.column as keyof typeof values];
      return value !== null && condition.values.includes(value);
    }
    case 'anyOf':
      return condition.values.some((value) => sets.tags.includes(value));
    case 'allOf':
      return condition.values.every((value) => sets.tags.includes(value));
    case 'between':
      return numbers.at >= (condition.from ?? -Infinity) && numbers.at <= (condition.to ?? Infinity);
  }
}
