import type { QueryPlanSelectionNode } from '@apollo/query-planner';
import { type GraphQLSchema, isAbstractType, isInterfaceType, isObjectType } from 'graphql';
import { isInherited, type JsonObject, mergeInto, readOwn } from './merge.ts';

/** What of an object a subgraph has to be told to find it; null where the object does not have all of it. */
export type BuildRepresentation = (source: JsonObject) => JsonObject | null;

/** Equal for equal representations alone; null where that is not told without making them. */
export type RepresentationKey = (source: JsonObject) => string | null;

/**
 * Compiles what tells the representations of a fetch apart, where it asks for scalars of one type: an answer holds an
 * entity many times, and is represented once.
 */
export function compileRepresentationKey(
  schema: GraphQLSchema,
  selections: readonly QueryPlanSelectionNode[],
): RepresentationKey {
  const [only] = selections;
  const fields =
    selections.length === 1 && only!.kind === 'InlineFragment' && only!.typeCondition !== undefined
      ? only!.selections
      : [];
  const names = fields.flatMap((field) =>
    field.kind === 'Field' && field.selections === undefined && !isInherited(field.alias ?? field.name)
      ? [field.alias ?? field.name]
      : [],
  );
  if (names.length === 0 || names.length < fields.length) return () => null;
  const applies = createTypeTest(schema, (only as { typeCondition: string }).typeCondition);
  return (source) => {
    if (!applies(source['__typename'])) return null;
    let key = '';
    for (const name of names) {
      const value = source[name];
      if (typeof value === 'string') key += `${value.length}:${value}`;
      else if (typeof value === 'number') key += `n${value};`;
      else return null;
    }
    return key;
  };
}

/** Compiles the `requires` of a fetch. */
export function compileRepresentation(
  schema: GraphQLSchema,
  selections: readonly QueryPlanSelectionNode[],
): BuildRepresentation {
  const steps = selections.flatMap((selection): ((source: JsonObject, result: JsonObject) => boolean)[] => {
    if (selection.kind === 'Field') {
      const name = selection.alias ?? selection.name;
      const read = readOwn(name);
      const build = selection.selections && compileRepresentation(schema, selection.selections);
      return [
        (source, result) => {
          const value = read(source);
          if (value === undefined) return false;
          result[name] = build ? representValue(value, build) : value;
          return true;
        },
      ];
    }
    const { typeCondition } = selection;
    if (typeCondition === undefined) return [];
    const applies = createTypeTest(schema, typeCondition);
    const build = compileRepresentation(schema, selection.selections);
    return [
      (source, result) => {
        if (!applies(source['__typename'])) return true;
        const part = build(source);
        if (part !== null) mergeInto(result, part);
        return true;
      },
    ];
  });
  const [only] = selections;
  // Nearly every fetch asks for the key of one type: what that makes is the whole.
  if (selections.length === 1 && only!.kind === 'InlineFragment' && only!.typeCondition !== undefined) {
    const applies = createTypeTest(schema, only!.typeCondition);
    const build = compileRepresentation(schema, only!.selections);
    return (source) => (applies(source['__typename']) ? build(source) : null) ?? {};
  }
  return (source) => {
    const result: JsonObject = {};
    for (const step of steps) if (!step(source, result)) return null;
    return result;
  };
}

function representValue(value: unknown, build: BuildRepresentation): unknown {
  if (value === null) return null;
  return Array.isArray(value)
    ? value.map((each) => (each === null ? null : build(each as JsonObject)))
    : build(value as JsonObject);
}

/** Whether an object of a type is one of the condition's, as ApolloGateway decides it; the answers are kept. */
function createTypeTest(schema: GraphQLSchema, typeCondition: string): (typeName: unknown) => boolean {
  const conditional = schema.getType(typeCondition);
  const known = new Map<unknown, boolean>();
  const decide = (typeName: unknown): boolean => {
    if (typeof typeName !== 'string' || typeName === '') return false;
    if (typeName === typeCondition) return true;
    const type = schema.getType(typeName);
    if (!isAbstractType(conditional) || !(isObjectType(type) || isInterfaceType(type))) return false;
    return schema.isSubType(conditional, type);
  };
  return (typeName) => {
    let answer = known.get(typeName);
    if (answer === undefined) {
      answer = decide(typeName);
      if (known.size < 1_000) known.set(typeName, answer);
    }
    return answer;
  };
}
