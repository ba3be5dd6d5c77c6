import { PlatformError } from '#shared/errors.ts';
import type { Graph } from '#shared/graph.ts';
import { createPrincipal, type Principal } from '#shared/principal.ts';
import { isSubgraphName } from '../names.ts';
import { systemSubject } from './engine.ts';

/** Who holds a role, with what was recorded of them. */
export interface Holder {
  readonly id: string;
  /** HUMAN, AGENT or SERVICE; null where nothing was recorded. */
  readonly type?: string | null;
  readonly capabilities?: readonly { readonly name: string; readonly level: string }[];
  readonly attributes?: Readonly<Record<string, unknown>> | null;
  /** Edges from the role to the nearest one by which it is held. @default 0 */
  readonly distance?: number;
}

/** A permission (`resource:action`) where it is needed. */
export interface NeededPermission {
  readonly permission: string;
  readonly contextId: string | null;
  readonly planId: string | null;
}

/** What roles say of a subject's permission: `unknown` where only its token could grant it. */
export type Standing = 'granted' | 'denied' | 'needs_approval' | 'unknown';

export interface ApproverDirectory {
  /** Who holds a role (by id, then by name) in a context; null where nobody keeps roles. */
  holders(tenantId: string, role: string, contextId: string | null): Promise<readonly Holder[] | null>;
  /** To whom roles grant a permission; null where nobody keeps roles. */
  permitted(tenantId: string, needed: NeededPermission): Promise<readonly Holder[] | null>;
  /** How the permission stands with each subject; null where nobody keeps roles. */
  standings(
    tenantId: string,
    needed: NeededPermission,
    subjects: readonly string[],
  ): Promise<ReadonlyMap<string, Standing> | null>;
}

const edgesText =
  'edges { distance node { id type attributes { custom } capabilities { name level } } } pageInfo { hasNextPage endCursor }';

const permittedText = `query PermissionHolders($permission: String!, $contextId: ID, $planId: ID, $after: String) {
  found: permissionHolders(permission: $permission, contextId: $contextId, planId: $planId, first: 100, after: $after) { ${edgesText} }
}`;

const standingsText = `query PermissionStandings($permission: String!, $subjectIds: [ID!]!, $contextId: ID, $planId: ID) {
  permissionStandings(permission: $permission, subjectIds: $subjectIds, contextId: $contextId, planId: $planId) { subjectId standing }
}`;

interface AskedStandings {
  readonly permissionStandings: readonly { readonly subjectId: string; readonly standing: string }[] | null;
}

/** Subjects of one question about standings. */
const maxStandings = 500;

const askText = `query RoleHolders($role: String!, $contextId: ID, $after: String) {
  found: roleHolders(role: $role, contextId: $contextId, first: 100, after: $after) { ${edgesText} }
}`;

type AskedHolder = Omit<Holder, 'attributes'> & {
  readonly attributes: { readonly custom: Readonly<Record<string, unknown>> };
};

interface HoldersPage {
  readonly found: {
    readonly edges: readonly { readonly distance: number; readonly node: AskedHolder }[];
    readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null };
  } | null;
}

/** Holders of one role that are looked at. */
const maxHolders = 1_000;

/** The module as it asks others on its own behalf: it may read, nothing else. */
export function systemPrincipal(tenantId: string): Principal {
  return createPrincipal({
    tenantId,
    subject: systemSubject,
    subjectType: 'service',
    scopes: ['role:read', 'context:read', 'plan:read', 'trace:read', 'extension:read'],
  });
}

/** The role module's word, asked through the graph. @throws {UNAVAILABLE} when it does not answer. */
export function createGraphDirectory(graph: Graph): ApproverDirectory {
  if (!isSubgraphName('role'))
    return { holders: async () => null, permitted: async () => null, standings: async () => null };

  async function findHolders(
    tenantId: string,
    text: string,
    { what, ...variables }: Readonly<Record<string, unknown>> & { readonly what: string },
  ): Promise<readonly Holder[]> {
    const found: Holder[] = [];
    let after: string | null = null;
    do {
      const { data, errors }: Awaited<ReturnType<typeof graph.execute<HoldersPage>>> = await graph.execute<HoldersPage>(
        text,
        { ...variables, after },
        systemPrincipal(tenantId),
      );
      if (!data?.found) {
        if (errors.every(({ code }) => code === 'NOT_FOUND')) return found;
        throw new PlatformError('UNAVAILABLE', `who holds ${what} could not be asked: ${errors[0]?.message}`);
      }
      found.push(
        ...data.found.edges.map(({ distance, node }) => ({ ...node, attributes: node.attributes.custom, distance })),
      );
      after = data.found.pageInfo.hasNextPage ? data.found.pageInfo.endCursor : null;
    } while (after !== null && found.length < maxHolders);
    return found;
  }

  return {
    holders: (tenantId, role, contextId) =>
      findHolders(tenantId, askText, { what: `the role ${role}`, role, contextId }),
    permitted: (tenantId, needed) =>
      findHolders(tenantId, permittedText, { what: `the permission ${needed.permission}`, ...needed }),
    async standings(tenantId, needed, subjects) {
      const found = new Map<string, Standing>();
      const wanted = [...new Set(subjects)];
      for (let from = 0; from < wanted.length; from += maxStandings) {
        const variables = { ...needed, subjectIds: wanted.slice(from, from + maxStandings) };
        const { data, errors } = await graph.execute<AskedStandings>(
          standingsText,
          variables,
          systemPrincipal(tenantId),
        );
        if (!data?.permissionStandings)
          throw new PlatformError(
            'UNAVAILABLE',
            `who has the permission ${needed.permission} could not be asked: ${errors[0]?.message}`,
          );
        for (const { subjectId, standing } of data.permissionStandings)
          found.set(subjectId, standing.toLowerCase() as Standing);
      }
      return found;
    },
  };
}
