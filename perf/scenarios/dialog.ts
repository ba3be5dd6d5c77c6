import { agentTokens, measureMix, variants } from '../moduleMix.ts';
import type { Scenario, SeedOptions } from '../scenario.ts';
import { seedContexts } from '../seeds/context.ts';
import { type DialogSeed, seedDialogs } from '../seeds/dialog.ts';
import type { DialogParams } from '../workloads/dialog.ts';

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
    run(environment) {
      const design = environment.design(rows.send_message);
      const { contexts = 0, dialogs = 0, participants = 0, messages = 0 } = design.dataSet;
      const seed: DialogSeed = environment.smoke
        ? smokeDialogs
        : { contexts, dialogs, participantsPerDialog: participants / dialogs, subjects: 1_000, messages };
      return measureMix<DialogParams>(environment, {
        designRow: rows.send_message,
        seed: dialogSeed(seed),
        workload: new URL('../workloads/dialog.ts', import.meta.url),
        params: async (server) => ({ seed, tokens: await agentTokens(server, seed.subjects), mix: design.mix }),
        paramsIn: (phase, params) => ({ ...params, resumed: phase !== (environment.smoke ? 'window' : 'warming') }),
        rows,
        throughputRow: 'throughput.api_endpoints.dialog_operations',
        smokeVariants: variants.slice(0, 1),
        notes({ operations, facts: { polls = 0, received = 0, searches = 0, matches = 0 } }) {
          const p95 = (name: string) => `${name} p95 ${operations[name]?.latency.p95Ms.toFixed(1)} ms`;
          return {
            send_message: [`beside it ${p95('get_dialog')}, ${p95('ack_messages')}, ${p95('react_to_message')}`],
            receive_message: [`${(received / Math.max(1, polls)).toFixed(2)} messages a poll`],
            dialog_history: [
              `${p95('search_messages')}; a search matches ${(matches / Math.max(1, searches)).toFixed(0)} messages, a quarter of them over all dialogs of the caller`,
            ],
          };
        },
      });
    },
  },
];
