import type { GraphQLSchema } from 'graphql';
import { readValid } from '../documents/readValid.ts';
import type { KnownOperation, KnownOperations } from './operations.ts';

export interface OperationReader<Context> {
  /** Undefined where the document is not valid or not of one operation. */
  find(source: string): KnownOperation<Context> | undefined;
}

/** Known operations and, of documents that nobody has sent yet, those that it reads itself: without limits or a list. */
export function createOperationReader<Context>(
  operations: KnownOperations<Context>,
  schema: GraphQLSchema,
): OperationReader<Context> {
  return {
    find(source) {
      const known = operations.find(source, null);
      if (known !== undefined) return known;
      const document = readValid(source, schema);
      if (document === null) return undefined;
      operations.note(source, document);
      return operations.find(source, null);
    },
  };
}
