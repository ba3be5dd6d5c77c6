import {
  defaultTypeResolver,
  type GraphQLAbstractType,
  GraphQLError,
  type GraphQLLeafType,
  type GraphQLList,
  type GraphQLObjectType,
  type GraphQLOutputType,
  isAbstractType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
  locatedError,
} from 'graphql';
import { inspect } from 'graphql/jsutils/inspect.js';
import { buildInfo, type FieldPosition, isPromise, type Path, pathToArray, type Run } from './run.ts';
import { compileSubselection, executeSelection, type SelectionPlan } from './selection.ts';

/**
 * Turns what a resolver gave into the response's value ("Value Completion" of the GraphQL specification); throws where
 * the value does not fit its type. Returns a promise only where something below is one.
 */
export type Complete = (run: Run, value: unknown, path: Path) => unknown;

/** The type's kind is decided here once, not at each value. */
export function compileCompletion(type: GraphQLOutputType, field: FieldPosition): Complete {
  if (!isNonNullType(type)) return completeNullable(compileInner(type, field));
  const inner = completeNullable(compileInner(type.ofType, field));
  return (run, value, path) => {
    const completed = inner(run, value, path);
    if (completed === null)
      throw new Error(`Cannot return null for non-nullable field ${field.parentType.name}.${field.definition.name}.`);
    return completed;
  };
}

function completeNullable(inner: Complete): Complete {
  return (run, value, path) => {
    if (value === null || value === undefined) return null;
    if (value instanceof Error) throw value;
    return inner(run, value, path);
  };
}

function compileInner(type: GraphQLOutputType, field: FieldPosition): Complete {
  if (isListType(type)) return completeList(type, field);
  if (isLeafType(type)) return completeLeaf(type);
  if (isAbstractType(type)) return completeAbstract(type, field);
  if (isObjectType(type)) return completeObject(type, field);
  throw new Error(`expected an output type, got ${inspect(type)}`);
}

function completeLeaf(type: GraphQLLeafType): Complete {
  return (_run, value) => {
    const serialized: unknown = type.serialize(value);
    if (serialized === null || serialized === undefined) {
      throw new Error(
        `Expected \`${inspect(type)}.serialize(${inspect(value)})\` to return non-nullable value, returned: ${inspect(serialized)}`,
      );
    }
    return serialized;
  };
}

function completeList(type: GraphQLList<GraphQLOutputType>, field: FieldPosition): Complete {
  const completeItem = compileCompletion(type.ofType, field);
  const itemNonNull = isNonNullType(type.ofType);
  const failItem = (run: Run, path: Path, raw: unknown) => {
    const error = locatedError(raw, field.nodes, pathToArray(path));
    if (itemNonNull) throw error;
    run.errors.add(error, path);
    return null;
  };
  return (run, value, path) => {
    if (!isIterable(value))
      throw new GraphQLError(
        `Expected Iterable, but did not find one for field "${field.parentType.name}.${field.definition.name}".`,
      );
    const items: unknown[] = [];
    let pending = false;
    let index = 0;
    for (const item of value) {
      const itemPath: Path = { prev: path, key: index, typename: undefined };
      index += 1;
      let completed: unknown;
      try {
        completed = isPromise(item)
          ? item.then((resolved) => completeItem(run, resolved, itemPath))
          : completeItem(run, item, itemPath);
        if (isPromise(completed)) {
          pending = true;
          completed = completed.then(undefined, (error: unknown) => failItem(run, itemPath, error));
        }
      } catch (error) {
        if (itemNonNull) abandon(items, Array.isArray(value) ? value.slice(index) : []);
        completed = failItem(run, itemPath, error);
      }
      items.push(completed);
    }
    return pending ? Promise.all(items) : items;
  };
}

/** A list that fails as a whole leaves its other promises alone; their rejections, unhandled, would end the process. */
function abandon(...lists: readonly (readonly unknown[])[]): void {
  for (const item of lists.flat()) if (isPromise(item)) item.then(undefined, () => {});
}

function isIterable(value: unknown): value is Iterable<unknown> {
  return (
    typeof value === 'object' &&
    typeof (value as { [Symbol.iterator]?: unknown } | null)?.[Symbol.iterator] === 'function'
  );
}

function completeObject(type: GraphQLObjectType, field: FieldPosition): Complete {
  let selection: SelectionPlan | undefined;
  return (run, value, path) => {
    selection ??= compileSubselection(run, type, field.nodes);
    return type.isTypeOf
      ? executeChecked(run, selection, value, path, field)
      : executeSelection(run, selection, value, path);
  };
}

function completeAbstract(type: GraphQLAbstractType, field: FieldPosition): Complete {
  const resolveType = type.resolveType ?? defaultTypeResolver;
  const selections = new Map<unknown, SelectionPlan>();
  const completeAs = (run: Run, typeName: unknown, value: unknown, path: Path) => {
    let selection = selections.get(typeName);
    if (selection === undefined) {
      selection = compileSubselection(run, requireObjectType(run, typeName, type, field, value), field.nodes);
      selections.set(typeName, selection);
    }
    return selection.type.isTypeOf
      ? executeChecked(run, selection, value, path, field)
      : executeSelection(run, selection, value, path);
  };
  return (run, value, path) => {
    const typeName = resolveType(value, run.contextValue, buildInfo(run, field, path), type);
    return isPromise(typeName)
      ? typeName.then((name) => completeAs(run, name, value, path))
      : completeAs(run, typeName, value, path);
  };
}

/** Executes an object's fields once its type's `isTypeOf` agrees. */
function executeChecked(run: Run, selection: SelectionPlan, value: unknown, path: Path, field: FieldPosition): unknown {
  const refuse = () =>
    new GraphQLError(`Expected value of type "${selection.type.name}" but got: ${inspect(value)}.`, {
      nodes: field.nodes,
    });
  const verdict = selection.type.isTypeOf?.(value, run.contextValue, buildInfo(run, field, path));
  if (isPromise(verdict)) {
    return verdict.then((agrees) => {
      if (!agrees) throw refuse();
      return executeSelection(run, selection, value, path);
    });
  }
  if (!verdict) throw refuse();
  return executeSelection(run, selection, value, path);
}

function requireObjectType(
  run: Run,
  typeName: unknown,
  abstract: GraphQLAbstractType,
  field: FieldPosition,
  value: unknown,
): GraphQLObjectType {
  const { schema } = run.document;
  const where = `${field.parentType.name}.${field.definition.name}`;
  const { nodes } = field;
  if (typeName === null || typeName === undefined) {
    throw new GraphQLError(
      `Abstract type "${abstract.name}" must resolve to an Object type at runtime for field "${where}". Either the "${abstract.name}" type should provide a "resolveType" function or each possible type should provide an "isTypeOf" function.`,
      { nodes },
    );
  }
  if (isObjectType(typeName)) {
    throw new GraphQLError(
      'Support for returning GraphQLObjectType from resolveType was removed in graphql-js@16.0.0 please return type name instead.',
    );
  }
  if (typeof typeName !== 'string') {
    throw new GraphQLError(
      `Abstract type "${abstract.name}" must resolve to an Object type at runtime for field "${where}" with value ${inspect(value)}, received "${inspect(typeName)}".`,
    );
  }
  const type = schema.getType(typeName);
  if (!type)
    throw new GraphQLError(
      `Abstract type "${abstract.name}" was resolved to a type "${typeName}" that does not exist inside the schema.`,
      { nodes },
    );
  if (!isObjectType(type))
    throw new GraphQLError(`Abstract type "${abstract.name}" was resolved to a non-object type "${typeName}".`, {
      nodes,
    });
  if (!schema.isSubType(abstract, type))
    throw new GraphQLError(`Runtime Object type "${type.name}" is not a possible type for "${abstract.name}".`, {
      nodes,
    });
  return type;
}
