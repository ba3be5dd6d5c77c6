import { ConcurrentInsert, type ProtocolCodec } from '#shared/codec.ts';
import type { Principal } from '#shared/principal.ts';
import type { CollabDocument } from '../../schema/protocol/index.ts';
import { viewerOf, visibleCondition } from './access.ts';
import { toDocument } from './document.ts';
import { collabEvent } from './events.ts';
import { observeCollab } from './observability.ts';
import { defaultAuthority, normalised } from './participantRows.ts';
import { readPart, upsertPart } from './parts.ts';
import { type CollabRow, emptyStats, type GovernanceValue, type ParticipantRow } from './rows.ts';
import { defaultRules } from './rules.ts';
import { findCollabs, insertCollabs } from './store.ts';

/** Frozen collabs in and out. Who imports one coordinates it. */
export const collabCodec: ProtocolCodec = {
  async read(sql, tenantId, ids) {
    const rows = await findCollabs(sql, tenantId, ids);
    // Imports ask about ids that are new.
    if (rows.length === 0) return new Map();
    const participants = await readPart(
      sql,
      'participant',
      'all',
      ids.map((collabId) => ({ tenantId, collabId })),
    );
    const byCollab = Map.groupBy(participants, ({ collabId }) => collabId);
    return new Map(rows.map((row) => [row.id, toDocument(row, byCollab.get(row.id) ?? [])]));
  },

  async write(tx, principal, documents) {
    const imported = documents.map((document) => toRows(document as unknown as CollabDocument, principal));
    try {
      await insertCollabs(
        tx,
        imported.map(({ collab }) => collab),
      );
    } catch (error) {
      // Someone stored one of the ids since the caller looked.
      if (typeof error === 'object' && error !== null && 'code' in error && error.code === '23505')
        throw new ConcurrentInsert();
      throw error;
    }
    await upsertPart(
      tx,
      'participant',
      imported.flatMap(({ participants }) => participants),
    );
    return imported.map(({ collab, participants }) => ({
      tenantId: principal.tenantId,
      actor: principal.subject,
      events: [collabEvent('collab.created', collab, { participants, imported: true })],
      audit: [
        {
          action: 'collab.import',
          resource: 'Collaboration',
          resourceId: collab.id,
          detail: { participants: participants.length, status: collab.status },
        },
      ],
    }));
  },

  async idsOfContext(sql, tenantId, contextId) {
    const rows = (await sql.unsafe(
      'SELECT id FROM collab.collaboration WHERE tenant_id = $1 AND context_id = $2 ORDER BY ordinal',
      [tenantId, contextId],
      { prepare: true },
    )) as unknown as { id: string }[];
    return rows.map(({ id }) => id);
  },

  async visibleTo(sql, principal, ids) {
    const viewer = viewerOf(principal);
    if (viewer === null) return new Set(ids);
    const rows = (await sql.unsafe(
      `SELECT c.id FROM collab.collaboration c WHERE c.tenant_id = $1 AND c.id = ANY($2::uuid[]) AND ${visibleCondition('c', '$3')}`,
      [principal.tenantId, ids as string[], viewer as readonly string[] as string[]],
      { prepare: true },
    )) as unknown as { id: string }[];
    return new Set(rows.map(({ id }) => id));
  },

  observe: observeCollab,
};

function toRows(document: CollabDocument, { tenantId, subject }: Principal) {
  const at = new Date().toISOString();
  const isOver = document.status === 'completed' || document.status === 'cancelled';
  const createdAt = instantOf(document.created_at) ?? at;
  const participants = normalised(
    document.participants.map(
      (given, position): ParticipantRow => ({
        tenantId,
        collabId: document.collab_id,
        participantId: given.participant_id,
        kind: given.kind,
        roleId: given.role_id ?? null,
        displayName: given.display_name ?? null,
        agentId: given.participant_id,
        status: 'active',
        capabilities: [],
        permissions: ['make_decisions'],
        priority: 50,
        weight: 1,
        workload: 0,
        authority: defaultAuthority,
        position,
        replacedBy: null,
        joinedAt: createdAt,
        leftAt: null,
      }),
    ),
  );
  const collab: CollabRow = {
    tenantId,
    id: document.collab_id,
    contextId: document.context_id,
    planId: null,
    dialogId: null,
    networkId: null,
    confirmId: null,
    title: document.title,
    purpose: document.purpose,
    mode: document.mode,
    type: null,
    status: document.status,
    statusReason: null,
    suspendedBy: document.status === 'suspended' ? 'user' : null,
    isFailed: false,
    coordination: { type: 'peer_to_peer', coordinatorId: null },
    decisionConfig: defaultRules,
    objectives: [],
    performanceTargets: {},
    turnTaking: { timeoutMs: 60_000, autoAdvance: true },
    turnState: { number: 0, lastParticipantId: null, missed: 0 },
    maxParticipants: Math.max(document.mode === 'pair' ? 2 : 100, participants.length),
    participantCount: participants.length,
    deadlines: {},
    stats: emptyStats,
    experience: {},
    governance: (document.governance as GovernanceValue | undefined) ?? null,
    protocol: {
      imported: true,
      meta: document.meta,
      createdAt: document.created_at,
      ...(document.updated_at === undefined ? {} : { updatedAt: document.updated_at }),
      ...(document.trace === undefined ? {} : { trace: document.trace }),
      ...(document.events === undefined ? {} : { events: document.events }),
    },
    maxDurationMs: null,
    executionPattern: null,
    nextDeadlineAt: null,
    startedAt: document.status === 'draft' ? null : createdAt,
    endedAt: isOver ? (instantOf(document.updated_at ?? document.created_at) ?? at) : null,
    version: 1,
    createdAt: at,
    createdBy: subject,
    updatedAt: at,
    updatedBy: subject,
  };
  return { collab, participants };
}

/** An RFC 3339 text as an instant PostgreSQL can hold; leap seconds, which Date does not know, become the second before. */
function instantOf(text: string): string | null {
  const date = new Date(text.replace(/:60(?=[.Zz+-])/, ':59'));
  if (Number.isNaN(date.getTime()) || date.getUTCFullYear() < 1 || date.getUTCFullYear() > 9_999) return null;
  return date.toISOString();
}
