import type { ConstDirectiveNode, DocumentNode, FieldDefinitionNode, TypeNode } from 'graphql';
import { type AuthRule, type AuthScope, readAuthRule } from '#shared/auth.ts';

export interface FieldPolicy {
  /** Who sees the same in it. */
  readonly scope: AuthScope;
  /** Null: as long as what it stands in. */
  readonly maxAgeSeconds: number | null;
  /** Permissions without which nobody may be given a kept answer. */
  readonly requires: readonly string[];
}

/** What the subgraphs' SDL says about keeping answers; the supergraph drops it. */
export interface FieldPolicies {
  /** Policy of a field in one subgraph, or with null the strictest of all that have it. Null: no such field. */
  fieldPolicy(subgraph: string | null, typeName: string, fieldName: string): FieldPolicy | null;
  /** Policy of an entity fetched by its key. */
  entityPolicy(subgraph: string, typeName: string): FieldPolicy;
  /** Type a field leads to; undefined when there is no such field. */
  typeOf(subgraph: string | null, typeName: string, fieldName: string): string | undefined;
  isComposite(typeName: string): boolean;
  /** Whether a field is a list of what it leads to. */
  isList(subgraph: string, typeName: string, fieldName: string): boolean;
  /** Fields of an entity that are read from its row alone (`@keptByRow`); undefined where the type does not say. */
  rowFields(subgraph: string, typeName: string): ReadonlySet<string> | undefined;
}

interface CacheHint {
  readonly maxAge: number | undefined;
  readonly inherit: boolean;
  readonly isPrivate: boolean;
}

interface FieldNode {
  readonly typeName: string;
  readonly isList: boolean;
  readonly auth: AuthRule | undefined;
  readonly hint: CacheHint;
}

interface TypeEntry {
  readonly name: string;
  auth: AuthRule | undefined;
  hint: CacheHint;
  rowFields: ReadonlySet<string> | undefined;
  readonly fields: Map<string, FieldNode>;
  /** Object types that implement it or are members of it. */
  readonly possible: Set<string>;
}

type Types = Map<string, TypeEntry>;

const noHint: CacheHint = { maxAge: undefined, inherit: false, isPrivate: false };
const rootTypes = new Set(['Query', 'Mutation', 'Subscription']);
const order: Readonly<Record<AuthScope, number>> = { TENANT: 0, ROLE: 1, SUBJECT: 2 };

/** Nothing is known against it. */
export const freePolicy: FieldPolicy = { scope: 'TENANT', maxAgeSeconds: null, requires: [] };

export function strictest(policies: Iterable<FieldPolicy>): FieldPolicy {
  let scope: AuthScope = 'TENANT';
  let maxAgeSeconds: number | null = null;
  const requires = new Set<string>();
  for (const policy of policies) {
    if (order[policy.scope] > order[scope]) scope = policy.scope;
    if (policy.maxAgeSeconds !== null)
      maxAgeSeconds = Math.min(policy.maxAgeSeconds, maxAgeSeconds ?? policy.maxAgeSeconds);
    for (const permission of policy.requires) requires.add(permission);
  }
  return { scope, maxAgeSeconds, requires: [...requires] };
}

/**
 * Reads `@auth` and `@cacheControl` of all subgraphs. Ages follow Apollo's cache-control rules: a root field, and any
 * field that leads to an object, is not kept unless it or that type says how long or inherits. Beyond them, what a
 * type says in the subgraph that owns it also holds where another subgraph only refers to it.
 */
export function createFieldPolicies(subgraphs: readonly { name: string; typeDefs: DocumentNode }[]): FieldPolicies {
  const bySubgraph = new Map(subgraphs.map(({ name, typeDefs }) => [name, readTypes(typeDefs)]));

  /** The type's own hint, else the strictest another subgraph gives it. */
  function typeHint(types: Types, typeName: string): CacheHint {
    const own = types.get(typeName)?.hint ?? noHint;
    if (own.maxAge !== undefined || own.inherit) return own;
    let found = own;
    for (const other of bySubgraph.values()) {
      const hint = other.get(typeName)?.hint ?? noHint;
      if (hint.maxAge !== undefined && (found.maxAge === undefined || hint.maxAge < found.maxAge)) found = hint;
    }
    return found;
  }

  function objectFieldPolicy(types: Types, type: TypeEntry, fieldName: string): FieldPolicy | null {
    const field = type.fields.get(fieldName);
    if (!field) return null;
    const target = types.get(field.typeName);
    const fromType = target ? typeHint(types, field.typeName) : noHint;
    const inherits =
      field.hint.maxAge === undefined && (fromType.inherit || (field.hint.inherit && fromType.maxAge === undefined));
    const stated = field.hint.maxAge ?? fromType.maxAge;
    const needsAge = rootTypes.has(type.name) || (target !== undefined && !inherits);
    // An edge without a rule of its own takes that of the entity it leads to.
    const rules = [field.auth ?? type.auth, field.auth ? undefined : target?.auth];
    return strictest([
      { scope: 'TENANT', maxAgeSeconds: stated ?? (needsAge ? 0 : null), requires: [] },
      ...rules.map(toPolicy),
      field.hint.isPrivate || fromType.isPrivate ? { ...freePolicy, scope: 'SUBJECT' } : freePolicy,
    ]);
  }

  function policyIn(types: Types, typeName: string, fieldName: string): FieldPolicy | null {
    const type = types.get(typeName);
    if (!type) return null;
    const names = [typeName, ...type.possible];
    const found = names.flatMap((name) => objectFieldPolicy(types, types.get(name) ?? type, fieldName) ?? []);
    return found.length > 0 ? strictest(found) : null;
  }

  const typesOf = (subgraph: string | null): Types[] =>
    subgraph === null ? [...bySubgraph.values()] : [bySubgraph.get(subgraph) ?? new Map()];

  return {
    fieldPolicy(subgraph, typeName, fieldName) {
      if (fieldName === '__typename') return freePolicy;
      const found = typesOf(subgraph).flatMap((types) => policyIn(types, typeName, fieldName) ?? []);
      return found.length > 0 ? strictest(found) : null;
    },
    entityPolicy(subgraph, typeName) {
      const types = bySubgraph.get(subgraph) ?? new Map<string, TypeEntry>();
      const names = [typeName, ...(types.get(typeName)?.possible ?? [])];
      return strictest(
        names.map((name) => {
          const hint = typeHint(types, name);
          const own = toPolicy(types.get(name)?.auth);
          return { ...own, maxAgeSeconds: hint.maxAge ?? 0, scope: hint.isPrivate ? 'SUBJECT' : own.scope };
        }),
      );
    },
    typeOf(subgraph, typeName, fieldName) {
      for (const types of typesOf(subgraph)) {
        const found = types.get(typeName)?.fields.get(fieldName);
        if (found) return found.typeName;
      }
      return undefined;
    },
    isComposite: (typeName) => typesOf(null).some((types) => types.has(typeName)),
    isList: (subgraph, typeName, fieldName) =>
      bySubgraph.get(subgraph)?.get(typeName)?.fields.get(fieldName)?.isList === true,
    rowFields: (subgraph, typeName) => bySubgraph.get(subgraph)?.get(typeName)?.rowFields,
  };
}

function toPolicy(rule: AuthRule | undefined): FieldPolicy {
  return rule ? { scope: rule.scope, maxAgeSeconds: null, requires: rule.requires } : freePolicy;
}

function readTypes(typeDefs: DocumentNode): Types {
  const types: Types = new Map();
  const entry = (name: string): TypeEntry => {
    const known = types.get(name);
    if (known) return known;
    const made: TypeEntry = {
      name,
      auth: undefined,
      hint: noHint,
      rowFields: undefined,
      fields: new Map(),
      possible: new Set(),
    };
    types.set(name, made);
    return made;
  };
  for (const definition of typeDefs.definitions) {
    switch (definition.kind) {
      case 'ObjectTypeDefinition':
      case 'ObjectTypeExtension':
      case 'InterfaceTypeDefinition':
      case 'InterfaceTypeExtension': {
        const type = entry(definition.name.value);
        const isObject = definition.kind === 'ObjectTypeDefinition' || definition.kind === 'ObjectTypeExtension';
        if (isObject)
          for (const parent of definition.interfaces ?? []) entry(parent.name.value).possible.add(type.name);
        type.auth ??= readAuthRule(definition.directives);
        type.hint = stricterHint(type.hint, readHint(definition.directives));
        type.rowFields ??= readRowFields(definition.directives);
        for (const field of definition.fields ?? []) type.fields.set(field.name.value, readField(field));
        break;
      }
      case 'UnionTypeDefinition':
      case 'UnionTypeExtension': {
        const type = entry(definition.name.value);
        type.hint = stricterHint(type.hint, readHint(definition.directives));
        for (const member of definition.types ?? []) type.possible.add(member.name.value);
        break;
      }
      default:
    }
  }
  return types;
}

function readField(field: FieldDefinitionNode): FieldNode {
  return {
    typeName: namedType(field.type),
    isList: (field.type.kind === 'NonNullType' ? field.type.type : field.type).kind === 'ListType',
    auth: readAuthRule(field.directives),
    hint: readHint(field.directives),
  };
}

function readRowFields(directives: readonly ConstDirectiveNode[] | undefined): ReadonlySet<string> | undefined {
  const directive = directives?.find((node) => node.name.value === 'keptByRow');
  const fields = directive?.arguments?.find((node) => node.name.value === 'fields')?.value;
  return fields?.kind === 'StringValue' ? new Set(fields.value.split(/\s+/).filter(Boolean)) : undefined;
}

function readHint(directives: readonly ConstDirectiveNode[] | undefined): CacheHint {
  const directive = directives?.find((node) => node.name.value === 'cacheControl');
  if (!directive) return noHint;
  const argument = (name: string) => directive.arguments?.find((node) => node.name.value === name)?.value;
  const maxAge = argument('maxAge');
  const inherit = argument('inheritMaxAge');
  const scope = argument('scope');
  return {
    maxAge: maxAge?.kind === 'IntValue' ? Number(maxAge.value) : undefined,
    inherit: inherit?.kind === 'BooleanValue' && inherit.value,
    isPrivate: scope?.kind === 'EnumValue' && scope.value === 'PRIVATE',
  };
}

/** A definition and its extensions each may carry a hint. */
function stricterHint(one: CacheHint, other: CacheHint): CacheHint {
  const ages = [one.maxAge, other.maxAge].filter((age) => age !== undefined);
  return {
    maxAge: ages.length > 0 ? Math.min(...ages) : undefined,
    inherit: one.inherit || other.inherit,
    isPrivate: one.isPrivate || other.isPrivate,
  };
}

function namedType(type: TypeNode): string {
  return type.kind === 'NamedType' ? type.name.value : namedType(type.type);
}
