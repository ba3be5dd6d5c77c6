import type { GraphQLResolverMap } from '@apollo/subgraph/dist/resolvers.js';
import type { DocumentNode } from 'graphql';
import { type AuthRule, type AuthRules, collectAuthRules, readAuthRule, requireStepUp } from './auth.ts';
import type { ModuleContext } from './context.ts';
import type { Door, Guarded, Locators } from './door.ts';
import { PlatformError, toUserError } from './errors.ts';
import { isId } from './ids.ts';
import { scalars } from './scalars.ts';
import { createScreens, guardedBy, namedType, objectFields, requireSources, type Screens } from './screens.ts';
import { textProblem } from './validation.ts';

export interface GuardOptions {
  readonly door: Door;
  readonly locators: Locators;
  /** Entities whose ids are any text. */
  readonly textIds: ReadonlySet<string>;
}

type AnyResolver = (parent: unknown, args: unknown, context: ModuleContext<unknown, unknown>, info: unknown) => unknown;
type ReferenceResolver = (
  reference: { id?: unknown },
  context: ModuleContext<unknown, unknown>,
  info: unknown,
) => unknown;

/** Puts the `@auth` rule in front of every resolver that has one, and turns expected failures of mutations into payloads. */
export function guardResolvers(
  typeDefs: DocumentNode,
  resolvers: object,
  { door, locators, textIds }: GuardOptions,
): GraphQLResolverMap<unknown> {
  const rules = collectAuthRules(typeDefs);
  requireSources(typeDefs, rules, locators);
  const screens = createScreens(typeDefs, rules);
  const payloads = payloadFields(typeDefs);
  requireRootResolvers(typeDefs, resolvers);
  const guarded: Record<string, unknown> = { ...scalars };
  for (const [typeName, fields] of Object.entries(resolvers)) {
    if (typeof fields !== 'object' || fields === null || !isPlainMap(fields)) {
      guarded[typeName] = fields;
      continue;
    }
    const map: Record<string, unknown> = {};
    for (const [fieldName, resolver] of Object.entries(fields)) {
      if (typeof resolver !== 'function') {
        map[fieldName] = resolver;
        continue;
      }
      if (fieldName === '__resolveReference') {
        map[fieldName] = guardReference(resolver as ReferenceResolver, {
          door,
          typeName,
          rule: rules.entities.get(typeName),
          isValidId: textIds.has(typeName) ? isTextId : isId,
        });
        continue;
      }
      const guards = guardsOf({ rules, typeDefs, screens }, typeName, fieldName);
      const withRule = guardStepUp(guardField(resolver as AnyResolver, guards, door), guards.rule);
      map[fieldName] = typeName === 'Mutation' && payloads.has(fieldName) ? payloadResolver(withRule) : withRule;
    }
    guarded[typeName] = map;
  }
  // A field with a rule of its own but no resolver would be answered by its parent's property, past the rule.
  for (const [place, rule] of ownRules(typeDefs)) {
    const [typeName, fieldName] = place.split('.') as [string, string];
    const map = (guarded[typeName] ?? {}) as Record<string, unknown>;
    guarded[typeName] = map;
    if (map[fieldName] === undefined) {
      map[fieldName] = guardField(propertyOf(fieldName), refine({ typeName, fieldName, rule }, screens), door);
    }
  }
  // The same of one that leads to guarded objects, as those of connections do.
  for (const [typeName, fieldName, screen] of screens.all()) {
    const map = (guarded[typeName] ?? {}) as Record<string, unknown>;
    guarded[typeName] = map;
    map[fieldName] ??= guardField(
      propertyOf(fieldName),
      { rule: undefined, screen, needs: screen.rule.requires },
      door,
    );
  }
  return guarded as GraphQLResolverMap<unknown>;
}

/** @throws {Error} naming root fields that nobody resolves: they would answer null to everyone. */
function requireRootResolvers(typeDefs: DocumentNode, resolvers: object): void {
  const missing: string[] = [];
  for (const [typeName, fieldName] of objectFields(typeDefs)) {
    if (typeName !== 'Query' && typeName !== 'Mutation') continue;
    const map = (resolvers as Record<string, Record<string, unknown> | undefined>)[typeName];
    if (map?.[fieldName] === undefined) missing.push(`${typeName}.${fieldName}`);
  }
  if (missing.length > 0) throw new Error(`without a resolver: ${missing.join(', ')}`);
}

/** Rules that stand on fields outside the root types. */
function* ownRules(typeDefs: DocumentNode): Generator<[string, AuthRule]> {
  for (const [typeName, fieldName, field] of objectFields(typeDefs)) {
    const rule = isRoot(typeName) ? undefined : readAuthRule(field.directives);
    if (rule) yield [`${typeName}.${fieldName}`, rule];
  }
}

function isPlainMap(value: object): boolean {
  return Object.getPrototypeOf(value) === Object.prototype || Object.getPrototypeOf(value) === null;
}

/**
 * A field's own rule; an edge without one takes the permissions of the entity it leads to, and what it leads to is
 * screened.
 */
function guardsOf(
  { rules, typeDefs, screens }: { rules: AuthRules; typeDefs: DocumentNode; screens: Screens },
  typeName: string,
  fieldName: string,
): FieldGuards {
  const own = rules.fields.get(`${typeName}.${fieldName}`);
  const field = { typeName, fieldName, rule: own };
  for (const definition of typeDefs.definitions) {
    if (definition.kind !== 'ObjectTypeDefinition' && definition.kind !== 'ObjectTypeExtension') continue;
    if (definition.name.value !== typeName) continue;
    const node = definition.fields?.find((candidate) => candidate.name.value === fieldName);
    if (!node) continue;
    const entity = rules.entities.get(namedType(node.type));
    if (entity && !node.directives?.some((directive) => directive.name.value === 'auth'))
      return refine({ ...field, rule: plain(entity) }, screens);
    break;
  }
  return refine(field, screens);
}

interface GuardedField {
  readonly typeName: string;
  readonly fieldName: string;
  readonly rule: AuthRule | undefined;
}

/**
 * Where an object lies is known when it is there: a rule that names no context of its own and leads to guarded objects
 * refuses only who holds the permission nowhere, and leaves the rest to the screen.
 */
function refine({ typeName, fieldName, rule }: GuardedField, screens: Screens): FieldGuards {
  const screen = screens.of(typeName, fieldName);
  const isLoose = rule && rule.context === undefined && !isRoot(typeName);
  const screenedOnly = isLoose === true && (screen !== undefined || screens.isScreenedEdge(typeName));
  return { rule: rule && { ...rule, screenedOnly }, screen, needs: needsOf(rule, screen) };
}

function isRoot(typeName: string): boolean {
  return ['Query', 'Mutation', 'Subscription'].includes(typeName);
}

function needsOf(rule: AuthRule | undefined, screen: Guarded | undefined): readonly string[] {
  return [...new Set([...(rule?.requires ?? []), ...(screen?.rule.requires ?? [])])];
}

/** What stands in front of a field and behind it. */
interface FieldGuards {
  readonly rule: EdgeRule | undefined;
  readonly screen: Guarded | undefined;
  /** Permissions that, held everywhere, leave nothing to look at. */
  readonly needs: readonly string[];
}

interface EdgeRule extends AuthRule {
  readonly screenedOnly?: boolean;
}

function guardField(resolver: AnyResolver, { rule, screen, needs }: FieldGuards, door: Door): AnyResolver {
  if (!rule && !screen) return resolver;
  // A rule that no context bears upon: as simple as it can be, for it stands in front of most fields.
  if (!screen && rule?.context === undefined && rule?.screenedOnly !== true)
    return guardEverywhere(resolver, rule, door);
  const inspect: AnyResolver = async (parent, args, context, info) => {
    if (rule?.screenedOnly === true) {
      if ((await door.reach(context.principal, rule.requires)) === false)
        await door.check(plain(rule), null, context.scope);
    } else if (rule) {
      await door.check(rule, parent ?? args, context.scope);
    }
    const value = await resolver(parent, args, context, info);
    return screen ? door.screen(value, screen, context.scope) : value;
  };
  return (parent, args, context, info) =>
    door.reach(context.principal, needs) === true
      ? resolver(parent, args, context, info)
      : inspect(parent, args, context, info);
}

/** What needs a stepped-up authentication asks for that first: also who may not do it learns no more than that. */
function guardStepUp(resolver: AnyResolver, rule: AuthRule | undefined): AnyResolver {
  if (rule?.needsStepUp !== true) return resolver;
  return (parent, args, context, info) => {
    requireStepUp(context.principal);
    return resolver(parent, args, context, info);
  };
}

function guardEverywhere(resolver: AnyResolver, rule: AuthRule | undefined, door: Door): AnyResolver {
  if (!rule || rule.requires.length === 0) return resolver;
  return (parent, args, context, info) => {
    const pending = door.check(rule, null, context.scope);
    return pending ? pending.then(() => resolver(parent, args, context, info)) : resolver(parent, args, context, info);
  };
}

function plain({ requires, scope }: AuthRule): AuthRule {
  return { requires, scope };
}

function propertyOf(fieldName: string): AnyResolver {
  return (parent) => (parent as Readonly<Record<string, unknown>>)[fieldName];
}

interface ReferenceGuard {
  readonly door: Door;
  readonly typeName: string;
  readonly rule: AuthRule | undefined;
  readonly isValidId: (id: unknown) => boolean;
}

function guardReference(resolver: ReferenceResolver, guard: ReferenceGuard): ReferenceResolver {
  const { door, typeName, rule, isValidId } = guard;
  const guarded = rule && guardedBy(typeName, rule);
  return (reference, context, info) => {
    // A malformed id cannot be anyone's: the database never sees it.
    if (reference.id !== undefined && !isValidId(reference.id)) return null;
    if (!rule) return resolver(reference, context, info);
    if (!guarded) {
      const pending = door.check(rule, null, context.scope);
      return pending ? pending.then(() => resolver(reference, context, info)) : resolver(reference, context, info);
    }
    return door.reach(context.principal, rule.requires) === true
      ? resolver(reference, context, info)
      : inspectReference(resolver, { door, guarded }, [reference, context, info]);
  };
}

/** What is not there is answered by the rights that hold everywhere, as though it was forbidden to who has none. */
async function inspectReference(
  resolver: ReferenceResolver,
  { door, guarded }: { readonly door: Door; readonly guarded: Guarded },
  [reference, context, info]: Parameters<ReferenceResolver>,
): Promise<unknown> {
  if ((await door.reach(context.principal, guarded.rule.requires)) === false)
    await door.check(plain(guarded.rule), null, context.scope);
  const value = await resolver(reference, context, info);
  if (value === null || value === undefined) {
    await door.check(plain(guarded.rule), null, context.scope);
    return value;
  }
  return door.screen(value, guarded, context.scope);
}

function isTextId(id: unknown): boolean {
  return typeof id === 'string' && id !== '' && id.length <= 255 && textProblem(id) === null;
}

/** Mutation fields whose payload type has `userErrors`. */
function payloadFields(typeDefs: DocumentNode): ReadonlySet<string> {
  const withErrors = new Set<string>();
  for (const definition of typeDefs.definitions) {
    if (
      definition.kind === 'ObjectTypeDefinition' &&
      definition.fields?.some((field) => field.name.value === 'userErrors')
    )
      withErrors.add(definition.name.value);
  }
  const fields = new Set<string>();
  for (const definition of typeDefs.definitions) {
    if (
      (definition.kind === 'ObjectTypeDefinition' || definition.kind === 'ObjectTypeExtension') &&
      definition.name.value === 'Mutation'
    ) {
      for (const field of definition.fields ?? []) {
        if (
          field.type.kind === 'NonNullType' &&
          field.type.type.kind === 'NamedType' &&
          withErrors.has(field.type.type.name.value)
        )
          fields.add(field.name.value);
      }
    }
  }
  return fields;
}

/** Failures that concern the caller's right to ask or our own health stay GraphQL errors. */
const notForPayload = new Set([
  'UNAUTHENTICATED',
  'STEP_UP_REQUIRED',
  'PERMISSION_DENIED',
  'INTERNAL_ERROR',
  'UNAVAILABLE',
  'DEADLINE_EXCEEDED',
]);

function payloadResolver(resolver: AnyResolver): AnyResolver {
  return async (parent, args, context, info) => {
    try {
      const payload = await resolver(parent, args, context, info);
      return { userErrors: [], ...(payload as object) };
    } catch (error) {
      if (error instanceof PlatformError && !notForPayload.has(error.code)) return { userErrors: [toUserError(error)] };
      throw error;
    }
  };
}
