import { type FieldNode, type GraphQLField, getArgumentValues, isNonNullType, Kind, type ValueNode } from 'graphql';

export type ReadArguments = (variableValues: Record<string, unknown>) => Record<string, unknown>;

interface ArgumentPlan {
  readonly name: string;
  readonly constant: unknown;
  /** Name of the variable it is read from, null for a constant. */
  readonly variable: string | null;
  readonly nonNull: boolean;
  readonly hasDefault: boolean;
}

/**
 * Coercion of a field's arguments, as far as it does not depend on the request done once. What is not a plain variable
 * or constant goes through graphql-js at each call, and so does each failure, so that its message is the stock one.
 */
export function compileArguments(definition: GraphQLField<unknown, unknown>, node: FieldNode): ReadArguments {
  if (definition.args.length === 0) return () => ({});
  const stock: ReadArguments = (variableValues) => getArgumentValues(definition, node, variableValues);
  const given = new Map(node.arguments?.map((argument) => [argument.name.value, argument.value]));
  if ([...given.values()].some((value) => value.kind !== Kind.VARIABLE && mentionsVariable(value))) return stock;
  const constants = coerceConstants(definition, node, given);
  // A resolver may change what it is given: nested values are made anew for each call.
  if (constants === null || Object.values(constants).some((value) => typeof value === 'object' && value !== null))
    return stock;
  const plans: ArgumentPlan[] = [];
  for (const { name, type, defaultValue } of definition.args) {
    const value = given.get(name);
    const variable = value?.kind === Kind.VARIABLE ? value.name.value : null;
    if (variable === null && !Object.hasOwn(constants, name)) continue;
    plans.push({
      name,
      constant: constants[name],
      variable,
      nonNull: isNonNullType(type),
      hasDefault: defaultValue !== undefined,
    });
  }
  return (variableValues) => {
    const values: Record<string, unknown> = {};
    for (const { name, constant, variable, nonNull, hasDefault } of plans) {
      if (variable === null) {
        values[name] = constant;
        continue;
      }
      const value = Object.hasOwn(variableValues, variable) ? variableValues[variable] : undefined;
      if (value === undefined) {
        if (nonNull || hasDefault || Object.hasOwn(variableValues, variable)) return stock(variableValues);
        continue;
      }
      if (value === null && nonNull) return stock(variableValues);
      values[name] = value;
    }
    return values;
  };
}

/** The arguments that are the same for each request, or null where coercing them fails. */
function coerceConstants(
  definition: GraphQLField<unknown, unknown>,
  node: FieldNode,
  given: ReadonlyMap<string, ValueNode>,
): Record<string, unknown> | null {
  const constantOnly = {
    ...definition,
    args: definition.args.filter(({ name }) => given.get(name)?.kind !== Kind.VARIABLE),
  };
  try {
    return getArgumentValues(constantOnly, node, {});
  } catch {
    return null;
  }
}

function mentionsVariable(value: ValueNode): boolean {
  if (value.kind === Kind.VARIABLE) return true;
  if (value.kind === Kind.LIST) return value.values.some(mentionsVariable);
  return value.kind === Kind.OBJECT && value.fields.some((field) => mentionsVariable(field.value));
}
