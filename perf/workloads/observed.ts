import { createLocalBus } from '#shared/bus.ts';
import { readConfig } from '#shared/config.ts';
import { createRequestScope } from '#shared/context.ts';
import { type CapturedError, capturedType } from '#shared/errorCapture/capture.ts';
import { openLogs } from '#shared/logs/openLogs.ts';
import { loggedType, type StoredLog } from '#shared/logs/record.ts';
import type { Once } from '#shared/once.ts';
import { createPrincipal } from '#shared/principal.ts';
import { createSql } from '#shared/sql.ts';
import { createLogger } from '#shared/telemetry.ts';
import { createErrors } from '../../subgraphs/platform/errors/service.ts';
import { createLogReading } from '../../subgraphs/platform/logging/reading.ts';
import { createLogWriting } from '../../subgraphs/platform/logging/writing.ts';
import { createHistogram } from '../load/histogram.ts';
import { createZipf } from '../load/sampler.ts';
import type { CreateWorkload, Operation } from '../load/workload.ts';
import { perfTenant } from '../seeds/context.ts';
import { errorFingerprints, logSources } from '../seeds/observed.ts';

export interface ObservedParams {
  readonly databaseUrl: string;
  readonly concern: 'logging' | 'errors';
  readonly mix: Readonly<Record<string, number>>;
}

/** The service behind the resolvers, over a database: what a caller waits for, and beside it how long until it is durable. */
export const createWorkload: CreateWorkload<ObservedParams> = ({ databaseUrl, concern, mix }) => {
  const sql = createSql(databaseUrl, { applicationName: 'perf-observed', max: 4 });
  const bus = createLocalBus((error) => {
    throw error;
  });
  const logger = createLogger('silent');
  const logs = openLogs({ sql, bus, logger, config: readConfig({ NODE_ENV: 'test' }) });
  const once: Once = () => Promise.reject(new Error('expected no call with a key'));
  const scope = createRequestScope({
    principal: createPrincipal({ tenantId: perfTenant, subject: 'agent-1', scopes: ['*'] }),
    correlationId: 'perf',
    traceparent: `00-${'1'.repeat(32)}-${'2'.repeat(16)}-00`,
  });
  const writing = createLogWriting({ sql, logs, once });
  const reading = createLogReading(sql);
  const errors = createErrors({ sql, capture: logs.errors, once, operatorTenant: 'platform' });
  const zipf = createZipf(errorFingerprints);
  const durable = createHistogram();
  let waitingMost = 0;

  bus.subscribe('platform', (messages) => {
    for (const { type, data } of messages) {
      const beganMs =
        type === loggedType
          ? Date.parse((data['log'] as StoredLog).timestamp)
          : type === capturedType
            ? (data['error'] as CapturedError).atMs
            : null;
      if (beganMs !== null) durable.record(Date.now() - beganMs);
    }
  });

  const call: Readonly<Record<string, Extract<Operation, { call: unknown }>['call']>> = {
    log_write(random) {
      const level = random.integer(100) === 0 ? 'ERROR' : 'INFO';
      const { accepted } = writing.writeLog(scope, {
        level,
        message: 'measured',
        module: `source-${random.integer(logSources)}`,
        metadata: { n: 1 },
      });
      waitingMost = Math.max(waitingMost, logs.buffer.size);
      return accepted || 'expected the record to be taken';
    },
    async log_query(random) {
      const to = new Date(Date.now() - random.integer(50) * 60_000);
      const filter = {
        modules: [`source-${random.integer(logSources)}`],
        levels: ['INFO'],
        from: new Date(to.getTime() - 300_000),
        to,
      };
      const { nodes } = await reading.logs(scope, filter, { first: 20 });
      return nodes.length > 0 || 'expected a page of records';
    },
    async log_aggregation(random) {
      const from = new Date(Date.now() - (1 + random.integer(24)) * 3_600_000);
      const { total } = await reading.aggregate(scope, { from }, ['LEVEL'], 'MINUTE');
      return total > 0 || 'expected counts';
    },
    error_capture(random) {
      const { accepted, error } = errors.capture(scope, {
        code: 'UNAVAILABLE',
        message: `failure of kind ${'abcdefghijklmnopqrst'[zipf.sample(random)]}`,
        module: 'perf',
      });
      return (accepted && error?.recovery === 'RETRY') || 'expected the error to be taken and classified';
    },
    /** Classified, grouped, and decided by what is known of its group. */
    async error_processing(random) {
      const code = random.pick(['UNAVAILABLE', 'CONFLICT', 'INTERNAL_ERROR']);
      const given = {
        code,
        message: 'processed',
        module: 'perf',
        stack: `Error: processed\n    at step${random.integer(5)} (perf.ts:1:1)`,
      };
      const { error } = errors.capture(scope, given);
      const group = await errors.group(scope, String(random.integer(errorFingerprints)).padStart(32, '0'));
      return (error !== null && group?.status === 'OPEN') || 'expected an open group';
    },
  };
  const own =
    concern === 'logging' ? ['log_write', 'log_query', 'log_aggregation'] : ['error_capture', 'error_processing'];
  return {
    operations: own.map((name) => ({ name, weight: mix[name] ?? 0, call: call[name]! })),
    facts: () => ({
      durableP50Ms: durable.quantile(0.5),
      durableP95Ms: durable.quantile(0.95),
      waitingMost,
      dropped: logs.buffer.dropped + logs.errors.dropped,
    }),
    async close() {
      await logs.close();
      await sql.end({ timeout: 5 });
    },
  };
};
