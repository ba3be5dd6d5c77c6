import { type FieldNode, type GraphQLField, getArgumentValues, isNonNullType, Kind, type ValueNode } from 'graphql';

export type ReadArguments = (variableValues: Record<string, unknown>) => Record<string, unknown>;

interface VariableArgument {
  readonly name: string;
  readonly variable: string;
  readonly nonNull: boolean;
}

/**
 * Coercion of a field's arguments, as far as it does not depend on the request done once. What is not a plain variable
 * or constant goes through graphql-js at each call, and so does each failure, so that its message is the stock one.
 */
export function compileArguments(definition: GraphQLField<unknown, unknown>, node: FieldNode): ReadArguments {
  if (definition.args.length === 0) return () => ({});
  const stock: ReadArguments = (variableValues) => getArgumentValues(definition, node, variableValues);
  const given = new Map(node.arguments?.map((argument) => [argument.name.value, argument.value]));
  const variables: VariableArgument[] = [];
  for (const { name, type } of definition.args) {
    const value = given.get(name);
    if (value === undefined) continue;
    if (value.kind === Kind.VARIABLE) variables.push({ name, variable: value.name.value, nonNull: isNonNullType(type) });
    else if (mentionsVariable(value)) return stock;
  }
  const constant = coerceConstants(definition, node, variables);
  // A resolver may change what it is given: nested values are made anew for each call.
  if (constant === null || Object.values(constant).some((value) => typeof value === 'object' && value !== null)) return stock;
  if (variables.length === 0) return () => ({ ...constant });
  return (variableValues) => {
    const values: Record<string, unknown> = { ...constant };
    for (const { name, variable, nonNull } of variables) {
      const value = Object.hasOwn(variableValues, variable) ? variableValues[variable] : undefined;
      if (value === undefined || (value === null && nonNull)) return stock(variableValues);
      values[name] = value;
    }
    return values;
  };
}

/** The arguments that are the same for each request, or null where coercing them fails. */
function coerceConstants(definition: GraphQLField<unknown, unknown>, node: FieldNode, variables: readonly VariableArgument[]): Record<string, unknown> | null {
  const fromVariables = new Set(variables.map(({ name }) => name));
  const constantOnly = { ...definition, args: definition.args.filter(({ name }) => !fromVariables.has(name)) };
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
