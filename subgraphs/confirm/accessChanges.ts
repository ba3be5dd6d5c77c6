import { type Access, type ContextKey, findAccess } from '#shared/contextAudience.ts';
import { appendChange, type NewEvent } from '#shared/outbox.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { accessTag } from './access.ts';
import { systemPrincipal } from './directory.ts';

/** What `access.changed` carries. */
export interface AccessChange {
  readonly contextId: string;
  readonly access: Access;
  /** Who has a part in the confirm whose stream it is told in, and sees it whatever the context. */
  readonly parties: readonly string[];
}

type Deps = Pick<ModuleRuntime, 'sql' | 'publisher'>;

/** Their confirms were hidden so far: answers that left them out are stale. Most contexts have none yet. */
export async function tellHeard(deps: Deps, contexts: readonly ContextKey[]): Promise<void> {
  if (contexts.length === 0) return;
  const found = (await deps.sql.unsafe(
    `SELECT k.tenant_id AS "tenantId", k.id AS "contextId" FROM unnest($1::text[], $2::uuid[]) AS k(tenant_id, id)
     WHERE EXISTS (SELECT 1 FROM confirm.confirm c WHERE c.tenant_id = k.tenant_id AND c.context_id = k.id)`,
    [contexts.map(({ tenantId }) => tenantId), contexts.map(({ contextId }) => contextId)],
    { prepare: true },
  )) as unknown as ContextKey[];
  for (const context of found) {
    const { tenantId, contextId } = context;
    const tags = await findTags(deps, context);
    await append(deps, tenantId, [{ streamId: contextId, type: 'context.heard', data: { contextId }, tags }]);
  }
}

/** Who has a part in a confirm: its approvers, who opened it and who asked for it; SQL. */
export const partiesOf = (confirm: string) =>
  `(ARRAY(SELECT a.subject FROM confirm.approver a WHERE a.tenant_id = ${confirm}.tenant_id AND a.confirm_id = ${confirm}.id)
     || ${confirm}.created_by || coalesce(${confirm}.requested_by, ${confirm}.created_by))`;

/** Tells who holds answers about the context's confirms, or follows one, that others may see them now. */
export async function tellAccess(deps: Deps, context: ContextKey): Promise<void> {
  const { tenantId, contextId } = context;
  const [access, tags, streams] = await Promise.all([
    findAccess(deps.sql, 'confirm', context),
    findTags(deps, context),
    // Streams in which something still happens: who follows another sees nothing new in it.
    deps.sql.unsafe(
      `SELECT c.id, ${partiesOf('c')} AS parties
       FROM confirm.confirm c WHERE c.tenant_id = $1 AND c.context_id = $2 AND c.phase <> 'archived'`,
      [tenantId, contextId],
      { prepare: true },
    ) as unknown as Promise<{ id: string; parties: string[] }[]>,
  ]);
  const eventOf = (streamId: string, parties: readonly string[], told: readonly string[]): NewEvent => {
    const data: AccessChange = { contextId, access, parties: [...new Set(parties)] };
    return { streamId, type: 'access.changed', data: { ...data }, tags: told };
  };
  await append(deps, tenantId, [
    eventOf(contextId, [], tags),
    ...streams.map(({ id, parties }) => eventOf(id, parties, [])),
  ]);
}

/** Tags of all answers that the context's confirms stand in, or are left out of. */
async function findTags({ sql }: Deps, { tenantId, contextId }: ContextKey): Promise<readonly string[]> {
  const parents = (await sql.unsafe(
    `SELECT DISTINCT 'Plan' AS type, plan_id AS id FROM confirm.confirm WHERE tenant_id = $1 AND context_id = $2 AND plan_id IS NOT NULL
     UNION SELECT 'Trace', target_id FROM confirm.confirm WHERE tenant_id = $1 AND context_id = $2 AND target_type = 'trace'`,
    [tenantId, contextId],
    { prepare: true },
  )) as unknown as { type: string; id: string }[];
  return [
    ...[accessTag(contextId), `Context:${contextId}:confirms`, 'confirms'],
    ...parents.map(({ type, id }) => `${type}:${id}:confirms`),
  ];
}

async function append({ sql, publisher }: Deps, tenantId: string, events: readonly NewEvent[]): Promise<void> {
  const actor = systemPrincipal(tenantId).subject;
  await publisher.published(await sql.begin((tx) => appendChange(tx, 'confirm', [{ tenantId, actor, events }])));
}
