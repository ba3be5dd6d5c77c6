import type { Sql } from 'postgres';
import { expect } from 'vitest';
import type { HostedPlatform } from '../support/platform.ts';

const errors = 'userErrors { code message }';
const create = `mutation ($input: CreateCoreWorkflowInput!) { createWorkflow(input: $input) { workflow { id } ${errors} } }`;
const execute = `mutation ($input: ExecuteCoreWorkflowInput!) { executeWorkflow(input: $input) { execution { id } ${errors} } }`;
const putNode = `mutation ($input: CoreResourceNodeInput!) { putResourceNode(input: $input) { node { id } ${errors} } }`;
const ref = (path: string) => `\${${path}}`;

const effect = (stepId: string, dependsOn: string[]) => ({
  stepId,
  module: 'context',
  action: 'createContext',
  select: 'context { id } userErrors { code message retryable retryAfterMs }',
  input: { input: { title: `${ref('input.name')}-${stepId}`, root: { domain: 'workflows', environment: 'fault' } } },
  dependsOn,
  retry: { maxAttempts: 10, delayMs: 100, maxDelayMs: 1_000 },
  compensation: {
    module: 'context',
    action: 'deleteContext',
    input: { contextId: ref('self.output.context.id'), force: true },
  },
});
/** The same while it holds a core. */
const holding = (stepId: string, dependsOn: string[]) => ({
  ...effect(stepId, dependsOn),
  resources: { requirements: { cpuCores: 1 } },
});
const good = { steps: [effect('a', []), effect('b', ['a'])] };
/** Its run as a whole holds one. */
const whole = { ...good, resources: { requirements: { cpuCores: 1 } } };
const leased = { steps: [holding('a', []), holding('b', ['a'])] };
/** Its last step deletes what does not exist: everything before it has to be undone. */
const bad = {
  steps: [
    effect('a', []),
    holding('b', ['a']),
    {
      stepId: 'end',
      module: 'context',
      action: 'deleteContext',
      input: { contextId: '5b1f0c52-91d4-4e0b-8c6a-00000000abcd' },
      dependsOn: ['b'],
    },
  ],
};
const lastOutput = (platform: HostedPlatform) => platform.output().slice(-2_000);
const isBad = (n: number) => n % 5 === 0;
const isLeased = (n: number) => n % 5 === 1;
const isWhole = (n: number) => n % 5 === 2;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

export interface WorkflowLoadOptions {
  readonly sql: Sql;
  /** Those that are asked; what stands in a place may change meanwhile. */
  readonly platforms: readonly HostedPlatform[];
  /** A multiple of five: two of five have steps that hold resources, one of five as a whole, one of five has to be undone. */
  readonly total: number;
  /** Cores of the only node, of which steps and runs hold one each. */
  readonly cpuCores: number;
}

/** A load of workflows that ends well or is undone, whatever happens to what carries it out. */
export function createWorkflowLoad({ sql, platforms, total, cpuCores }: WorkflowLoadOptions) {
  async function ask(query: string, input: object): Promise<string> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        const answer = await platforms[attempt % platforms.length]!.query<
          Record<string, Record<string, { id: string } | null>>
        >(query, { input });
        const payload = Object.values(answer.data ?? {})[0];
        const id = payload?.['workflow']?.id ?? payload?.['execution']?.id ?? payload?.['node']?.id;
        if (id !== undefined) return id;
        if (attempt > 200) throw new Error(JSON.stringify(answer));
      } catch (error) {
        // The process is gone: another is asked, under the same key.
        if (attempt > 200) throw error;
      }
      await pause(100);
    }
  }

  /** How many are over; what the database does not answer is asked again. */
  const ended = async (): Promise<number> => {
    const rows = await sql<
      { ended: number }[]
    >`SELECT count(*)::int AS ended FROM core.execution WHERE completed_at IS NOT NULL`.catch(() => null);
    return rows?.[0]?.ended ?? 0;
  };
  const stuck = () =>
    sql`SELECT e.status, e.ending, s.step_id, s.status AS step, s.phase, s.error->>'code' AS code, count(*)::int AS n, max(e.next_at - now()) AS due
        FROM core.execution e JOIN core.step_execution s ON s.tenant_id = e.tenant_id AND s.execution_id = e.id
        WHERE e.completed_at IS NULL GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY n DESC LIMIT 20`;

  return {
    /** Starts them one after the other, `everyMs` apart; answers their executions. */
    async start(everyMs: number): Promise<readonly Promise<string>[]> {
      // Fewer than the workers could use: steps wait for each other's.
      await ask(putNode, { name: 'node', capacity: { cpuCores } });
      const define = (name: string, definition: object) =>
        ask(create, { name, definition: { ...definition, timeoutMs: 890_000 } });
      const [leasedId, wholeId, goodId, badId] = [
        await define('leased', leased),
        await define('whole', whole),
        await define('good', good),
        await define('bad', bad),
      ];
      return Array.from({ length: total }, async (_item, n) => {
        await pause(n * everyMs);
        const workflowId = isBad(n) ? badId : isLeased(n) ? leasedId : isWhole(n) ? wholeId : goodId;
        return ask(execute, { workflowId, input: { name: `w${n}` }, idempotencyKey: `w${n}` });
      });
    },

    /** Until so many are over. */
    async reach(count: number): Promise<void> {
      for (const until = Date.now() + 400_000; (await ended()) < count; ) {
        if (Date.now() > until)
          throw new Error(
            `${count} did not end: ${JSON.stringify(await stuck())}\n${platforms.map(lastOutput).join('\n')}`,
          );
        await pause(100);
      }
    },

    /** Every execution is over, each effect there once or undone, the history whole, and nothing held any more. */
    async expectWhole(ids: readonly string[]): Promise<void> {
      expect(new Set(ids).size).toBe(total);
      const states = await sql<
        { name: string; status: string }[]
      >`SELECT input->>'name' AS name, status FROM core.execution`;
      expect(states).toHaveLength(total);
      for (const { name, status } of states)
        expect([name, status]).toEqual([name, isBad(Number(name.slice(1))) ? 'compensated' : 'completed']);
      // Every effect once, and those that were to be undone not at all.
      const effects = await sql<
        { title: string }[]
      >`SELECT title FROM context.context WHERE domain = 'workflows' AND deleted_at IS NULL ORDER BY title`;
      const expected = Array.from({ length: total }, (_, n) => (isBad(n) ? [] : [`w${n}-a`, `w${n}-b`])).flat();
      expect(effects.map(({ title }) => title).sort()).toEqual(expected.sort());
      const made = await sql<
        { count: number }[]
      >`SELECT count(*)::int AS count FROM context.context WHERE domain = 'workflows'`;
      expect(made[0]!.count).toBe(total * 2);
      // History without gap, and the same as the stream of events.
      const gaps =
        await sql`SELECT execution_id FROM core.history GROUP BY tenant_id, execution_id HAVING min(sequence) <> 1 OR max(sequence) <> count(*)`;
      expect([...gaps]).toEqual([]);
      const missing =
        await sql`SELECT h.execution_id FROM core.history h LEFT JOIN core.event e ON e.tenant_id = h.tenant_id AND e.stream_id = h.execution_id AND e.sequence = h.sequence AND e.type = h.type WHERE e.event_id IS NULL`;
      expect([...missing]).toEqual([]);
      const held =
        await sql`SELECT step_id FROM core.step_execution WHERE lease_until IS NOT NULL OR lease_owner IS NOT NULL OR status IN ('running', 'ready', 'retry_wait', 'waiting')`;
      expect([...held]).toEqual([]);
      // So are the resources: whatever was asked for is given back, and nothing is reserved any more.
      const [allocations] = await sql<
        { all: number; open: number; leased: number }[]
      >`SELECT count(*)::int AS all, count(*) FILTER (WHERE status IN ('queued', 'active'))::int AS open, count(DISTINCT execution_id)::int AS leased FROM core.allocation`;
      expect(allocations).toMatchObject({ open: 0, leased: (3 * total) / 5 });
      expect(allocations!.all).toBeGreaterThanOrEqual((4 * total) / 5);
      const reserved = await sql`SELECT name FROM core.node WHERE 0 <> ANY(used)`;
      expect([...reserved]).toEqual([]);
      // Runs that hold a core as a whole had it before their first step, and none of their steps asked for one.
      const early =
        await sql`SELECT h.execution_id FROM core.history h JOIN core.execution e ON e.tenant_id = h.tenant_id AND e.id = h.execution_id
        JOIN core.workflow w ON w.tenant_id = e.tenant_id AND w.id = e.workflow_id WHERE w.name = 'whole'
        GROUP BY h.execution_id HAVING min(h.sequence) FILTER (WHERE h.type = 'workflow.allocated') IS NULL
          OR min(h.sequence) FILTER (WHERE h.type = 'workflow.allocated') > min(h.sequence) FILTER (WHERE h.type = 'step.started')`;
      expect([...early]).toEqual([]);
      const ofRuns =
        await sql`SELECT DISTINCT w.name FROM core.allocation a JOIN core.execution e ON e.tenant_id = a.tenant_id AND e.id = a.execution_id
        JOIN core.workflow w ON w.tenant_id = e.tenant_id AND w.id = e.workflow_id WHERE a.step_id IS NULL`;
      expect(ofRuns.map(({ name }) => name)).toEqual(['whole']);
      const waited = await sql`SELECT 1 FROM core.history WHERE type = 'step.waiting' LIMIT 1`;
      expect(waited).toHaveLength(1);
    },
  };
}
