import type { DocumentNode, OperationDefinitionNode } from 'graphql';
import { LRUCache } from 'lru-cache';
import { type DirectExecution, type DirectOperation, findOperation } from './direct.ts';

/** A document that passed validation, with what is known of one of its operations. */
export interface KnownOperation<Context> {
  readonly document: DocumentNode;
  readonly operation: OperationDefinitionNode;
  readonly isQuery: boolean;
  /** Null: the gateway executes it. */
  readonly direct: DirectOperation<Context> | null;
}

export interface KnownOperations<Context> {
  /** Told of each document that Apollo Server found valid. */
  note(source: string, document: DocumentNode): void;
  find(source: string, operationName: string | null): KnownOperation<Context> | undefined;
}

/**
 * Characters of documents kept, and what each costs beside its own: a document's tree takes 55 bytes a character
 * (measured), so the trees of whatever clients may send are 200 MB at most.
 */
const maxCharacters = 4 * 1_048_576;
const characterCost = 1_000;
/** Names asked for per document; a valid one has few. */
const maxNames = 50;

/** Remembers valid documents by their text, so that a repeat is neither parsed nor validated nor planned again. */
export function createKnownOperations<Context>(direct: DirectExecution<Context>): KnownOperations<Context> {
  const documents = new LRUCache<string, { document: DocumentNode; byName: Map<string, KnownOperation<Context>> }>({
    maxSize: maxCharacters,
    sizeCalculation: (_known, source) => source.length + characterCost,
  });
  return {
    note(source, document) {
      if (!documents.has(source)) documents.set(source, { document, byName: new Map() });
    },
    find(source, operationName) {
      const known = documents.get(source);
      if (!known) return undefined;
      const name = operationName ?? '';
      const found = known.byName.get(name);
      if (found) return found;
      const operation = findOperation(known.document, operationName);
      // Apollo Server says what is wrong with the name.
      if (!operation || known.byName.size >= maxNames) return undefined;
      const made = {
        document: known.document,
        operation,
        isQuery: operation.operation === 'query',
        direct: direct.compile(known.document, operationName),
      };
      known.byName.set(name, made);
      return made;
    },
  };
}
