import { derivedId } from '#shared/derivedId.ts';
import type { EventRow } from '#shared/events.ts';
import { appendChange } from '#shared/outbox.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { platformTenant } from '../settings.ts';
import type { HealthSnapshot, ModuleChange } from './health.ts';
import { type Overall, overalls } from './hysteresis.ts';

/** The stream of what becomes of the platform's health; all tenants follow the same. */
export const healthStream = derivedId('core:health');
const settingName = 'health.overall';

export interface HealthChange {
  readonly overall: Overall;
  /** Null where nothing was told before. */
  readonly before: Overall | null;
  readonly score: number;
  readonly components: HealthSnapshot['components'];
}

/**
 * Tells that the health became another, once: of several processes that see the same, the first one does, and what is told
 * already is not told again after a restart.
 */
export async function tellHealth(
  { sql, publisher }: Pick<ModuleRuntime, 'sql' | 'publisher'>,
  { overall, score, components }: HealthSnapshot,
): Promise<void> {
  let events: readonly EventRow[] = [];
  await sql.begin(async (tx) => {
    const to = overalls.indexOf(overall);
    await tx.unsafe(
      `INSERT INTO core.setting (tenant_id, name, value, updated_by) VALUES ($1, $2, -1, 'system') ON CONFLICT DO NOTHING`,
      [platformTenant, settingName],
      { prepare: true },
    );
    const [told] = (await tx.unsafe(
      'SELECT value FROM core.setting WHERE tenant_id = $1 AND name = $2 FOR UPDATE',
      [platformTenant, settingName],
      { prepare: true },
    )) as unknown as { value: number }[];
    if (told!.value === to) return;
    await tx.unsafe(
      'UPDATE core.setting SET value = $3, updated_at = now() WHERE tenant_id = $1 AND name = $2',
      [platformTenant, settingName, to],
      { prepare: true },
    );
    const change: HealthChange = {
      ...{ overall, before: overalls[told!.value] ?? null, score },
      components: components.filter(({ status }) => status !== 'healthy'),
    };
    events = await appendChange(tx, 'core', [
      {
        tenantId: platformTenant,
        actor: 'system',
        events: [{ streamId: healthStream, type: 'health.changed', data: { change }, tags: [] }],
      },
    ]);
  });
  await publisher.published(events);
}

const moduleSetting = (module: string) => `health.module.${module}`;

/** Tells that modules answer no more, or again, once: what was told last stands in a row of each, connected without one. */
export async function tellModules(
  { sql, publisher }: Pick<ModuleRuntime, 'sql' | 'publisher'>,
  seen: readonly ModuleChange[],
): Promise<void> {
  let events: readonly EventRow[] = [];
  await sql.begin(async (tx) => {
    const names = seen.map(({ module }) => moduleSetting(module)).sort();
    await tx.unsafe(
      `INSERT INTO core.setting (tenant_id, name, value, updated_by) SELECT $1, name, 1, 'system' FROM unnest($2::text[]) AS n(name) ORDER BY name ON CONFLICT DO NOTHING`,
      [platformTenant, names],
      { prepare: true },
    );
    const rows = (await tx.unsafe(
      'SELECT name, value FROM core.setting WHERE tenant_id = $1 AND name = ANY($2::text[]) ORDER BY name FOR UPDATE',
      [platformTenant, names],
      { prepare: true },
    )) as unknown as { name: string; value: number }[];
    const told = new Map(rows.map(({ name, value }) => [name, value === 1]));
    const changes = seen.filter(({ module, isConnected }) => told.get(moduleSetting(module)) !== isConnected);
    if (changes.length === 0) return;
    await tx.unsafe(
      `UPDATE core.setting s SET value = x.value, updated_at = now() FROM json_to_recordset($2::text::json) AS x(name text, value float8)
       WHERE s.tenant_id = $1 AND s.name = x.name`,
      [
        platformTenant,
        JSON.stringify(
          changes.map(({ module, isConnected }) => ({ name: moduleSetting(module), value: Number(isConnected) })),
        ),
      ],
      { prepare: true },
    );
    events = await appendChange(tx, 'core', [
      {
        tenantId: platformTenant,
        actor: 'system',
        events: changes.map((change) => ({
          streamId: healthStream,
          type: change.isConnected ? 'module.connected' : 'module.disconnected',
          data: { change },
          tags: [],
        })),
      },
    ]);
  });
  await publisher.published(events);
}
