import {
  type GraphQLError,
  type GraphQLInputType,
  type GraphQLSchema,
  getVariableValues,
  isInputObjectType,
  isInputType,
  isListType,
  isNonNullType,
  typeFromAST,
  type VariableDefinitionNode,
  valueFromAST,
} from 'graphql';

export interface VariableOptions {
  /** Errors listed before coercion is given up. @default no limit */
  readonly maxErrors?: number;
}

export type CoercedVariables =
  | { readonly errors: readonly GraphQLError[]; readonly coerced?: never }
  | { readonly coerced: Record<string, unknown>; readonly errors?: never };

/** Coerces the variables of one operation. */
export type CoerceVariables = (inputs: Readonly<Record<string, unknown>>) => CoercedVariables;

type Coerce = (value: unknown) => unknown;

/** Not plainly right: graphql-js says what of it is wrong. Thrown without a stack, since what throws it is one place. */
const doubt = Symbol('not plainly right');

/**
 * What `getVariableValues` of graphql-js 16 answers, worked out once per operation: it would look up the type of each
 * variable and what kind each type is at every request. A value that is not plainly right is given to graphql-js itself,
 * so that errors are its own.
 */
export function compileVariables(
  schema: GraphQLSchema,
  definitions: readonly VariableDefinitionNode[],
  options: VariableOptions = {},
): CoerceVariables {
  const coercers = definitions.map((definition) => compileVariable(schema, definition));
  return (inputs) => {
    const coerced: Record<string, unknown> = {};
    try {
      for (const coerce of coercers) coerce(inputs, coerced);
    } catch {
      return getVariableValues(schema, definitions, inputs, options);
    }
    return { coerced };
  };
}

function compileVariable(schema: GraphQLSchema, definition: VariableDefinitionNode) {
  const name = definition.variable.name.value;
  const type = typeFromAST(schema, definition.type);
  const { defaultValue } = definition;
  if (!isInputType(type)) {
    return () => {
      throw doubt;
    };
  }
  const coerce = coercerOf(type);
  return (inputs: Readonly<Record<string, unknown>>, coerced: Record<string, unknown>): void => {
    if (Object.hasOwn(inputs, name)) coerced[name] = coerce(inputs[name]);
    else if (defaultValue) coerced[name] = valueFromAST(defaultValue, type);
    else if (isNonNullType(type)) throw doubt;
  };
}

/** Types are those of a schema, so what is compiled of them lives as long. */
const known = new WeakMap<GraphQLInputType, Coerce>();

function coercerOf(type: GraphQLInputType): Coerce {
  const found = known.get(type);
  if (found) return found;
  const made = compileCoercer(type);
  known.set(type, made);
  return made;
}

function compileCoercer(type: GraphQLInputType): Coerce {
  if (isNonNullType(type)) {
    const coerce = coercerOf(type.ofType as GraphQLInputType);
    return (value) => {
      if (value === null || value === undefined) throw doubt;
      return coerce(value);
    };
  }
  if (isListType(type)) {
    const coerce = coercerOf(type.ofType);
    return (value) => {
      if (value === null || value === undefined) return null;
      if (Array.isArray(value)) return value.map(coerceItem);
      // Of what can be iterated only arrays come from JSON.
      if (typeof value === 'object') throw doubt;
      return [coerce(value)];
    };
    // `map` passes the index along.
    function coerceItem(item: unknown): unknown {
      return coerce(item);
    }
  }
  if (isInputObjectType(type)) {
    let fields: readonly Field[] | undefined;
    const { isOneOf } = type;
    return (value) => {
      if (value === null || value === undefined) return null;
      if (typeof value !== 'object' || Array.isArray(value) || isOneOf) throw doubt;
      // At the first value: types may name each other in a circle.
      fields ??= fieldsOf(type);
      return coerceFields(fields, value as Readonly<Record<string, unknown>>);
    };
  }
  return (value) => {
    if (value === null || value === undefined) return null;
    const parsed: unknown = type.parseValue(value);
    if (parsed === undefined) throw doubt;
    return parsed;
  };
}

interface Field {
  readonly name: string;
  readonly coerce: Coerce;
  readonly defaultValue: unknown;
  readonly isRequired: boolean;
}

function fieldsOf(type: GraphQLInputType): readonly Field[] {
  if (!isInputObjectType(type)) return [];
  return Object.values(type.getFields()).map(({ name, type: fieldType, defaultValue }) => ({
    name,
    coerce: coercerOf(fieldType),
    defaultValue,
    isRequired: defaultValue === undefined && isNonNullType(fieldType),
  }));
}

/** @throws when a required field is missing or one is given that the type does not have. */
function coerceFields(fields: readonly Field[], value: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const coerced: Record<string, unknown> = {};
  let given = 0;
  for (const { name, coerce, defaultValue, isRequired } of fields) {
    const field = value[name];
    if (field !== undefined) {
      given += 1;
      coerced[name] = coerce(field);
    } else if (defaultValue !== undefined) coerced[name] = defaultValue;
    else if (isRequired) throw doubt;
  }
  if (Object.keys(value).length !== given) throw doubt;
  return coerced;
}
