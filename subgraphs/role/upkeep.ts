import { createConsumer } from '#shared/consumer.ts';
import type { EventRow } from '#shared/events.ts';
import { isId } from '#shared/ids.ts';
import type { JobHandler } from '#shared/jobs.ts';
import { appendChange } from '#shared/outbox.ts';
import { createPrincipal, type Principal } from '#shared/principal.ts';
import type { ModuleRuntime, StartedModule } from '#shared/subgraph.ts';
import { saveStatus } from './assignments.ts';
import type { RoleCommands } from './commands.ts';
import { judgeAssignment, listHolders } from './decision/index.ts';
import { endDelegation } from './delegations.ts';
import { permissionEvent } from './events.ts';
import type { RoleReplicas } from './replicas.ts';
import type { RoleAssignmentRow } from './rows.ts';
import { findDelegations } from './store.ts';
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
  { commands, replicas }: { readonly commands: RoleCommands; readonly replicas: RoleReplicas },
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

  async function findDue(table: 'assignment' | 'delegation'): Promise<{ tenantId: string; id: string }[]> {
    const [column, states] =
      table === 'assignment'
        ? ['expires_at', `'pending', 'active', 'suspended'`]
        : ['ends_at', `'active', 'suspended'`];
    return (await sql.unsafe(
      `SELECT tenant_id AS "tenantId", id FROM role.${table} WHERE status IN (${states}) AND ${column} <= now() ORDER BY ${column} LIMIT ${pageSize}`,
      [],
      { prepare: true },
    )) as unknown as { tenantId: string; id: string }[];
  }

  /** Ends what is over; rights have ended by the clock before. Answers how many. */
  async function expire(): Promise<number> {
    const [assignments, delegations] = await Promise.all([findDue('assignment'), findDue('delegation')]);
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
        const isOpen = row?.status === 'active' || row?.status === 'suspended';
        if (row && isOpen && Date.parse(row.endsAt) <= work.timeMs)
          await endDelegation(work, row, 'expired', 'its time is over');
      }),
    );
    await Promise.all([...ended, ...over]);
    return assignments.length + delegations.length;
  }

  /** A `confirm.resolved` that names a waiting assignment ends its waiting. */
  /** Nobody can be asked: the assignment will never be approved. */
  async function refused(event: EventRow): Promise<void> {
    const { approval, message } = event.data as {
      readonly approval?: { readonly reference?: unknown };
      message?: unknown;
    };
    const reference = approval?.reference as { module?: unknown; assignmentId?: unknown } | null | undefined;
    const id = reference?.assignmentId;
    if (reference?.module !== 'role' || !isId(id)) return;
    await asModule(event.tenantId, async (work) => {
      const row = await work.findAssignment(id);
      if (row?.status !== 'pending') return;
      const statusReason = typeof message === 'string' ? message : 'nobody can be asked for approval';
      saveStatus(work, row, {
        status: 'revoked',
        statusReason,
        approval: { required: true, status: 'rejected' },
      });
    });
  }

  async function resolve(event: EventRow): Promise<void> {
    const confirm = event.data['confirm'] as
      | { id?: unknown; targetId?: unknown; status?: unknown; resolution?: unknown; reference?: unknown }
      | undefined;
    const reference = confirm?.reference as { module?: unknown; assignmentId?: unknown } | null | undefined;
    const id = reference?.assignmentId;
    if (reference?.module !== 'role' || !isId(id) || confirm?.targetId !== id) return;
    const confirmId = String(confirm?.id);
    await asModule(event.tenantId, async (work) => {
      const row = await work.findAssignment(id);
      if (row?.status !== 'pending') return;
      if (confirm?.status !== 'approved') {
        const statusReason =
          typeof confirm?.resolution === 'string' ? confirm.resolution : `the approval was ${String(confirm?.status)}`;
        const approval = { required: true, status: 'rejected', confirmId } as const;
        saveStatus(work, row, { status: 'revoked', statusReason, approval });
        return;
      }
      const approval = { required: true, status: 'approved', confirmId } as const;
      const obstacle = findObstacle(work, row);
      if (obstacle === null) saveStatus(work, row, { status: 'active', approval });
      else saveStatus(work, row, { status: 'revoked', statusReason: obstacle, approval });
    });
  }

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

  return {
    expire,
    resolve,
    tellHolders,

    jobs: {
      tellHolders,
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

/** What has come between the request and its approval; separation of duties was what the approval was about. */
function findObstacle(work: RoleWork, { roleId, subjectId, contextId }: RoleAssignmentRow): string | null {
  const place = contextId === null ? {} : { contextId };
  const { refusals } = judgeAssignment(work.sets(), { roleId, subjectId, timeMs: work.timeMs, ...place });
  return refusals.find(({ code }) => code !== 'SOD_VIOLATION')?.message ?? null;
}
