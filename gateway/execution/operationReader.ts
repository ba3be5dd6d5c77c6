import type { GraphQLSchema } from 'graphql';
import { type ReadLimits, readValid } from '../documents/readValid.ts';
import type { KnownOperation, KnownOperations } from './operations.ts';

export interface OperationReader<Context> {
  /** Undefined where the document is not valid, past the limits or not of one operation: Apollo Server says which. */
  find(source: string): KnownOperation<Context> | undefined;
}

/** Known operations and, of documents that nobody has sent yet, those that it reads itself, under the limits of clients. */
export function createOperationReader<Context>(
  operations: KnownOperations<Context>,
  { schema, limits }: { readonly schema: GraphQLSchema; readonly limits: ReadLimits },
): OperationReader<Context> {
  return {
    find(source) {
      const known = operations.find(source, null);
      if (known !== undefined) return known;
      const document = readValid(source, schema, limits);
      if (document === null) return undefined;
      operations.note(source, document);
      return operations.find(source, null);
    },
  };
}
