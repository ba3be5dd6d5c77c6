import { appendNotifications } from '../notifications.ts';
import { appendChange } from '../outbox.ts';
import type { SqlTransaction } from '../sql.ts';
import { errorSeverities } from './classify.ts';

/** A group that is new, or was resolved and is back. */
export interface GroupNews {
  readonly tenantId: string;
  readonly fingerprint: string;
}

/** Writes the notifications that groups which are news set off: once a group, not once an error. */
export async function notifyOfGroups(tx: SqlTransaction, news: readonly GroupNews[]): Promise<void> {
  const rows = (await tx.unsafe(
    `SELECT g.tenant_id AS "tenantId", g.fingerprint, g.code, g.message, g.severity, g.module, g.regressions, r.channels
     FROM unnest($1::text[], $2::text[]) AS n(tenant_id, fingerprint)
     JOIN platform.error_group g USING (tenant_id, fingerprint)
     JOIN platform.error_rule r ON r.tenant_id = g.tenant_id AND r.enabled AND (r.modules = '{}' OR g.module = ANY(r.modules))
       AND array_position($3::text[], r.min_severity) <= array_position($3::text[], g.severity)
     ORDER BY 1, 2`,
    [news.map(({ tenantId }) => tenantId), news.map(({ fingerprint }) => fingerprint), [...errorSeverities]],
  )) as unknown as {
    tenantId: string;
    fingerprint: string;
    code: string;
    message: string;
    severity: string;
    module: string;
    regressions: number;
    channels: string[];
  }[];
  for (const { tenantId, channels, ...group } of rows) {
    const subject = `${group.severity}: ${group.module} ${group.code}${group.regressions > 0 ? ', again' : ''}`;
    const jobs = await appendNotifications(tx, { tenantId, channels, subject, body: { kind: 'error', ...group } });
    if (jobs.length > 0) await appendChange(tx, 'platform', [{ tenantId, actor: 'platform', events: [], jobs }]);
  }
}
