import { createChildPageLoader } from '#shared/childPages.ts';
import type { RequestScope } from '#shared/context.ts';
import { createListLoader, createPageLoader, createRowLoader } from '#shared/loaders.ts';
import { accessTag, keepVisible, noteListAccess } from './access.ts';
import type { BallotRow } from './decisionRows.ts';
import { collabsBelow, collabsOfRole, partBelow, participantsBelow } from './lists.ts';
import { type PartKey, type PartName, type PartRows, partColumns, parts, readPart } from './parts.ts';
import {
  broadcastPayload,
  collabView,
  conflictPayload,
  councilPayload,
  decisionView,
  recommendationPayload,
  taskPayload,
  turnPayload,
} from './payload.ts';
import type { CollaborationRow, CollabRow, ParticipantRow } from './rows.ts';
import type { CollabService } from './service.ts';

export type CollabLoaders = ReturnType<typeof createCollabLoaders>;
type ById = Exclude<PartName, 'participant' | 'ballot'>;

export function createCollabLoaders(
  { sql, rows, learn }: Pick<CollabService, 'sql' | 'rows' | 'learn'>,
  scope: RequestScope,
) {
  const { principal, readTags } = scope;
  const { tenantId } = principal;
  const visible = { db: sql, scope, learn };
  const children = <Name extends ById>(part: Name) =>
    createChildPageLoader(sql, (status: readonly string[] | null) => partBelow(part, tenantId, status));
  /** Single rows of a part, as far as their collaboration is seen. */
  const single = <Name extends ById, View extends { readonly id: string }>(
    part: Name,
    view: (row: PartRows[Name]) => View,
  ) =>
    createRowLoader<string, View>({
      async fetch(ids) {
        const found = (await sql.unsafe(
          `SELECT ${partColumns(part)} FROM collab.${parts[part].table} x WHERE x.tenant_id = $1 AND x.id = ANY($2::uuid[])`,
          [tenantId, ids as string[]],
          { prepare: true },
        )) as unknown as PartRows[Name][];
        // Whatever happens below a collaboration is told by its tag.
        for (const { collabId } of found) readTags.add(`Collaboration:${collabId}`);
        return (await keepVisible(visible, found, ({ collabId }) => collabId)).map(view);
      },
      keyOf: (row) => row.id,
      tagOf: (id) => `Collab${part}:${id}`,
      scope,
    });
  const keysOf = (ids: readonly string[]): readonly PartKey[] => ids.map((collabId) => ({ tenantId, collabId }));

  return {
    collaboration: createRowLoader<string, CollaborationRow>({
      async fetch(ids) {
        const found = (await Promise.all(ids.map((id) => rows.add({ tenantId, id })))).filter((row) => row !== null);
        for (const { contextId } of found) readTags.add(accessTag(contextId));
        return (await keepVisible<CollabRow>(visible, found, ({ id }) => id)).map(collabView);
      },
      keyOf: (row) => row.id,
      tagOf: (id) => `Collaboration:${id}`,
      scope,
    }),
    decision: single('decision', decisionView),
    task: single('task', taskPayload),
    conflict: single('conflict', conflictPayload),
    council: single('council', councilPayload),
    recommendation: single('recommendation', recommendationPayload),
    turn: single('turn', turnPayload),
    broadcast: single('broadcast', broadcastPayload),
    resource: single('resource', (row) => row),
    /** Everybody who takes part or did, for the document. */
    allParticipants: createListLoader<string, ParticipantRow>({
      fetch: (ids) => readPart(sql, 'participant', 'all', keysOf(ids)),
      keyOf: (row) => row.collabId,
      tagOf: (id) => `Collaboration:${id}`,
      scope,
    }),
    /** Of the voting that is open, or was last. */
    ballots: createListLoader<string, BallotRow>({
      fetch: async (ids) =>
        (await sql.unsafe(
          `SELECT ${partColumns('ballot')} FROM collab.ballot x
           JOIN collab.decision d ON d.tenant_id = x.tenant_id AND d.id = x.decision_id AND d.round = x.round
           WHERE x.tenant_id = $1 AND x.decision_id = ANY($2::uuid[]) ORDER BY x.cast_at, x.voter`,
          [tenantId, ids as string[]],
          { prepare: true },
        )) as unknown as BallotRow[],
      keyOf: (row) => row.decisionId,
      scope,
    }),
    participants: createChildPageLoader(sql, (status: readonly string[] | null) => participantsBelow(tenantId, status)),
    tasks: children('task'),
    decisions: children('decision'),
    conflicts: children('conflict'),
    councils: children('council'),
    recommendations: children('recommendation'),
    turns: children('turn'),
    broadcasts: children('broadcast'),
    resources: createListLoader<string, PartRows['resource']>({
      fetch: (ids) => readPart(sql, 'resource', 'all', keysOf(ids)),
      keyOf: (row) => row.collabId,
      tagOf: (id) => `Collaboration:${id}`,
      scope,
    }),
    ofContext: createChildPageLoader(sql, (status: readonly string[] | null) =>
      collabsBelow('context_id', principal, status),
    ),
    ofPlan: createChildPageLoader(sql, (status: readonly string[] | null) =>
      collabsBelow('plan_id', principal, status),
    ),
    ofDialog: createChildPageLoader(sql, (status: readonly string[] | null) =>
      collabsBelow('dialog_id', principal, status),
    ),
    ofNetwork: createChildPageLoader(sql, (status: readonly string[] | null) =>
      collabsBelow('network_id', principal, status),
    ),
    ofRole: createChildPageLoader(sql, (status: readonly string[] | null) => collabsOfRole(principal, status)),
    /** Last event of a collaboration's stream. */
    lastSequence: createPageLoader<string, number>(async (ids) => {
      const heads = (await sql.unsafe(
        'SELECT stream_id AS id, last_sequence AS last FROM collab.stream_head WHERE tenant_id = $1 AND stream_id = ANY($2::uuid[])',
        [tenantId, ids as string[]],
        { prepare: true },
      )) as unknown as { id: string; last: number }[];
      const byId = new Map(heads.map(({ id, last }) => [id, Number(last)]));
      return ids.map((id) => byId.get(id) ?? 0);
    }),
    /** Marks what the request reads of lists as its reader's own where the tenant has private contexts. */
    listAccess: createPageLoader<'collaborations', null>(async (keys) => {
      await noteListAccess(sql, scope);
      return keys.map(() => null);
    }),
  };
}
