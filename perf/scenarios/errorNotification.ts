import { openLoad } from '../budgets.ts';
import { latencyOf, measurementOf } from '../measurement.ts';
import { boundBy } from '../moduleMix.ts';
import type { Scenario } from '../scenario.ts';
import { perfTenant } from '../seeds/context.ts';
import type { ErrorNotificationParams } from '../workloads/errorNotification.ts';

export const scenarios: readonly Scenario[] = [
  {
    rows: ['l1.error_handling.error_notification'],
    title: 'an error to who follows errors',
    async run(environment) {
      const row = 'l1.error_handling.error_notification';
      const design = environment.design(row);
      const database = await environment.prepareDatabase();
      const server = await environment.startServer({ database });
      const params: ErrorNotificationParams = {
        url: server.url,
        wsUrl: server.wsUrl,
        token: await server.token({ tenant: perfTenant, subject: 'admin-1', roles: ['admin'] }),
        subscribers: environment.smoke ? 10 : design.dataSet['subscribers']!,
      };
      const result = await environment.load({
        workload: new URL('../workloads/errorNotification.ts', import.meta.url),
        params,
        server,
        database,
        ...openLoad(design),
      });
      return [
        {
          ...measurementOf(result, { row, operation: 'error_notification', boundBy: boundBy(result) }),
          latency: latencyOf(result.facts),
          notes: [
            'from sending captureError to a socket having it, a time for each socket; warm-up included',
            'the error is durable before anyone is told; it waits up to 20 ms for company',
            `the answer of captureError and, of one in four, all sockets: p95 ${result.latency.p95Ms.toFixed(1)} ms`,
          ],
        },
      ];
    },
  },
];
