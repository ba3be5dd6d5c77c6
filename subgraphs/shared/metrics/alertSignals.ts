import { Gauge, type Registry } from 'prom-client';
import type { Bus } from '../bus.ts';
import type { Sql } from '../sql.ts';
import type { Logger } from '../telemetry.ts';

interface SignalledAlert {
  readonly ruleName: string;
  readonly action: string;
  readonly instance: string | null;
}

export interface AlertSignalOptions {
  readonly bus: Bus;
  /** Database of the platform module. */
  readonly sql: Sql;
  readonly registry: Registry;
  readonly logger: Logger;
  readonly operatorTenant: string;
  readonly instance: string;
  /** Called when an alert takes this instance out of readiness, and when it ends. */
  readonly setAside: (isAside: boolean) => void;
}

/**
 * Lets alerts of the operators reach this process: rules that ask for more instances show in `mplp_scale_up_requested`, which
 * an autoscaler reads, and the instance that an alert names steps aside until the alert is resolved.
 */
export function followAlerts({
  bus,
  sql,
  registry,
  logger,
  operatorTenant,
  instance,
  setAside,
}: AlertSignalOptions): () => void {
  const scaleUp = new Gauge({
    name: 'mplp_scale_up_requested',
    help: 'Alert rules that ask for more instances: 1 while they fire',
    labelNames: ['rule'],
    registers: [registry],
  });
  let isClosed = false;
  sql`SELECT rule_name AS "ruleName" FROM platform.alert
      WHERE tenant_id = ${operatorTenant} AND state = 'FIRING' AND action = 'SCALE_UP'`.then(
    (rows) => {
      for (const { ruleName } of rows as unknown as SignalledAlert[]) scaleUp.set({ rule: ruleName }, 1);
    },
    (error: unknown) => {
      if (!isClosed) logger.warn({ error: String(error) }, 'alerts that fire were not read');
    },
  );
  const stop = bus.subscribe('platform', (messages) => {
    for (const { tenantId, type, data } of messages) {
      if (tenantId !== operatorTenant || (type !== 'platform.alert.fired' && type !== 'platform.alert.resolved'))
        continue;
      const { ruleName, action, instance: named } = data['alert'] as unknown as SignalledAlert;
      const fires = type === 'platform.alert.fired';
      if (action === 'SCALE_UP') scaleUp.set({ rule: ruleName }, fires ? 1 : 0);
      if (action === 'FAILOVER' && named === instance) setAside(fires);
    }
  });
  return () => {
    isClosed = true;
    stop();
  };
}
