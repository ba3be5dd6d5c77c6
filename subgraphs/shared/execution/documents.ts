import { type DocumentNode, GraphQLError, type GraphQLSchema, parse, validate } from 'graphql';
import { LRUCache } from 'lru-cache';
import { type CompiledOperation, compileOperation } from './compiled.ts';

export interface Documents {
  /** The compiled operation of a text, or why there is none. */
  find(text: string, operationName: string | null | undefined): CompiledOperation | readonly GraphQLError[];
  readonly size: number;
}

export interface DocumentsOptions {
  readonly schema: GraphQLSchema;
  /** Texts kept at most. */
  readonly max: number;
}

interface KnownDocument {
  readonly document: DocumentNode | null;
  readonly errors: readonly GraphQLError[];
  readonly operations: Map<string, CompiledOperation>;
}

/** Parses, validates and compiles each operation text once; the least recently used are forgotten. */
export function createDocuments({ schema, max }: DocumentsOptions): Documents {
  const known = new LRUCache<string, KnownDocument>({ max });

  function read(text: string): KnownDocument {
    try {
      // Nobody is told places in a text that the planner wrote, and they would keep all of its tokens.
      const document = parse(text, { noLocation: true });
      return { document, errors: validate(schema, document), operations: new Map() };
    } catch (error) {
      return { document: null, errors: [toGraphQLError(error)], operations: new Map() };
    }
  }

  return {
    find(text, operationName) {
      let entry = known.get(text);
      if (entry === undefined) {
        entry = read(text);
        known.set(text, entry);
      }
      if (entry.document === null || entry.errors.length > 0) return entry.errors;
      const name = operationName ?? '';
      const compiled = entry.operations.get(name);
      if (compiled) return compiled;
      try {
        const operation = compileOperation(schema, entry.document, operationName);
        entry.operations.set(name, operation);
        return operation;
      } catch (error) {
        return [toGraphQLError(error)];
      }
    },
    get size() {
      return known.size;
    },
  };
}

function toGraphQLError(error: unknown): GraphQLError {
  if (error instanceof GraphQLError) return error;
  return new GraphQLError(error instanceof Error ? error.message : String(error), {
    originalError: error instanceof Error ? error : null,
  });
}
