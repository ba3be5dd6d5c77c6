import type { RequestScope } from '#shared/context.ts';
import { derivedId } from '#shared/derivedId.ts';
import { PlatformError } from '#shared/errors.ts';
import { isId, newId } from '#shared/ids.ts';
import { callOf, type Once } from '#shared/once.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import { id, parseInput, requireVersion } from '#shared/validation.ts';
import { dashboardInput, type MetricQuery, variablesInput } from './inputs.ts';
import type { PanelCache } from './panelCache.ts';
import type { Range } from './range.ts';

const maxDashboards = 200;
const columns = `id, title, description, panels, revision AS version, created_by AS "createdBy", created_at AS "createdAt", updated_at AS "updatedAt"`;

interface Panel {
  readonly title: string;
  readonly query: MetricQuery;
  readonly visualization: 'LINE';
  readonly unit?: string | null;
  readonly thresholds?: readonly number[] | null;
}

interface DashboardRow {
  readonly id: string;
  readonly title: string;
  readonly description: string | null;
  readonly panels: readonly Panel[];
  readonly version: number;
  readonly createdBy: string;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

const noSuchDashboard = () => new PlatformError('NOT_FOUND', 'no such dashboard', { path: ['dashboardId'] });

export function toLabels(labels: Readonly<Record<string, string>>) {
  return Object.entries(labels).map(([name, value]) => ({ name, value }));
}

function toPanel({ title, query, visualization, unit, thresholds }: Panel) {
  const { metric, fn, labels, by, dividedBy } = query;
  const shown = { title, metric, fn, labels: toLabels(labels), by: by === null ? null : [...by], dividedBy };
  return { ...shown, visualization, unit: unit ?? null, thresholds: [...(thresholds ?? [])] };
}

const toDashboard = (row: DashboardRow) => ({ ...row, panels: row.panels.map(toPanel) });

/** Puts values in the place of `$name` in the labels. @throws {VALIDATION_FAILED} where one is missing. */
function withVariables(query: MetricQuery, variables: Readonly<Record<string, unknown>>): MetricQuery {
  const labels = Object.entries(query.labels).map(([name, value]) => {
    if (!value.startsWith('$')) return [name, value] as const;
    const given = variables[value.slice(1)];
    if (typeof given !== 'string' && typeof given !== 'number')
      throw new PlatformError('VALIDATION_FAILED', `variables: expected a value for ${value.slice(1)}`, {
        path: ['variables'],
      });
    return [name, String(given)] as const;
  });
  return { ...query, labels: Object.fromEntries(labels) };
}

interface DashboardDeps {
  readonly sql: Sql;
  readonly once: Once;
  readonly panels: PanelCache;
}

/** Dashboards of a tenant: what is looked at together. */
export function createDashboards({ sql, once, panels: shown }: DashboardDeps) {
  async function find(
    db: Sql | SqlTransaction,
    tenantId: string,
    dashboardId: string,
    lock = '',
  ): Promise<DashboardRow | null> {
    if (!isId(dashboardId)) return null;
    const [row] = (await db.unsafe(
      `SELECT ${columns} FROM platform.dashboard WHERE tenant_id = $1 AND id = $2 ${lock}`,
      [tenantId, dashboardId],
    )) as unknown as DashboardRow[];
    return row ?? null;
  }

  const changed = (tenantId: string, change: string, resourceId: string, title: string) => ({
    events: [
      {
        streamId: derivedId(`dashboards ${tenantId}`),
        type: `platform.dashboard.${change}`,
        data: { id: resourceId, title },
        tags: [],
      },
    ],
    audit: [{ action: `platform.dashboard.${change}`, resource: 'PlatformDashboard', resourceId }],
  });

  return {
    async dashboards({ principal }: RequestScope) {
      const rows = (await sql.unsafe(
        `SELECT ${columns} FROM platform.dashboard WHERE tenant_id = $1 ORDER BY title, id`,
        [principal.tenantId],
      )) as unknown as DashboardRow[];
      return rows.map(toDashboard);
    },

    async dashboard({ principal }: RequestScope, dashboardId: string) {
      const row = await find(sql, principal.tenantId, dashboardId);
      return row && toDashboard(row);
    },

    /** Makes one, or changes the one named. @throws {VALIDATION_FAILED} {NOT_FOUND} {VERSION_CONFLICT} {QUOTA_EXCEEDED} */
    async putDashboard(
      scope: RequestScope,
      given: unknown,
      {
        dashboardId,
        expectedVersion,
        key,
      }: { dashboardId: string | null; expectedVersion?: number | null; key?: string | null },
    ) {
      const input = parseInput(dashboardInput, given);
      if (dashboardId !== null) parseInput(id, dashboardId, ['dashboardId']);
      const { tenantId, subject } = scope.principal;
      const row = await once<DashboardRow>(scope, {
        call: callOf(scope, key, dashboardId === null ? 'createDashboard' : 'updateDashboard', {
          given,
          dashboardId,
          expectedVersion,
        }),
        async repeat(response) {
          const found = await find(sql, tenantId, (response as { id: string }).id);
          if (!found) throw noSuchDashboard();
          return found;
        },
        async write(tx) {
          const before = dashboardId === null ? null : await find(tx, tenantId, dashboardId, 'FOR UPDATE');
          if (dashboardId !== null && !before) throw noSuchDashboard();
          if (before) requireVersion(expectedVersion, before.version);
          if (!before) {
            const [counted] = (await tx.unsafe(
              'SELECT count(*)::int AS count FROM platform.dashboard WHERE tenant_id = $1',
              [tenantId],
            )) as unknown as { count: number }[];
            if (counted!.count >= maxDashboards)
              throw new PlatformError('QUOTA_EXCEEDED', `expected at most ${maxDashboards} dashboards`, {
                path: ['input'],
              });
          }
          const [written] = (await tx.unsafe(
            `INSERT INTO platform.dashboard AS d (tenant_id, id, title, description, panels, created_by) VALUES ($1, $2, $3, $4, $5::text::jsonb, $6)
             ON CONFLICT (tenant_id, id) DO UPDATE SET title = $3, description = $4, panels = $5::text::jsonb, revision = d.revision + 1, updated_at = now()
             RETURNING ${columns}`,
            [
              tenantId,
              dashboardId ?? newId(),
              input.title,
              input.description ?? null,
              JSON.stringify(input.panels),
              subject,
            ],
          )) as unknown as DashboardRow[];
          const change = changed(tenantId, before ? 'updated' : 'created', written!.id, written!.title);
          return { row: written!, response: { id: written!.id }, changes: [change] };
        },
      });
      return toDashboard(row);
    },

    /** @throws {NOT_FOUND} {VERSION_CONFLICT} */
    async deleteDashboard(
      scope: RequestScope,
      dashboardId: string,
      expectedVersion?: number | null,
      key?: string | null,
    ): Promise<string> {
      parseInput(id, dashboardId, ['dashboardId']);
      const { tenantId } = scope.principal;
      return once<string>(scope, {
        call: callOf(scope, key, 'deleteDashboard', { dashboardId, expectedVersion }),
        repeat: async () => dashboardId,
        async write(tx) {
          const row = await find(tx, tenantId, dashboardId, 'FOR UPDATE');
          if (!row) throw noSuchDashboard();
          requireVersion(expectedVersion, row.version);
          await tx.unsafe('DELETE FROM platform.dashboard WHERE tenant_id = $1 AND id = $2', [tenantId, dashboardId]);
          return { row: dashboardId, response: {}, changes: [changed(tenantId, 'deleted', dashboardId, row.title)] };
        },
      });
    },

    /** All panels at once. Null where there is no such dashboard. @throws {VALIDATION_FAILED} */
    async render({ principal }: RequestScope, dashboardId: string, range: Range, given: unknown) {
      const row = await find(sql, principal.tenantId, dashboardId);
      if (!row) return null;
      const variables = parseInput(variablesInput, given ?? {}, ['variables']);
      const panels = await Promise.all(
        row.panels.map(async (panel) => ({
          panel: toPanel(panel),
          series: await shown.read(principal.tenantId, withVariables(panel.query, variables), range),
        })),
      );
      const { fromMs, stepMs, steps } = range;
      return {
        dashboard: toDashboard(row),
        from: new Date(fromMs),
        to: new Date(fromMs + steps * stepMs),
        stepMs,
        panels,
      };
    },
  };
}
