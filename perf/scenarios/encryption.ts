import { measurementOf } from '../measurement.ts';
import type { Scenario } from '../scenario.ts';
import type { EncryptionParams } from '../workloads/encryption.ts';

export const scenarios: readonly Scenario[] = [
  {
    rows: ['l1.security.encryption_decrypt'],
    title: 'field encryption at the service boundary',
    async run(environment) {
      const row = 'l1.security.encryption_decrypt';
      const design = environment.design(row);
      // Keys are made by the service itself, each sealed under the master key; there is nothing else to seed.
      const database = await environment.prepareDatabase();
      const params: EncryptionParams = {
        databaseUrl: database.url,
        keys: environment.smoke ? 5 : design.dataSet['keys']!,
        mix: design.mix,
      };
      const result = await environment.load({
        workload: new URL('../workloads/encryption.ts', import.meta.url),
        params,
        arrival: { kind: 'open', ratePerSecond: design.ratePerSecond!, wake: 'spin' },
        durationSeconds: design.durationSeconds,
        database,
      });
      const largest = Math.max(...['encrypt', 'decrypt'].map((name) => result.operations[name]?.latency.p95Ms ?? 0));
      return [
        measurementOf(result, {
          row,
          variant: 'at the service',
          boundBy: 'AES-256-GCM of the 64 KiB values; the newest version of a key is read anew every five seconds',
          notes: [
            'timed by a spinning clock; its CPU is the clock’s',
            `the slower of encrypt and decrypt alone: p95 ${largest.toFixed(2)} ms; what is decrypted is compared with what was encrypted`,
          ],
        }),
      ];
    },
  },
];
