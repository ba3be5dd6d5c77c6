import { type Measurement, measurementOf } from '../measurement.ts';
import { cachesOff } from '../profile.ts';
import { profilingEnvironment } from '../profiling.ts';
import type { Scenario, SeedOptions } from '../scenario.ts';
import { seedContexts } from '../seeds/context.ts';
import { type DialogSeed, seedDialogs } from '../seeds/dialog.ts';
import type { DialogParams } from '../workloads/dialog.ts';
import { agentTokens, boundBy, closedLoop, throughputMargin, variants, watchCache } from './context.ts';

/** Rows that are an operation of the mix; the rest of the mix is there for what it does to them. */
const rows = {
  send_message: 'l2.dialog_module.send_message',
  receive_message: 'l2.dialog_module.receive_message',
  dialog_history: 'l2.dialog_module.dialog_history',
} as const;

/** What every smoke run of dialogs uses: one small data set. */
export const smokeDialogs: DialogSeed = {
  contexts: 20,
  dialogs: 50,
  participantsPerDialog: 10,
  subjects: 20,
  messages: 2_000,
};

export function dialogSeed(seed: DialogSeed): SeedOptions {
  return {
    name: `dialogs${seed.dialogs}x${seed.participantsPerDialog}`,
    version: 1,
    async load(sql, log) {
      await seedContexts(sql, seed.contexts, log);
      await seedDialogs(sql, seed, log);
    },
  };
}

export const scenarios: readonly Scenario[] = [
  {
    rows: [...Object.values(rows), 'throughput.api_endpoints.dialog_operations'],
    title: 'dialog mix',
    async run(environment) {
      const design = environment.design(rows.send_message);
      const { contexts = 0, dialogs = 0, participants = 0, messages = 0 } = design.dataSet;
      const seed: DialogSeed = environment.smoke
        ? smokeDialogs
        : { contexts, dialogs, participantsPerDialog: participants / dialogs, subjects: 1_000, messages };
      const measurements: Measurement[] = [];
      for (const variant of environment.smoke ? variants.slice(0, 1) : variants) {
        const database = await environment.prepareDatabase(dialogSeed(seed));
        const env = { ...profilingEnvironment(), ...(variant === 'caches off' ? cachesOff : {}) };
        const server = await environment.startServer({ database, env });
        const params: DialogParams = { seed, tokens: await agentTokens(server, seed.subjects), mix: design.mix };
        const load = { workload: new URL('../workloads/dialog.ts', import.meta.url), params, server, database };
        const cache = watchCache(server);
        const result = await environment.load({
          ...load,
          arrival: { kind: 'open', ratePerSecond: design.ratePerSecond! * throughputMargin },
          durationSeconds: design.durationSeconds,
          onWindow: cache.onWindow,
        });
        const cachedShare = await cache.share();
        const { polls = 0, received = 0, searches = 0, matches = 0 } = result.facts;
        const shared = { variant, boundBy: boundBy(result), ...(cachedShare === undefined ? {} : { cachedShare }) };
        const p95 = (name: string) => `${name} p95 ${result.operations[name]?.latency.p95Ms.toFixed(1)} ms`;
        const notes: Record<keyof typeof rows, string[]> = {
          send_message: [`beside it ${p95('get_dialog')}, ${p95('ack_messages')}, ${p95('react_to_message')}`],
          receive_message: [`${(received / Math.max(1, polls)).toFixed(2)} messages a poll`],
          dialog_history: [
            `${p95('search_messages')}; a search matches ${(matches / Math.max(1, searches)).toFixed(0)} messages, a quarter of them over all dialogs of the caller`,
          ],
        };
        for (const operation of Object.keys(rows) as (keyof typeof rows)[]) {
          measurements.push(
            measurementOf(result, { ...shared, row: rows[operation], operation, notes: notes[operation] }),
          );
        }
        measurements.push(
          measurementOf(result, {
            ...shared,
            row: 'throughput.api_endpoints.dialog_operations',
            achieved: result.achievedPerSecond,
            notes: await closedLoop(environment, { ...load, params: { ...params, resumed: true } }),
          }),
        );
        await server.stop();
      }
      return measurements;
    },
  },
];
