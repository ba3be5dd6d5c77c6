import type { Sql } from '#shared/sql.ts';
import { createRandom } from '../load/random.ts';
import { contextId, perfTenant } from './context.ts';
import { copyRows, withoutIndexes } from './copyRows.ts';
import { seedId } from './seedId.ts';

export interface TraceSeed {
  readonly contexts: number;
  readonly traces: number;
  readonly spansPerTrace: number;
  /** Beside them so many traces of 1,000 spans, and so many of 100 in five services. */
  readonly large: number;
  readonly distributed: number;
}

export const services = ['gateway', 'plan', 'agent', 'store', 'search'] as const;
export const operations = ['GET /', 'run step', 'call tool', 'SELECT', 'rank'] as const;
const hourMs = 3_600_000;

/** Numbers: first the small traces, then those of 1,000 spans, then those of 100. */
export const traceIdAt = (index: number): string => seedId('trace', index);

interface Seeded {
  readonly id: string;
  readonly index: number;
  readonly spans: number;
  readonly at: Date;
}

function* seededTraces(seed: TraceSeed, nowMs: number): Generator<Seeded> {
  const random = createRandom(23);
  const count = seed.traces + seed.large + seed.distributed;
  for (let index = 0; index < count; index += 1) {
    const spans = index < seed.traces ? seed.spansPerTrace : index < seed.traces + seed.large ? 1_000 : 100;
    // Over the last 23 hours: in the window a list has by itself.
    yield { id: traceIdAt(index), index, spans, at: new Date(nowMs - Math.floor(random.next() * 23 * hourMs)) };
  }
}

const spanIdAt = (index: number): string => (index + 1).toString(16).padStart(16, '0');
const isFailed = (index: number): boolean => index % 50 === 7;

function* traceRows(seed: TraceSeed, nowMs: number) {
  for (const { id, index, spans, at } of seededTraces(seed, nowMs)) {
    const startNs = `${at.getTime()}000000`;
    const end = at.getTime() + 2 * spans;
    const failed = isFailed(index);
    yield [
      perfTenant,
      id,
      id.replaceAll('-', ''),
      contextId(index % seed.contexts),
      `run ${index % 100}`,
      failed ? 'failed' : 'completed',
      startNs,
      `${end}000000`,
      spans,
      failed ? 1 : 0,
      at,
      'seed',
      at,
      new Date(end),
    ];
  }
}

/** A root that calls; each span is the child of one an eighth as far, and all lie within the root. */
function* spanRows(seed: TraceSeed, nowMs: number) {
  for (const { id, index, spans, at } of seededTraces(seed, nowMs)) {
    for (let place = 0; place < spans; place += 1) {
      const start = at.getTime() + place;
      const service = services[place % services.length]!;
      yield [
        perfTenant,
        id,
        spanIdAt(place),
        at,
        place === 0 ? null : spanIdAt(Math.floor((place - 1) / 8)),
        operations[place % operations.length]!,
        place === 0 ? 'server' : 'internal',
        service,
        `${start}000000`,
        `${at.getTime() + 2 * spans - place}000000`,
        isFailed(index) && place === spans - 1 ? 'error' : 'ok',
        null,
        false,
        {
          attributes: { 'step.number': place, 'host.name': `host-${place % 20}` },
          resource: { 'service.name': service },
          events: [],
          links: [],
          droppedAttributes: 0,
          droppedEvents: 0,
          droppedLinks: 0,
        },
      ];
    }
  }
}

/** Traces that have ended, as they stand when their events have left the log; the replica has the contexts. */
export async function seedTraces(sql: Sql, seed: TraceSeed, log: (text: string) => void): Promise<void> {
  const nowMs = Date.now();
  await withoutIndexes(sql, 'trace.trace', () =>
    copyRows(
      sql,
      'trace.trace',
      [
        'tenant_id',
        'id',
        'w3c_id',
        'context_id',
        'name',
        'status',
        'start_ns',
        'end_ns',
        'span_count',
        'error_count',
        'created_at',
        'created_by',
        'updated_at',
        'finished_at',
      ],
      traceRows(seed, nowMs),
    ),
  );
  await withoutIndexes(sql, 'trace.span', () =>
    copyRows(
      sql,
      'trace.span',
      [
        'tenant_id',
        'trace_id',
        'span_id',
        'traced_at',
        'parent_span_id',
        'name',
        'kind',
        'service',
        'start_ns',
        'end_ns',
        'status',
        'status_message',
        'late',
        'detail',
      ],
      spanRows(seed, nowMs),
    ),
  );
  await sql.unsafe(
    'INSERT INTO trace.stream_head (tenant_id, stream_id, last_sequence) SELECT tenant_id, id, 1 FROM trace.trace',
  );
  await sql.unsafe(
    `INSERT INTO trace.replica (tenant_id, type, id, status, detail, sequence)
     SELECT tenant_id, 'Context', id, 'known', '{}', 1 FROM context.context ON CONFLICT DO NOTHING`,
  );
  log(`${seed.traces} traces of ${seed.spansPerTrace} spans, ${seed.large} of 1000, ${seed.distributed} of 100`);
}
