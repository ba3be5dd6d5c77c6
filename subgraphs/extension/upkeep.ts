import type { JobHandler } from '#shared/jobs.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import type { Commands } from './commands.ts';
import type { Engine } from './engine.ts';
import type { Checks } from './registry/checks.ts';
import type { Stopping } from './registry/stopping.ts';
import type { FailureValue } from './rows.ts';
import { findExtensions, setSandboxStatus } from './store.ts';
import { systemSubject } from './system.ts';

/** Once a minute. */
export const extensionCrontab = ['* * * * * extension.upkeep'];

/** Steps that a process left half done are given up after so long, minutes. */
const stuckMinutes = 5;
/** Health checks that may fail one after the other. */
const maxHealthFailures = 3;
const maxChecked = 500;

export interface UpkeepDeps {
  readonly commands: Commands;
  readonly engine: Engine;
  readonly checks: Checks;
  readonly stopping: Stopping;
}

/** Ends what nobody is working on any more, and asks running extensions how they are. */
export function createUpkeep({ sql, logger }: ModuleRuntime, { commands, engine, checks, stopping }: UpkeepDeps) {
  const actorOf = (tenantId: string) => ({ tenantId, subject: systemSubject, scope: null });

  async function endStuck(): Promise<void> {
    const rows = (await sql.unsafe(
      `SELECT tenant_id AS "tenantId", id FROM extension.extension WHERE runtime_state IN ('installing', 'activating', 'reloading', 'deactivating')
         AND updated_at < now() - interval '${stuckMinutes} minutes' LIMIT 1000`,
    )) as unknown as { tenantId: string; id: string }[];
    for (const { tenantId, id } of rows)
      await commands.change(
        actorOf(tenantId),
        id,
        { action: 'extension.recover', type: 'extension.status.changed', evenLocked: true },
        (row) => {
          const error: FailureValue = {
            type: 'interrupted',
            code: 'UNAVAILABLE',
            message: `nobody went on with ${row.runtimeState}`,
            at: new Date().toISOString(),
          };
          switch (row.runtimeState) {
            // The release before the switch runs on, the one after it had been there.
            case 'reloading':
              return { row: { runtimeState: 'active', status: 'active' } };
            case 'deactivating':
              return { row: { runtimeState: 'inactive', status: 'inactive' } };
            case 'installing':
            case 'activating':
              return {
                row: { runtimeState: 'error', status: 'inactive', lastError: error, errorCount: row.errorCount + 1 },
              };
            default:
              return null;
          }
        },
      );
  }

  async function checkHealth(): Promise<void> {
    const due = (await sql.unsafe(
      `UPDATE extension.sandbox s SET health_checked_at = now() WHERE (s.tenant_id, s.id) IN (
         SELECT s2.tenant_id, s2.id FROM extension.sandbox s2 JOIN extension.extension e ON e.tenant_id = s2.tenant_id AND e.id = s2.extension_id
         WHERE e.runtime_state = 'active' AND s2.health_checked_at < now() - interval '30 seconds' ORDER BY s2.health_checked_at LIMIT ${maxChecked} FOR UPDATE OF s2 SKIP LOCKED)
       RETURNING s.tenant_id AS "tenantId", s.extension_id AS "extensionId"`,
    )) as unknown as { tenantId: string; extensionId: string }[];
    for (const { tenantId, extensionId } of due) {
      const [row] = await findExtensions(sql, tenantId, [extensionId]);
      if (row?.runtimeState !== 'active') continue;
      const release = await engine.runnable(tenantId, row.currentReleaseId!);
      const problem = await checks.runHook(row, release, 'health_check').then(
        () => null,
        (error: unknown) => String(error),
      );
      const [counted] = (await sql.unsafe(
        `UPDATE extension.sandbox SET health_failures = CASE WHEN $3::boolean THEN health_failures + 1 ELSE 0 END WHERE tenant_id = $1 AND extension_id = $2 RETURNING health_failures AS n`,
        [tenantId, extensionId, problem !== null],
      )) as unknown as { n: number }[];
      if ((counted?.n ?? 0) < maxHealthFailures) continue;
      logger.warn({ extensionId, problem }, 'an extension is not well');
      const failure: FailureValue = {
        type: 'health',
        code: 'SANDBOX_FAILED',
        message: problem ?? '',
        at: new Date().toISOString(),
      };
      const unwell = await commands.change(
        actorOf(tenantId),
        extensionId,
        { action: 'extension.unhealthy', type: 'extension.status.changed', evenLocked: true },
        (current) =>
          current.runtimeState !== 'active'
            ? null
            : {
                row: {
                  runtimeState: 'error',
                  status: 'inactive',
                  lastError: failure,
                  errorCount: current.errorCount + 1,
                },
                told: { error: failure },
                write: (tx, next) => setSandboxStatus(tx, next, 'error', failure),
              },
      );
      engine.forget(tenantId, extensionId);
      if (unwell.runtimeState === 'error') await stopping.stopDependants(unwell);
    }
  }

  async function look(): Promise<void> {
    await endStuck();
    await checkHealth();
  }

  return { look, jobs: (): Readonly<Record<string, JobHandler>> => ({ upkeep: look }) };
}

export type Upkeep = ReturnType<typeof createUpkeep>;
