import { createConsumer } from '#shared/consumer.ts';
import type { JobHandler } from '#shared/jobs.ts';
import { appendChange } from '#shared/outbox.ts';
import { createPrincipal, type Principal } from '#shared/principal.ts';
import type { ModuleRuntime, StartedModule } from '#shared/subgraph.ts';
import { createApprovals } from './approvals.ts';
import { saveStatus } from './assignments.ts';
import { settleAutomatic } from './automatic.ts';
import type { RoleCommands } from './commands.ts';
import { listHolders } from './decision/index.ts';
import { endDelegation } from './delegationEnds.ts';
import { isOpen } from './delegations.ts';
import { permissionEvent } from './events.ts';
import { liveRole } from './lifecycleSteps.ts';
import type { RoleLimits } from './limits.ts';
import { isOpenRequest, saveRequest } from './permissionRequests.ts';
import type { RoleReplicas } from './replicas.ts';
import type { RoleAssignmentRow } from './rows.ts';
import { findDelegations, findDueRoles, findPermissionRequests } from './store.ts';
import type { RoleWork } from './work.ts';

const lookEveryMs = 1_000;
const pageSize = 500;
const traceparent = '00-00000000000000000000000000000001-0000000000000001-00';

/** The module itself, where time or another module decides. */
export function moduleActor(tenantId: string): Principal {
  return createPrincipal({ tenantId, subject: 'role', subjectType: 'service', scopes: ['*'] });
}

export type Upkeep = ReturnType<typeof createUpkeep>;

/** What happens without anyone asking: expiry, approvals that come back, news for holders. */
export function createUpkeep(
  runtime: ModuleRuntime,
  {
    commands,
    replicas,
    limits,
  }: { readonly commands: RoleCommands; readonly replicas: RoleReplicas; readonly limits: RoleLimits },
) {
  const { sql, publisher } = runtime;

  const asModule = (tenantId: string, decide: (work: RoleWork) => Promise<void>) =>
    commands.add({
      scope: { principal: moduleActor(tenantId), traceparent },
      idempotent: null,
      async decide(work) {
        await decide(work);
        return {};
      },
    });

  async function findDue(
    table: 'assignment' | 'delegation' | 'permission_request',
  ): Promise<{ tenantId: string; id: string }[]> {
    const column = table === 'assignment' ? 'expires_at' : 'ends_at';
    const states = table === 'permission_request' ? `'pending', 'approved'` : `'pending', 'active', 'suspended'`;
    return (await sql.unsafe(
      `SELECT tenant_id AS "tenantId", id FROM role.${table} WHERE status IN (${states}) AND ${column} <= now() ORDER BY ${column} LIMIT ${pageSize}`,
      [],
      { prepare: true },
    )) as unknown as { tenantId: string; id: string }[];
  }

  /** Ends what is over, begins what has come and tells reviews; rights go by the clock before. Answers how many. */
  async function expire(): Promise<number> {
    const [assignments, delegations, requests, roles] = await Promise.all([
      findDue('assignment'),
      findDue('delegation'),
      findDue('permission_request'),
      findDueRoles(sql, pageSize),
    ]);
    const ended = assignments.map(({ tenantId, id }) =>
      asModule(tenantId, async (work) => {
        const row = await work.findAssignment(id);
        if (!row || !isStanding(row) || row.expiresAt === null || Date.parse(row.expiresAt) > work.timeMs) return;
        saveStatus(work, row, { status: 'expired', statusReason: 'its time is over' });
      }),
    );
    const over = delegations.map(({ tenantId, id }) =>
      asModule(tenantId, async (work) => {
        const [row] = await findDelegations(work.tx, tenantId, [id]);
        if (row && isOpen(row) && Date.parse(row.endsAt) <= work.timeMs)
          await endDelegation(work, row, 'expired', 'its time is over');
      }),
    );
    const lapsed = requests.map(({ tenantId, id }) =>
      asModule(tenantId, async (work) => {
        const [row] = await findPermissionRequests(work.tx, tenantId, [id]);
        if (row && isOpenRequest(row) && Date.parse(row.endsAt) <= work.timeMs)
          await saveRequest(work, row, { status: 'expired', reason: 'its time is over' });
      }),
    );
    const lived = roles.map(({ tenantId, id }) => asModule(tenantId, (work) => liveRole(work, id)));
    await Promise.all([...ended, ...over, ...lapsed, ...lived]);
    return assignments.length + delegations.length + requests.length + roles.length;
  }

  const { resolve, refused } = createApprovals(asModule, limits);

  /** Tells every holder of a role that its rights have changed. */
  async function tellHolders(payload: unknown): Promise<void> {
    const { tenantId, roleId } = payload as { tenantId: string; roleId: string };
    await replicas.catchUp(tenantId);
    const { direct, inherited } = listHolders((await replicas.load(tenantId)).snapshot, roleId);
    const holders = [...direct, ...inherited];
    for (let at = 0; at < holders.length; at += pageSize) {
      const events = holders.slice(at, at + pageSize).map((subjectId) => permissionEvent(subjectId, roleId));
      const appended = await sql.begin((tx) => appendChange(tx, 'role', [{ tenantId, actor: 'role', events }]));
      await publisher.published(appended as Parameters<typeof publisher.published>[0]);
    }
  }

  /** Gives a role that goes by capabilities to all that have them, and takes it from those that had it so. */
  async function assignAutomatically(payload: unknown): Promise<void> {
    const { tenantId, roleId } = payload as { tenantId: string; roleId: string };
    await replicas.catchUp(tenantId);
    const { snapshot } = await replicas.load(tenantId);
    const subjectIds = [...snapshot.subjects.values()].flatMap(({ subjectId, subject, assignments }) =>
      (subject?.capabilities ?? []).length > 0 || assignments.some(({ row }) => row.roleId === roleId)
        ? [subjectId]
        : [],
    );
    for (let at = 0; at < subjectIds.length; at += pageSize)
      await Promise.all(
        subjectIds
          .slice(at, at + pageSize)
          .map((subjectId) => asModule(tenantId, (work) => settleAutomatic(work, { subjectId, roleId }, limits))),
      );
  }

  return {
    expire,
    assignAutomatically,
    resolve,
    tellHolders,

    jobs: {
      tellHolders,
      assignAutomatically,
      expire: async () => void (await expire()),
    } satisfies Readonly<Record<string, JobHandler>>,

    /** Looks each second for what is over, and follows the confirms where their module exists. */
    async start(): Promise<StartedModule> {
      let running: Promise<unknown> | null = null;
      const look = () => {
        running ??= expire()
          .catch((error: unknown) =>
            runtime.logger.warn({ error: String(error) }, 'expired roles could not be ended; tried again'),
          )
          .finally(() => {
            running = null;
          });
      };
      const timer = setInterval(look, lookEveryMs);
      const consumer = await createConsumer({
        name: 'role.confirms',
        module: 'confirm',
        types: ['confirm.resolved', 'approval.refused'],
        sql: (runtime.consumerSqlOf ?? runtime.sqlOf)('confirm'),
        bus: runtime.bus,
        logger: runtime.logger,
        async handle(events) {
          for (const event of events) await (event.type === 'approval.refused' ? refused(event) : resolve(event));
        },
      });
      return {
        async close() {
          clearInterval(timer);
          await running;
          await consumer.close();
        },
      };
    },
  };
}

function isStanding({ status }: RoleAssignmentRow): boolean {
  return status === 'pending' || status === 'active' || status === 'suspended';
}
