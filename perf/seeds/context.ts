import type { Sql } from '#shared/sql.ts';
import { defaultAccessControl, defaultConfiguration } from '../../subgraphs/context/inputs.ts';
import { checksumOf } from '../../subgraphs/context/sharedState.ts';
import { searchVector } from '../../subgraphs/context/store.ts';
import { createRandom } from '../load/random.ts';
import { copyRows, withoutIndexes } from './copyRows.ts';
import { seedId } from './seedId.ts';
import { pickDomain, pickWord, sentence } from './words.ts';

export const perfTenant = 'perf';
const owners = 500;
const participantsPerContext = 2;
const dayMs = 86_400_000;

export const contextId = (index: number): string => seedId('context', index);
export const ownerOf = (index: number): string => `owner-${index % owners}`;

export interface SeededContext {
  readonly id: string;
  readonly title: string;
  readonly summary: string;
  readonly domain: string;
  readonly environment: string;
  readonly tags: readonly string[];
  readonly status: 'active' | 'draft' | 'suspended' | 'closed';
  readonly type: string;
}

const types = ['COLLABORATIVE', 'COLLABORATIVE', 'SEQUENTIAL', 'PARALLEL', 'HIERARCHICAL', 'PIPELINE'] as const;
const environments = ['production', 'staging', 'test'] as const;

/** Everything a seeded context says, from its number alone. */
export function seededContext(index: number): SeededContext {
  const random = createRandom(index + 1);
  const domain = pickDomain(random);
  const [first, ...rest] = sentence(random, domain, 4);
  const place = index % 20;
  return {
    id: contextId(index),
    title: `${first!.toUpperCase()}${rest.join('')} ${index}`,
    summary: sentence(random, domain, 12 + random.integer(24)),
    domain,
    environment: random.pick(environments),
    tags: [domain, pickWord(random, domain), `week-${1 + random.integer(52)}`],
    status: place < 16 ? 'active' : place < 18 ? 'draft' : place === 18 ? 'suspended' : 'closed',
    type: random.pick(types),
  };
}

const columns = [
  'tenant_id',
  'id',
  'title',
  'status',
  'root',
  'domain',
  'environment',
  'summary',
  'tags',
  'language',
  'type',
  'lifecycle_stage',
  'owner_id',
  'owner_type',
  'configuration',
  'access_control',
  'priority',
  'participant_count',
  'shared_checksum',
  'last_activity_at',
  'created_at',
  'created_by',
  'updated_at',
  'updated_by',
  'closed_at',
] as const;

function* contextRows(count: number, nowMs: number) {
  const random = createRandom(7);
  const checksum = checksumOf([]);
  for (let index = 0; index < count; index += 1) {
    const { id, title, summary, domain, environment, tags, status, type } = seededContext(index);
    const at = new Date(nowMs - Math.floor(random.next() * 365 * dayMs));
    yield [
      perfTenant,
      id,
      title,
      status,
      { domain, environment },
      domain,
      environment,
      summary,
      tags,
      'en',
      type,
      status === 'closed' ? 'COMPLETED' : 'PLANNING',
      ownerOf(index),
      'USER',
      defaultConfiguration,
      defaultAccessControl,
      random.pick(['LOW', 'NORMAL', 'NORMAL', 'HIGH']),
      participantsPerContext,
      checksum,
      at,
      at,
      ownerOf(index),
      at,
      ownerOf(index),
      status === 'closed' ? at : null,
    ];
  }
}

// Idle: who was active would be looked at by the timers of the module during the run.
function* participantRows(count: number, nowMs: number) {
  const at = new Date(nowMs - 30 * dayMs);
  for (let index = 0; index < count; index += 1) {
    for (let place = 0; place < participantsPerContext; place += 1) {
      yield [
        perfTenant,
        seedId('contextParticipant', index, place),
        contextId(index),
        place === 0 ? ownerOf(index) : `agent-${(index * 7) % 1_000}`,
        'AGENT',
        'INACTIVE',
        place === 0 ? ['owner'] : ['member'],
        ['planning', 'writing'],
        ['read', 'write'],
        at,
        at,
      ];
    }
  }
}

/**
 * Contexts of one tenant with two participants each, as they stand when their events have left the log: stream heads,
 * quota counters and the dialog module's replica say what they would. None is private: one private context of the
 * tenant keeps all its lists out of the shared cache.
 */
export async function seedContexts(sql: Sql, count: number, log: (text: string) => void): Promise<void> {
  const nowMs = Date.now();
  const text = (names: readonly string[]) => names.map((name) => `i.${name}`).join(', ');
  await sql.unsafe('CREATE UNLOGGED TABLE seed_context (LIKE context.context INCLUDING DEFAULTS)');
  await sql.unsafe('ALTER TABLE seed_context ALTER COLUMN search DROP NOT NULL, ALTER COLUMN ordinal DROP NOT NULL');
  await copyRows(sql, 'seed_context', columns, contextRows(count, nowMs));
  log(`${count} contexts copied`);
  await withoutIndexes(sql, 'context.context', async () => {
    await sql.unsafe(
      `INSERT INTO context.context (${columns.join(', ')}, search) SELECT ${text(columns)}, ${searchVector('i')} FROM seed_context i`,
    );
  });
  await sql.unsafe('DROP TABLE seed_context');
  log('contexts indexed');
  await copyRows(
    sql,
    'context.participant',
    [
      'tenant_id',
      'id',
      'context_id',
      'agent_id',
      'type',
      'status',
      'roles',
      'capabilities',
      'permissions',
      'joined_at',
      'last_activity_at',
    ],
    participantRows(count, nowMs),
  );
  await sql.unsafe(
    'INSERT INTO context.stream_head (tenant_id, stream_id, last_sequence) SELECT tenant_id, id, 1 FROM context.context',
  );
  await sql.unsafe(
    `INSERT INTO context.usage (tenant_id, owner_id, open_contexts)
     SELECT tenant_id, coalesce(owner_id, '*'), count(*) FROM context.context WHERE status IN ('draft', 'active', 'suspended')
     GROUP BY tenant_id, GROUPING SETS ((owner_id), ())`,
  );
  await sql.unsafe(
    `INSERT INTO dialog.replica (tenant_id, type, id, status, detail, sequence) SELECT tenant_id, 'Context', id, status, '{}', 1 FROM context.context`,
  );
}
