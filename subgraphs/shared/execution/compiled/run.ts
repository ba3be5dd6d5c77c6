import type {
  FragmentDefinitionNode,
  GraphQLError,
  GraphQLField,
  GraphQLObjectType,
  GraphQLResolveInfo,
  GraphQLSchema,
  OperationDefinitionNode,
} from 'graphql';

export type Path = GraphQLResolveInfo['path'];

/** What all plans of one document share. */
export interface DocumentPlan {
  readonly schema: GraphQLSchema;
  readonly operation: OperationDefinitionNode;
  readonly fragments: Record<string, FragmentDefinitionNode>;
}

/** One execution of a compiled operation. */
export interface Run {
  readonly document: DocumentPlan;
  readonly contextValue: unknown;
  readonly variableValues: Record<string, unknown>;
  readonly errors: CollectedErrors;
}

/** The part of a field that its values are completed with. */
export interface FieldPosition {
  readonly definition: GraphQLField<unknown, unknown>;
  readonly nodes: GraphQLResolveInfo['fieldNodes'];
  readonly parentType: GraphQLObjectType;
}

/** Field errors in the order they happened, without those below a position that an earlier one has nulled. */
export class CollectedErrors {
  readonly list: GraphQLError[] = [];
  // Made with the first error: most executions have none.
  #positions: Set<Path | undefined> | undefined;

  add(error: GraphQLError, path: Path | undefined): void {
    if (this.#positions === undefined) this.#positions = new Set();
    else if (this.#isNulled(path, this.#positions)) return;
    this.#positions.add(path);
    this.list.push(error);
  }

  #isNulled(start: Path | undefined, positions: Set<Path | undefined>): boolean {
    for (let path = start; path !== undefined; path = path.prev) if (positions.has(path)) return true;
    return positions.has(undefined);
  }
}

export function pathToArray(path: Path | undefined): (string | number)[] {
  const keys: (string | number)[] = [];
  for (let current = path; current !== undefined; current = current.prev) keys.push(current.key);
  return keys.reverse();
}

/** The fourth argument of resolvers and type resolvers. */
export function buildInfo(run: Run, field: FieldPosition, path: Path): GraphQLResolveInfo {
  const { schema, fragments, operation } = run.document;
  return {
    fieldName: field.definition.name,
    fieldNodes: field.nodes,
    returnType: field.definition.type,
    parentType: field.parentType,
    path,
    schema,
    fragments,
    rootValue: undefined,
    operation,
    variableValues: run.variableValues,
  };
}

export function isPromise(value: unknown): value is Promise<unknown> {
  return (
    ((typeof value === 'object' && value !== null) || typeof value === 'function') &&
    typeof (value as { then?: unknown }).then === 'function'
  );
}

/** Response objects: no prototype to inherit `__proto__` from, yet with the hidden classes that `Object.create(null)` does without. */
export const ResponseObject = class {} as unknown as new () => Record<string, unknown>;
Object.setPrototypeOf(ResponseObject.prototype, null);
Reflect.deleteProperty(ResponseObject.prototype as object, 'constructor');
