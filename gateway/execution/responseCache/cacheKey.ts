import { hash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { AuthScope } from '#shared/auth.ts';
import type { CacheArea } from '#shared/cache/cacheReports.ts';
import type { Principal } from '#shared/principal.ts';

/** Separates the parts of a key; encoded parts cannot contain it. */
const separator = '\n';
const maxPlainVariables = 256;

interface Audience {
  readonly TENANT: string;
  readonly ROLE: string;
  readonly SUBJECT: string;
}

const audiences = new WeakMap<Principal, Audience>();

/**
 * The part of a key that says whom an entry is for. It always begins with the tenant. `rightsKey` names rights that do
 * not come from the token: who has any shares no answer with those who have not.
 */
export function audienceKey(principal: Principal, scope: AuthScope, rightsKey = ''): string {
  let audience = audiences.get(principal);
  if (!audience) {
    const tenant = encodeURIComponent(principal.tenantId);
    const role = `${tenant}|r:${digest(principal.permissionKey)}`;
    audience = {
      TENANT: `${tenant}|t`,
      ROLE: role,
      SUBJECT: `${role}|s:${principal.subjectType}:${encodeURIComponent(principal.subject)}`,
    };
    audiences.set(principal, audience);
  }
  return rightsKey === '' || scope === 'TENANT' ? audience[scope] : `${audience[scope]}|g:${digest(rightsKey)}`;
}

/** Every answer that is kept has it: what concerns all of a tenant, an erasure, is one tag. */
export const everythingTag = '*';

/** A tag as it stands in the cache: the same id in two tenants is two tags. */
export function tenantTag(tenantId: string, tag: string): string {
  return `${encodeURIComponent(tenantId)}/${tag}`;
}

export function joinKey(...parts: readonly string[]): string {
  return parts.join(separator);
}

/** What an entry is counted under: its tenant, and the module it was fetched from or `responses` for a whole answer. */
export function cacheGroupOf(key: string): string {
  const [kind, audience = '', subgraph = ''] = key.split(separator, 3);
  return joinKey(audience.slice(0, audience.indexOf('|')), kind === 'r' ? 'responses' : subgraph);
}

/** Reads what `cacheGroupOf` wrote. */
export function cacheAreaOf(group: string): CacheArea | null {
  const [tenant, area] = group.split(separator);
  return tenant === undefined || area === undefined ? null : { tenantId: decodeURIComponent(tenant), area };
}

/** Equal for variables that are equal whatever the order of their keys (RFC 8785); long ones are hashed. */
export function variablesKey(variables: unknown): string {
  const text = variables === undefined ? '' : (canonicalize(variables) ?? '');
  return text.length > maxPlainVariables ? digest(text) : text;
}

export function digest(text: string): string {
  return hash('sha256', text, 'base64url');
}
