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

export interface ApproverDirectory {
  /** Who holds a role (by id, then by name) in a context; null where nobody keeps roles. */
  holders(tenantId: string, role: string, contextId: string | null): Promise<readonly Holder[] | null>;
}

const askText = `query RoleHolders($role: String!, $contextId: ID, $after: String) {
  roleHolders(role: $role, contextId: $contextId, first: 100, after: $after) { edges { distance node { id type attributes { custom } capabilities { name level } } } pageInfo { hasNextPage endCursor } }
}`;

type AskedHolder = Omit<Holder, 'attributes'> & {
  readonly attributes: { readonly custom: Readonly<Record<string, unknown>> };
};

interface HoldersPage {
  readonly roleHolders: {
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
  if (!isSubgraphName('role')) return { holders: async () => null };
  return {
    async holders(tenantId, role, contextId) {
      const found: Holder[] = [];
      let after: string | null = null;
      do {
        const { data, errors }: Awaited<ReturnType<typeof graph.execute<HoldersPage>>> =
          await graph.execute<HoldersPage>(askText, { role, contextId, after }, systemPrincipal(tenantId));
        if (!data?.roleHolders) {
          if (errors.every(({ code }) => code === 'NOT_FOUND')) return found;
          throw new PlatformError(
            'UNAVAILABLE',
            `who holds the role ${role} could not be asked: ${errors[0]?.message}`,
          );
        }
        found.push(
          ...data.roleHolders.edges.map(({ distance, node }) => ({
            ...node,
            attributes: node.attributes.custom,
            distance,
          })),
        );
        after = data.roleHolders.pageInfo.hasNextPage ? data.roleHolders.pageInfo.endCursor : null;
      } while (after !== null && found.length < maxHolders);
      return found;
    },
  };
}
