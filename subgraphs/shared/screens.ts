import type { DocumentNode, FieldDefinitionNode, TypeNode } from 'graphql';
import type { AuthRule, AuthRules } from './auth.ts';
import type { Guarded, Locators } from './door.ts';

const rootTypes: ReadonlySet<string> = new Set(['Query', 'Mutation', 'Subscription']);

/** The fields that lead to objects which a rule of their type guards by their context. */
export interface Screens {
  of(typeName: string, fieldName: string): Guarded | undefined;
  /** Of a connection's edges, whose list was screened when it was read. */
  isScreenedEdge(typeName: string): boolean;
  all(): Iterable<readonly [typeName: string, fieldName: string, guarded: Guarded]>;
}

/** Undefined for a type whose rule names no context. */
export function guardedBy(typeName: string, { context, ...rule }: AuthRule): Guarded | undefined {
  return context === undefined ? undefined : { typeName, rule: { ...rule, context } };
}

/**
 * Screened are fields of queries and objects, not those of mutations and subscriptions nor of their payloads: whoever
 * has changed something may see what became of it. Edges of a connection are screened as a list, not each again.
 */
export function createScreens(typeDefs: DocumentNode, rules: AuthRules): Screens {
  const edges = new Map<string, string>();
  const payloads = new Set<string>();
  for (const [typeName, fieldName, field] of objectFields(typeDefs)) {
    if (fieldName === 'node') edges.set(typeName, namedType(field.type));
    if (fieldName === 'userErrors' || typeName === 'Mutation' || typeName === 'Subscription') payloads.add(typeName);
    if (typeName === 'Subscription') payloads.add(namedType(field.type));
  }
  const found = new Map<string, readonly [string, string, Guarded]>();
  for (const [typeName, fieldName, field] of objectFields(typeDefs)) {
    if (payloads.has(typeName) || edges.has(typeName)) continue;
    const target = namedType(field.type);
    const entity = edges.get(target) ?? target;
    const rule = rules.entities.get(entity);
    const guarded = rule && guardedBy(entity, rule);
    if (guarded) found.set(`${typeName}.${fieldName}`, [typeName, fieldName, guarded]);
  }
  return {
    of: (typeName, fieldName) => found.get(`${typeName}.${fieldName}`)?.[2],
    isScreenedEdge: (typeName) =>
      edges.has(typeName) && rules.entities.get(edges.get(typeName)!)?.context !== undefined,
    all: () => found.values(),
  };
}

/** @throws {Error} naming sources that lead nowhere: a kind nobody locates, an argument or field that is not there. */
export function requireSources(typeDefs: DocumentNode, { fields, entities }: AuthRules, locators: Locators): void {
  const wrong: string[] = [];
  const definitions = new Map([...objectFields(typeDefs)].map(([type, name, field]) => [`${type}.${name}`, field]));
  for (const [place, { context }] of fields) {
    if (context === undefined) continue;
    const [typeName = ''] = place.split('.');
    const [first = ''] = context.path;
    const isThere = rootTypes.has(typeName)
      ? definitions.get(place)?.arguments?.some((argument) => argument.name.value === first)
      : definitions.has(`${typeName}.${first}`);
    if (isThere !== true || (context.kind !== 'Context' && !locators[context.kind])) wrong.push(place);
  }
  for (const [typeName, { context }] of entities)
    if (context !== undefined && context.kind !== 'Context' && !locators[context.kind]) wrong.push(typeName);
  if (wrong.length > 0) throw new Error(`@auth(context:) leads nowhere: ${wrong.join(', ')}`);
}

/** Fields of object types and of extensions of them. */
export function* objectFields(typeDefs: DocumentNode): Generator<[string, string, FieldDefinitionNode]> {
  for (const definition of typeDefs.definitions) {
    if (definition.kind !== 'ObjectTypeDefinition' && definition.kind !== 'ObjectTypeExtension') continue;
    for (const field of definition.fields ?? []) yield [definition.name.value, field.name.value, field];
  }
}

export function namedType(type: TypeNode): string {
  return type.kind === 'NamedType' ? type.name.value : namedType(type.type);
}
