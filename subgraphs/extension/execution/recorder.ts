import { createBatcher } from '#shared/batch.ts';
import type { EventRow } from '#shared/events.ts';
import { type IdempotentCall, idempotencyRecord } from '#shared/idempotency.ts';
import { isolateFailures } from '#shared/isolate.ts';
import { appendChange, type Change } from '#shared/outbox.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import type { ExtensionExecutionRow } from '../rows.ts';
import { executionRecord } from '../store.ts';

export interface Recorded {
  readonly execution: ExtensionExecutionRow;
  /** JSON of the result where a repeat may ask for it. */
  readonly result: string | null;
  readonly call: IdempotentCall | null;
  /** Only counted: nothing else is kept of it, nor told. */
  readonly isCounted?: boolean;
}

/** Name of the list of an extension's calls. */
export const executionsTag = (extensionId: string) => `Extension:${extensionId}:executions`;

/** Keeps what calls came to: many share a transaction. Each is answered once it is durable. */
export function createRecorder(runtime: ModuleRuntime) {
  const { sql, publisher, config } = runtime;

  async function store(items: readonly Recorded[]): Promise<readonly (EventRow | Error | null)[]> {
    const executions = items.map(({ execution }) => execution);
    const kept = items.filter(({ isCounted }) => isCounted !== true);
    const rows = kept.map(({ execution, result }, ord) => ({
      ...executionRecord.toRecord(execution, ord),
      result_text: result,
    }));
    let events: readonly EventRow[] = [];
    await sql.begin(async (tx) => {
      const writes = [
        tx.unsafe(
          `INSERT INTO extension.execution (${executionRecord.names}, result) SELECT ${executionRecord.from('x')}, x.result_text::jsonb
           FROM json_to_recordset($1::text::json) AS x(${executionRecord.recordset}, result_text text) ORDER BY x.ord`,
          [JSON.stringify(rows)],
          { prepare: true },
        ),
        tx.unsafe(
          `INSERT INTO extension.usage AS u (tenant_id, extension_id, capability_id, method, hour, invocations, failures, crashes, cache_hits, total_ms, max_ms, cpu_ms, memory_peak, host_calls)
           SELECT tenant_id, extension_id, capability_id, method, date_trunc('hour', created_at, 'UTC') AS hour, count(*), count(*) FILTER (WHERE status = 'failed'),
             count(*) FILTER (WHERE crashed), count(*) FILTER (WHERE cache_hit), sum(duration_ms), max(duration_ms), sum(cpu_ms), max(memory_bytes), sum(host_calls)
           FROM json_to_recordset($1::text::json) AS x(${executionRecord.recordset})
           GROUP BY tenant_id, extension_id, capability_id, method, hour ORDER BY tenant_id, extension_id, capability_id, method, hour
           ON CONFLICT (tenant_id, extension_id, capability_id, method, hour) DO UPDATE SET invocations = u.invocations + EXCLUDED.invocations,
             failures = u.failures + EXCLUDED.failures, crashes = u.crashes + EXCLUDED.crashes, cache_hits = u.cache_hits + EXCLUDED.cache_hits,
             total_ms = u.total_ms + EXCLUDED.total_ms, max_ms = greatest(u.max_ms, EXCLUDED.max_ms),
             cpu_ms = u.cpu_ms + EXCLUDED.cpu_ms, memory_peak = greatest(u.memory_peak, EXCLUDED.memory_peak), host_calls = u.host_calls + EXCLUDED.host_calls`,
          [JSON.stringify(executions.map(executionRecord.toRecord))],
          { prepare: true },
        ),
      ];
      [events] = await Promise.all([appendChange(tx, 'extension', kept.map(changeOf)), ...writes]);
    });
    await publisher.published(events);
    const ordered = events.values();
    return items.map(({ isCounted }) => (isCounted === true ? null : (ordered.next().value ?? null)));
  }

  const batcher = createBatcher<Recorded, EventRow | null>({
    maxItems: config.BATCH_MAX_ITEMS,
    maxDelayMs: config.BATCH_MAX_DELAY_MS,
    run: (items) => isolateFailures(items, store),
  });

  return {
    /** Resolves once it is durable. */
    record: (item: Recorded) => batcher.add(item),
    drain: () => batcher.drain(),
  };
}

function changeOf({ execution, call }: Recorded): Change {
  const { logs, hostOperations, ...shown } = execution;
  return {
    tenantId: execution.tenantId,
    actor: execution.caller,
    traceparent: execution.traceparent ?? undefined,
    events: [
      {
        streamId: execution.capabilityId,
        type: 'capability.invoked',
        data: { execution: shown },
        tags: [executionsTag(execution.extensionId)],
      },
    ],
    idempotency: idempotencyRecord(call, { executionId: execution.id }),
  };
}

export type Recorder = ReturnType<typeof createRecorder>;
