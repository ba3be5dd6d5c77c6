import type { RecordShape } from '#shared/record.ts';
import type { Sql } from '#shared/sql.ts';
import { defaultAuthority } from '../../subgraphs/collab/participantRows.ts';
import { collabRecord, participantRecord, taskRecord } from '../../subgraphs/collab/records.ts';
import { type CollabRow, emptyStats, type ParticipantRow } from '../../subgraphs/collab/rows.ts';
import { defaultRules } from '../../subgraphs/collab/rules.ts';
import type { TaskRow } from '../../subgraphs/collab/workRows.ts';
import { contextId, perfTenant, seededContext } from './context.ts';
import { type CopyValue, copyRows } from './copyRows.ts';
import { seedId } from './seedId.ts';

export interface CollabSeed {
  /** Contexts that are there already; collaborations lie in those that are active. */
  readonly contexts: number;
  readonly collaborations: number;
  readonly participantsEach: number;
  /** Different agents that make them and ask. */
  readonly subjects: number;
  /** One more of them, for decisions and advice; the first agent coordinates it. */
  readonly large: { readonly agents: number; readonly tasks: number };
}

const modes = ['orchestrated', 'round_robin', 'swarm', 'broadcast'] as const;
const skills = Array.from({ length: 9 }, (_, at) => `skill-${at}`);
const createdAt = '2026-01-01T00:00:00.000Z';
const chunkRows = 2_000;

export const collabId = (index: number): string => seedId('collaboration', index);
/** The large one stands behind all others. */
export const largeCollabId = ({ collaborations }: CollabSeed): string => collabId(collaborations);
export const creatorOf = (index: number, { subjects }: CollabSeed): number => index % subjects;
export const agentName = (index: number): string => `agent-${index}`;

/** Of twenty contexts sixteen are active. */
export function activeContext(index: number, { contexts }: CollabSeed): string {
  let at = index % contexts;
  while (seededContext(at).status !== 'active') at = (at + 1) % contexts;
  return contextId(at);
}

function toCollab(index: number, seed: CollabSeed): CollabRow {
  const isLarge = index === seed.collaborations;
  const createdBy = agentName(isLarge ? 0 : creatorOf(index, seed));
  return {
    tenantId: perfTenant,
    id: collabId(index),
    contextId: activeContext(index, seed),
    planId: null,
    dialogId: null,
    networkId: null,
    confirmId: null,
    title: `Collaboration ${index}`,
    purpose: 'Several agents work on one task, take turns and decide together.',
    mode: isLarge ? 'orchestrated' : modes[index % modes.length]!,
    type: null,
    status: 'active',
    statusReason: null,
    suspendedBy: null,
    isFailed: false,
    coordination: { type: 'peer_to_peer', coordinatorId: null },
    decisionConfig: defaultRules,
    objectives: [{ description: 'done in time', priority: 50, metrics: [], requiredCapabilities: skills.slice(0, 3) }],
    performanceTargets: { task_completion_rate: 0.9 },
    turnTaking: { timeoutMs: 60_000, autoAdvance: true },
    turnState: { number: 0, lastParticipantId: null, missed: 0 },
    maxParticipants: 100,
    participantCount: isLarge ? seed.large.agents : seed.participantsEach,
    deadlines: {},
    stats: emptyStats,
    experience: {},
    governance: null,
    protocol: null,
    maxDurationMs: null,
    executionPattern: null,
    nextDeadlineAt: null,
    startedAt: createdAt,
    endedAt: null,
    version: 1,
    createdAt,
    createdBy,
    updatedAt: createdAt,
    updatedBy: createdBy,
  };
}

function toParticipants(index: number, seed: CollabSeed): readonly ParticipantRow[] {
  const isLarge = index === seed.collaborations;
  const length = isLarge ? seed.large.agents : seed.participantsEach;
  return Array.from({ length }, (_, place) => {
    const agentId = agentName(isLarge ? place : (creatorOf(index, seed) + place) % seed.subjects);
    return {
      tenantId: perfTenant,
      collabId: collabId(index),
      participantId: agentId,
      kind: 'agent',
      roleId: 'worker',
      displayName: `Agent ${place}`,
      agentId,
      status: 'active',
      // Three of nine skills, the neighbour's shifted by one.
      capabilities: [0, 1, 2].map((step) => skills[(place + step) % skills.length]!),
      permissions: ['make_decisions'],
      priority: 50,
      weight: 1 / length,
      workload: (place % 5) / 10,
      authority: defaultAuthority,
      position: place,
      replacedBy: null,
      joinedAt: createdAt,
      leftAt: null,
    };
  });
}

/** Tasks of the large one, all given to a third of those who take part: there is something to be advised. */
function toTasks(seed: CollabSeed): readonly TaskRow[] {
  const { agents, tasks } = seed.large;
  return Array.from({ length: tasks }, (_, at) => {
    const holder = 3 * (at % Math.floor(agents / 3));
    return {
      tenantId: perfTenant,
      id: seedId('collabTask', at),
      collabId: largeCollabId(seed),
      name: `Task ${at}`,
      description: null,
      type: null,
      priority: (['critical', 'high', 'medium', 'low'] as const)[at % 4]!,
      effortHours: 1 + (at % 8),
      requiredSkills: [skills[holder % skills.length]!],
      skillWeights: {},
      dependsOn: [],
      deliverables: [],
      risks: [],
      assignedTo: agentName(holder),
      helpers: [],
      teamSize: null,
      status: 'assigned',
      progress: 0,
      note: null,
      position: at,
      deadline: null,
      plannedStart: null,
      plannedFinish: null,
      startedAt: null,
      finishedAt: null,
      version: 1,
      createdAt,
      createdBy: agentName(0),
    };
  });
}

/** Values as COPY takes them: everything that is no scalar is JSON. */
function valuesOf<Row>(record: RecordShape<Row>, row: Row): readonly CopyValue[] {
  const { ord: _ord, ...values } = record.toRecord(row, 0);
  return Object.values(values).map((value) =>
    typeof value === 'object' && value !== null ? JSON.stringify(value) : (value as CopyValue),
  );
}

/** Collaborations as they stand when their events have left the log: stream heads and the replica say what those would. */
export async function seedCollabs(sql: Sql, seed: CollabSeed, log: (text: string) => void): Promise<void> {
  const copy = <Row>(table: string, record: RecordShape<Row>, rows: readonly Row[]) =>
    copyRows(
      sql,
      table,
      record.names.split(', '),
      rows.map((row) => valuesOf(record, row)),
    );
  const all = seed.collaborations + 1;
  for (let from = 0; from < all; from += chunkRows) {
    const indexes = Array.from({ length: Math.min(chunkRows, all - from) }, (_, at) => from + at);
    await copy(
      'collab.collaboration',
      collabRecord,
      indexes.map((index) => toCollab(index, seed)),
    );
    await copy(
      'collab.participant',
      participantRecord,
      indexes.flatMap((index) => toParticipants(index, seed)),
    );
    log(`${from + indexes.length} collaborations stored`);
  }
  await copy('collab.task', taskRecord, toTasks(seed));
  await sql.unsafe(
    'INSERT INTO collab.stream_head (tenant_id, stream_id, last_sequence) SELECT tenant_id, id, 3 FROM collab.collaboration',
  );
  await sql.unsafe(
    `INSERT INTO collab.replica (tenant_id, type, id, status, detail, sequence) SELECT tenant_id, 'Context', id, status, '{}', 1 FROM context.context`,
  );
}
