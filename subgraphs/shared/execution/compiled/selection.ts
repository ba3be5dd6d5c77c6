import {
  type FieldNode,
  GraphQLBoolean,
  type GraphQLField,
  GraphQLID,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLSchema,
  GraphQLString,
  getNullableType,
  isLeafType,
  isNonNullType,
  locatedError,
  SchemaMetaFieldDef,
  TypeMetaFieldDef,
  TypeNameMetaFieldDef,
} from 'graphql';
import { collectFields, collectSubfields } from 'graphql/execution/collectFields.js';
import { compileArguments, type ReadArguments } from './arguments.ts';
import { type Complete, compileCompletion } from './completion.ts';
import {
  buildInfo,
  type DocumentPlan,
  type FieldPosition,
  isPromise,
  type Path,
  pathToArray,
  ResponseObject,
  type Run,
} from './run.ts';

/** A field of a selection set with all that does not depend on the request. */
export interface FieldPlan extends FieldPosition {
  readonly responseName: string;
  /** Constant answer of `__typename`. */
  readonly typename: string | null;
  readonly readArguments: ReadArguments;
  readonly hasArguments: boolean;
  readonly nonNull: boolean;
  /** A scalar or enum that is a property of its object: most fields are. */
  readonly plainLeaf: boolean;
  /** Values of this JavaScript type are the answer as they are. */
  readonly verbatim: 'string' | 'boolean' | null;
  readonly complete: Complete;
}

export interface SelectionPlan {
  readonly type: GraphQLObjectType;
  readonly fields: readonly FieldPlan[];
}

/** Selections of a root type. Throws what graphql-js throws where a condition's variable is null. */
export function compileRootSelection(
  document: DocumentPlan,
  type: GraphQLObjectType,
  variableValues: Record<string, unknown>,
): SelectionPlan {
  const { schema, fragments, operation } = document;
  return compileSelection(
    document,
    type,
    collectFields(schema, fragments, variableValues, type, operation.selectionSet),
  );
}

/** Selections below a field for one runtime type, made when the first value of that type comes by. */
export function compileSubselection(run: Run, type: GraphQLObjectType, nodes: readonly FieldNode[]): SelectionPlan {
  const { schema, fragments } = run.document;
  return compileSelection(run.document, type, collectSubfields(schema, fragments, run.variableValues, type, nodes));
}

function compileSelection(
  document: DocumentPlan,
  type: GraphQLObjectType,
  collected: ReadonlyMap<string, readonly FieldNode[]>,
): SelectionPlan {
  const fields: FieldPlan[] = [];
  for (const [responseName, nodes] of collected) {
    const definition = findField(document.schema, type, nodes[0]!.name.value);
    if (!definition) continue;
    const position: FieldPosition = { definition, nodes, parentType: type };
    fields.push({
      ...position,
      responseName,
      typename: definition === TypeNameMetaFieldDef ? type.name : null,
      readArguments: compileArguments(definition, nodes[0]!),
      hasArguments: definition.args.length > 0,
      nonNull: isNonNullType(definition.type),
      plainLeaf:
        definition.resolve === undefined &&
        definition.args.length === 0 &&
        isLeafType(getNullableType(definition.type)),
      verbatim: verbatimOf(definition.type),
      complete: compileCompletion(definition.type, position),
    });
  }
  return { type, fields };
}

function verbatimOf(type: GraphQLOutputType): FieldPlan['verbatim'] {
  const inner = getNullableType(type);
  if (inner === GraphQLString || inner === GraphQLID) return 'string';
  return inner === GraphQLBoolean ? 'boolean' : null;
}

function findField(
  schema: GraphQLSchema,
  type: GraphQLObjectType,
  name: string,
): GraphQLField<unknown, unknown> | undefined {
  if (name === TypeNameMetaFieldDef.name) return TypeNameMetaFieldDef;
  if (schema.getQueryType() === type) {
    if (name === SchemaMetaFieldDef.name) return SchemaMetaFieldDef;
    if (name === TypeMetaFieldDef.name) return TypeMetaFieldDef;
  }
  return type.getFields()[name];
}

/** Executes the fields of one object side by side; the order of promises is that of graphql-js, and with it the order of errors. */
export function executeSelection(
  run: Run,
  plan: SelectionPlan,
  source: unknown,
  path: Path | undefined,
): Record<string, unknown> | Promise<Record<string, unknown>> {
  const results = new ResponseObject();
  let pendingNames: string[] | undefined;
  let pending: Promise<unknown>[] | undefined;
  try {
    for (const field of plan.fields) {
      const value = field.typename ?? executeField(run, field, source, path);
      if (value === undefined) continue;
      results[field.responseName] = value;
      if (isPromise(value)) {
        if (pending === undefined || pendingNames === undefined) {
          pending = [];
          pendingNames = [];
        }
        pending.push(value);
        pendingNames.push(field.responseName);
      }
    }
  } catch (error) {
    if (pending === undefined) throw error;
    // The siblings already under way may fail as well: their rejections must not go unhandled.
    return Promise.all(pending)
      .then(() => results)
      .finally(() => {
        throw error;
      });
  }
  if (pending === undefined || pendingNames === undefined) return results;
  const names = pendingNames;
  return Promise.all(pending).then((values) => {
    for (let index = 0; index < names.length; index += 1) results[names[index]!] = values[index];
    return results;
  });
}

/** Executes the root fields of a mutation one after the other. */
export function executeSerially(
  run: Run,
  plan: SelectionPlan,
  source: unknown,
): Record<string, unknown> | Promise<Record<string, unknown>> {
  let results: Record<string, unknown> | Promise<Record<string, unknown>> = new ResponseObject();
  const step = (known: Record<string, unknown>, field: FieldPlan) => {
    const value = field.typename ?? executeField(run, field, source, undefined);
    if (value === undefined) return known;
    if (isPromise(value)) {
      return value.then((resolved) => {
        known[field.responseName] = resolved;
        return known;
      });
    }
    known[field.responseName] = value;
    return known;
  };
  for (const field of plan.fields)
    results = results instanceof Promise ? results.then((known) => step(known, field)) : step(results, field);
  return results;
}

function executeField(run: Run, field: FieldPlan, source: unknown, parentPath: Path | undefined): unknown {
  if (field.plainLeaf && typeof source === 'object' && source !== null) {
    // Nothing asks for the path of a leaf unless it fails.
    try {
      const value = (source as Record<string, unknown>)[field.definition.name];
      if (typeof value === field.verbatim) return value;
      if (value === null || (typeof value !== 'object' && typeof value !== 'function'))
        return field.complete(run, value, noPath);
    } catch (error) {
      return failField(run, field, pathOf(field, parentPath), error);
    }
  }
  const path = pathOf(field, parentPath);
  try {
    const result = resolveField(run, field, source, path);
    const completed = isPromise(result)
      ? result.then((value) => field.complete(run, value, path))
      : field.complete(run, result, path);
    return isPromise(completed)
      ? completed.then(undefined, (error: unknown) => failField(run, field, path, error))
      : completed;
  } catch (error) {
    return failField(run, field, path, error);
  }
}

const noPath: Path = { prev: undefined, key: '', typename: undefined };

function pathOf(field: FieldPlan, parentPath: Path | undefined): Path {
  return { prev: parentPath, key: field.responseName, typename: field.parentType.name };
}

function resolveField(run: Run, field: FieldPlan, source: unknown, path: Path): unknown {
  const { resolve, name } = field.definition;
  if (resolve)
    return resolve(source, field.readArguments(run.variableValues), run.contextValue, buildInfo(run, field, path));
  const values = field.hasArguments ? field.readArguments(run.variableValues) : undefined;
  if ((typeof source !== 'object' || source === null) && typeof source !== 'function') return undefined;
  const owner = source as Record<string, unknown>;
  const property = owner[name];
  if (typeof property !== 'function') return property;
  return (owner[name] as (values: unknown, context: unknown, info: unknown) => unknown)(
    values ?? {},
    run.contextValue,
    buildInfo(run, field, path),
  );
}

/** A failed field is null where it may be; where it may not, its parent fails. */
function failField(run: Run, field: FieldPlan, path: Path, raw: unknown): null {
  const error = locatedError(raw, field.nodes, pathToArray(path));
  if (field.nonNull) throw error;
  run.errors.add(error, path);
  return null;
}
