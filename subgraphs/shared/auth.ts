import type {
  DirectiveNode,
  DocumentNode,
  FieldDefinitionNode,
  ObjectTypeDefinitionNode,
  ObjectTypeExtensionNode,
} from 'graphql';
import { PlatformError } from './errors.ts';
import { hasScope, type Principal } from './principal.ts';
import { giveAttributes } from './rights.ts';

export type AuthScope = 'TENANT' | 'ROLE' | 'SUBJECT';

/** Where an operation or an object says which context it is about: the `context` of `@auth`, `Kind:path`. */
export interface AuthSource {
  /** `Context` where the path leads to its id, else a kind that the module locates. */
  readonly kind: string;
  /** Below the arguments of a root field, else below the object. Lists on the way are walked: each entry counts. */
  readonly path: readonly string[];
}

/** What an `@auth` directive says. */
export interface AuthRule {
  readonly requires: readonly string[];
  readonly scope: AuthScope;
  readonly context?: AuthSource;
  /** Where no context is named the operation finds it and asks for the permission there. */
  readonly isDeferred?: true;
  /** The authentication has to be a strong and fresh one (RFC 9470), whatever the principal may do. */
  readonly needsStepUp?: true;
}

export interface AuthTarget {
  readonly type: string;
  readonly id: string;
  readonly contextId?: string;
  readonly planId?: string;
}

/** Whether a permission holds wherever it is used (`true`), nowhere (`false`), or hangs on the object and its context. */
export type Reach = boolean | 'depends';

/** Rights of a tenant have changed. */
export interface RightsChange {
  readonly tenantId: string;
  /** True for a subject whose rights may be others now. */
  concerns(subject: string): boolean;
}

/** Answers whether a principal may do something. Scopes of the token decide until the role module does. */
export interface Authorizer {
  /** Permission as `resource:action`, optionally on one object. */
  allows(principal: Principal, permission: string, target?: AuthTarget): boolean | Promise<boolean>;
  /**
   * What tells the principal's rights apart from those of others with the same token: answers that depend on the
   * permission set are kept under it. Empty where the token alone decides. @default always empty
   */
  rightsKey?(principal: Principal): string;
  /**
   * The same as `allows` without a target where no object could change the answer; `depends` where one could, and then
   * `allows` has to be asked with it. It costs no more than `allows` does. @default what `allows` says
   */
  reach?(principal: Principal, permission: string): Reach | Promise<Reach>;
  /** Roles the principal has in the context, by id and by name, with those they inherit. @default the token's */
  rolesOf?(principal: Principal, contextId: string): readonly string[] | Promise<readonly string[]>;
  /** Names of the capabilities recorded of the principal; null where nothing is recorded. @default null */
  capabilitiesOf?(principal: Principal): readonly string[] | null | Promise<readonly string[] | null>;
  /** Calls back at each change of rights, once it is in force here; answers how to stop. @default they never change */
  onRightsChanged?(listener: (change: RightsChange) => void): () => void;
}

export function createScopeAuthorizer(): Authorizer {
  return {
    allows(principal, permission) {
      giveAttributes(principal, () => () => undefined);
      return hasScope(principal, permission);
    },
  };
}

export function reachOf(authorizer: Authorizer, principal: Principal, permission: string): Reach | Promise<Reach> {
  return authorizer.reach ? authorizer.reach(principal, permission) : authorizer.allows(principal, permission);
}

/** @throws {PERMISSION_DENIED} when the principal lacks the permission. */
export async function requirePermission(
  authorizer: Authorizer,
  principal: Principal,
  permission: string,
  target?: AuthTarget,
): Promise<void> {
  if (!(await authorizer.allows(principal, permission, target))) throw permissionDenied(permission);
}

/** @throws {STEP_UP_REQUIRED} unless the token was issued upon a strong authentication that is still fresh. */
export function requireStepUp({ steppedUpUntilMs = 0 }: Principal, nowMs = Date.now()): void {
  if (steppedUpUntilMs > nowMs) return;
  throw new PlatformError(
    'STEP_UP_REQUIRED',
    steppedUpUntilMs === 0
      ? 'this needs a token issued upon a stronger authentication (claim acr)'
      : 'this needs a token whose stronger authentication is fresh (claim auth_time)',
  );
}

export function permissionDenied(permission: string): PlatformError {
  return new PlatformError('PERMISSION_DENIED', `this needs the permission ${permission}`, { details: { permission } });
}

/** Reads `@auth` of a field or type definition; undefined when there is none. */
export function readAuthRule(directives: readonly DirectiveNode[] | undefined): AuthRule | undefined {
  const directive = directives?.find((node) => node.name.value === 'auth');
  if (!directive) return undefined;
  const requires: string[] = [];
  let scope: AuthScope = 'TENANT';
  let context: AuthSource | undefined;
  let isDeferred = false;
  let needsStepUp = false;
  for (const argument of directive.arguments ?? []) {
    if (argument.name.value === 'requires') {
      const values = argument.value.kind === 'ListValue' ? argument.value.values : [argument.value];
      for (const value of values) if (value.kind === 'StringValue') requires.push(value.value);
    }
    if (argument.name.value === 'scope' && argument.value.kind === 'EnumValue')
      scope = argument.value.value as AuthScope;
    if (argument.name.value === 'context' && argument.value.kind === 'StringValue')
      context = readSource(argument.value.value);
    if (argument.name.value === 'deferred' && argument.value.kind === 'BooleanValue') isDeferred = argument.value.value;
    if (argument.name.value === 'stepUp' && argument.value.kind === 'BooleanValue') needsStepUp = argument.value.value;
  }
  return {
    requires,
    scope,
    ...(context === undefined ? {} : { context }),
    ...(isDeferred ? { isDeferred } : {}),
    ...(needsStepUp ? { needsStepUp } : {}),
  };
}

/** @throws {Error} unless it is `Kind:path` */
function readSource(text: string): AuthSource {
  const [, kind, path] = /^([A-Z]\w*):([a-z]\w*(?:\.\w+)*)$/.exec(text) ?? [];
  if (kind === undefined || path === undefined) throw new Error(`@auth(context:) is Kind:path, got ${text}`);
  return { kind, path: path.split('.') };
}

export interface AuthRules {
  /** By `Type.field`: the field's own rule, else its type's. */
  readonly fields: ReadonlyMap<string, AuthRule>;
  /** By entity type. */
  readonly entities: ReadonlyMap<string, AuthRule>;
}

const rootTypes = new Set(['Query', 'Mutation', 'Subscription']);

/**
 * Collects the rules of a subgraph's SDL.
 * @throws {Error} naming every root field and entity that has none.
 */
export function collectAuthRules(document: DocumentNode): AuthRules {
  const fields = new Map<string, AuthRule>();
  const entities = new Map<string, AuthRule>();
  const missing: string[] = [];
  for (const definition of document.definitions) {
    if (definition.kind !== 'ObjectTypeDefinition' && definition.kind !== 'ObjectTypeExtension') continue;
    const type: ObjectTypeDefinitionNode | ObjectTypeExtensionNode = definition;
    const typeName = type.name.value;
    const typeRule = readAuthRule(type.directives);
    const isEntity = type.directives?.some((node) => node.name.value === 'key') ?? false;
    if (isEntity) {
      if (typeRule) entities.set(typeName, typeRule);
      else missing.push(typeName);
    }
    for (const field of type.fields ?? ([] as readonly FieldDefinitionNode[])) {
      const own = readAuthRule(field.directives);
      const rule = own ?? typeRule;
      if (rule) fields.set(`${typeName}.${field.name.value}`, rule);
      if (rootTypes.has(typeName) && !own) missing.push(`${typeName}.${field.name.value}`);
    }
  }
  if (missing.length > 0) throw new Error(`without @auth: ${missing.join(', ')}`);
  return { fields, entities };
}
