import type { GraphQLSchema, OperationTypeNode } from 'graphql';
import type { OperationKind, RootField } from './schema.ts';

/** Of each subgraph and kind: enough to see that the principal crosses to its process. */
export const firstOfEach = 3;

/** Root fields that stand for all in a walk between processes. */
export function crossing(
  schemas: ReadonlyMap<string, GraphQLSchema>,
  fields: readonly RootField[],
  kind: OperationKind,
): RootField[] {
  const chosen = [...schemas.values()].flatMap((schema) => {
    const own = schema.getRootType(kind as OperationTypeNode)?.getFields() ?? {};
    return fields.filter(({ name }) => name in own).slice(0, firstOfEach);
  });
  return fields.filter((field) => chosen.includes(field));
}
