import { openLoad } from '../budgets.ts';
import { latencyOf, type Measurement, measurementOf } from '../measurement.ts';
import { agentTokens, boundBy } from '../moduleMix.ts';
import { startRedisProcess } from '../redisProcess.ts';
import type { Scenario } from '../scenario.ts';
import { perfTenant } from '../seeds/context.ts';
import type { EventProcessingParams } from '../workloads/eventProcessing.ts';
import type { EventThroughputParams } from '../workloads/eventThroughput.ts';
import type { ImportDryRunParams } from '../workloads/importDryRun.ts';
import { contextSeed } from './context.ts';

export const scenarios: readonly Scenario[] = [
  {
    rows: ['l1.event_system.event_processing'],
    title: 'all effects of an event',
    async run(environment) {
      const row = 'l1.event_system.event_processing';
      const design = environment.design(row);
      const seed = contextSeed(environment, design);
      const database = await environment.prepareDatabase(seed);
      const server = await environment.startServer({ database });
      const params: EventProcessingParams = {
        url: server.url,
        wsUrl: server.wsUrl,
        databaseUrl: database.url,
        contexts: seed.contexts,
        subscribers: environment.smoke ? 10 : design.dataSet['subscribers']!,
        token: (await agentTokens(server, 1))[0]!,
      };
      const result = await environment.load({
        workload: new URL('../workloads/eventProcessing.ts', import.meta.url),
        params,
        server,
        database,
        ...openLoad(design),
      });
      const fact = (name: string): number => result.facts[name] ?? 0;
      return [
        {
          ...measurementOf(result, { row, operation: 'update_context', boundBy: boundBy(result) }),
          latency: latencyOf(result.facts),
          notes: [
            'from the answer of the mutation',
            `p95 of the read ${fact('readP95Ms').toFixed(1)} ms, the subscriber ${fact('toldP95Ms').toFixed(1)} ms, the replica ${fact('replicaP95Ms').toFixed(1)} ms (looked for every 10 ms)`,
            `the mutation and all its effects: p95 ${result.latency.p95Ms.toFixed(1)} ms`,
          ],
        },
      ];
    },
  },
  {
    rows: ['throughput.real_time_operations.event_processing'],
    title: 'events through bus and hub groups',
    async run(environment) {
      const row = 'throughput.real_time_operations.event_processing';
      const design = environment.design(row);
      const redis = await startRedisProcess();
      if (redis) environment.defer(() => redis.stop());
      else environment.log('redis-server is not installed: the column of other instances is left out');
      const database = await environment.prepareDatabase(
        contextSeed(environment, environment.design('l2.context_module.get_context')),
      );
      const eventsPerBatch = 50;
      const measurements: Measurement[] = [];
      for (const variant of redis ? ['in the process', 'Redis'] : ['in the process']) {
        const params: EventThroughputParams = {
          databaseUrl: database.url,
          streams: environment.smoke ? 50 : design.dataSet['streams']!,
          eventsPerBatch,
          ...(redis && variant === 'Redis' ? { redisUrl: redis.url } : {}),
        };
        const load = (isBare: boolean) =>
          environment.load({
            workload: new URL('../workloads/eventThroughput.ts', import.meta.url),
            params: { ...params, isBare },
            arrival: { kind: 'closed', concurrency: design.concurrency! },
            durationSeconds: design.durationSeconds,
          });
        const result = await load(false);
        const bare = await load(true);
        const rateOf = ({ achievedPerSecond }: typeof result) => achievedPerSecond * eventsPerBatch;
        // The process that is told to be saturated is the one that is measured.
        const { invalid: _saturated, ...measurement } = measurementOf(result, {
          row,
          variant,
          achieved: rateOf(result),
          boundBy: 'one core: making, planning, serialising and counting the events share it',
          notes: [
            `batches of ${eventsPerBatch}, ${(result.facts['bytesPerEvent'] ?? 0).toFixed(0)} bytes serialised an event; all but the socket`,
            `${Math.round(rateOf(bare))} a second by ${variant === 'Redis' ? 'a bare client of Redis' : 'a bare emitter'} and JSON in the same run, ${(bare.facts['bytesPerEvent'] ?? 0).toFixed(0)} bytes an event: ${(rateOf(result) / rateOf(bare)).toFixed(2)} of it`,
            `batch p95 ${result.latency.p95Ms.toFixed(1)} ms; CPU is that of a batch`,
          ],
        });
        measurements.push(measurement);
      }
      return measurements;
    },
  },
  {
    rows: ['l1.validation.business_rule_validation'],
    title: 'dry runs of imports',
    async run(environment) {
      const row = 'l1.validation.business_rule_validation';
      const design = environment.design(row);
      const database = await environment.prepareDatabase(
        contextSeed(environment, environment.design('l2.context_module.get_context')),
      );
      const server = await environment.startServer({ database });
      const params: ImportDryRunParams = {
        bundles: environment.smoke ? 20 : design.dataSet['bundles']!,
        token: await server.token({ tenant: perfTenant, subject: 'admin-1', roles: ['admin'] }),
      };
      const result = await environment.load({
        workload: new URL('../workloads/importDryRun.ts', import.meta.url),
        params,
        server,
        database,
        ...openLoad(design),
      });
      return [
        measurementOf(result, {
          row,
          operation: 'import_dry_run',
          boundBy: boundBy(result),
          notes: ['a tenth is refused by an invariant'],
        }),
      ];
    },
  },
];
