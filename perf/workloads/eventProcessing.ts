import { createSql, type Sql } from '#shared/sql.ts';
import { openGraphqlClient } from '../load/graphqlClient.ts';
import { createHistogram } from '../load/histogram.ts';
import { openSubscription } from '../load/openSubscription.ts';
import { createZipf } from '../load/sampler.ts';
import { type CreateWorkload, type GraphqlResponse, readPath, type Verdict } from '../load/workload.ts';
import { contextId, perfTenant, seededContext } from '../seeds/context.ts';
import { sentence } from '../seeds/words.ts';

export interface EventProcessingParams {
  readonly url: string;
  readonly wsUrl: string;
  readonly databaseUrl: string;
  readonly contexts: number;
  /** Sockets; each follows one of the hottest contexts. */
  readonly subscribers: number;
  readonly token: string;
}

const updateContext = `mutation Update($id: ID!, $patch: ContextPatch!) {
  updateContext(contextId: $id, patch: $patch) { context { version } userErrors { code message } }
}`;
const readVersion = 'query Version($id: ID!) { context(contextId: $id) { id version } }';
const contextUpdates =
  'subscription Updates($id: ID!) { contextUpdates(contextId: $id) { sequence context { version } } }';

const giveUpMs = 5_000;
/** A tenth of the bound: one look at a time, at everything that is waited for, costs next to nothing beside what it looks at. */
const replicaPollMs = 10;
const connections = 64;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Resolves waits once a number has reached what they wait for. */
function createMarks(size: number) {
  const reached = new Uint32Array(size);
  const waits = new Map<number, { value: number; resolve: () => void }[]>();
  return {
    reach(index: number, value: number): void {
      if (value > reached[index]!) reached[index] = value;
      const left = (waits.get(index) ?? []).filter((wait) => {
        if (wait.value > reached[index]!) return true;
        wait.resolve();
        return false;
      });
      if (left.length > 0) waits.set(index, left);
      else waits.delete(index);
    },
    until(index: number, value: number): Promise<void> {
      if (reached[index]! >= value) return Promise.resolve();
      return new Promise((resolve) => waits.set(index, [...(waits.get(index) ?? []), { value, resolve }]));
    },
    waiting: () => [...waits.keys()],
  };
}

/** Looks into the dialog module's replica for what is waited for. Every version of a seeded context is one event of its stream. */
function followReplica(sql: Sql, marks: ReturnType<typeof createMarks>, indexOf: ReadonlyMap<string, number>) {
  let closed = false;
  const running = (async () => {
    while (!closed) {
      const ids = marks.waiting().map(contextId);
      if (ids.length > 0) {
        const rows = await sql<{ id: string; sequence: number }[]>`
          SELECT id, sequence FROM dialog.replica WHERE tenant_id = ${perfTenant} AND type = 'Context' AND id = ANY(${ids}::uuid[])`;
        for (const { id, sequence } of rows) marks.reach(indexOf.get(id)!, sequence);
      }
      await sleep(replicaPollMs);
    }
  })();
  return async (): Promise<void> => {
    closed = true;
    await running;
  };
}

/**
 * Updates of contexts, each followed until a read answers its version, the dialog module's replica has its event and,
 * where a socket follows the context, the subscriber has it. The time from the answer to the last of them is in facts.
 */
export const createWorkload: CreateWorkload<EventProcessingParams> = async (params) => {
  const { url, contexts, subscribers, token } = params;
  // Reads have connections of their own: none waits here for a mutation to be answered.
  const [writer, reader] = await Promise.all(
    [0, 1].map(() => openGraphqlClient({ url, token, connections, timeoutMs: giveUpMs })),
  );
  const zipf = createZipf(contexts);
  const indexOf = new Map(Array.from({ length: contexts }, (_, index) => [contextId(index), index]));
  const told = createMarks(contexts);
  const replicated = createMarks(contexts);
  const all = createHistogram();
  const parts = { read: createHistogram(), told: createHistogram(), replica: createHistogram() };
  const sockets = await Promise.all(
    Array.from({ length: subscribers }, (_, index) =>
      openSubscription(params, { query: contextUpdates, variables: { id: contextId(index) } }, (data) =>
        told.reach(index, Number(readPath(data, 'contextUpdates', 'context', 'version'))),
      ),
    ),
  );
  const sql = createSql(params.databaseUrl, { max: 1, applicationName: 'perf-replica' });
  const stopFollowing = followReplica(sql, replicated, indexOf);
  // Until the last subscription is taken, of which nobody tells.
  await sleep(1_000);

  let isMeasured = false;

  return {
    windowOpens() {
      isMeasured = true;
    },
    operations: [
      {
        name: 'update_context',
        weight: 1,
        async call(random): Promise<Verdict> {
          const counts = isMeasured;
          const index = zipf.sample(random);
          const id = contextId(index);
          const summary = sentence(random, seededContext(index).domain, 20);
          const answer = await writer!.ask(updateContext, { id, patch: { summary } });
          const answeredMs = performance.now();
          const version = readPath(answer.data, 'updateContext', 'context', 'version');
          if (typeof version !== 'number') return `no version was answered: ${JSON.stringify(answer).slice(0, 300)}`;
          const timed = async (part: keyof typeof parts, work: Promise<unknown>): Promise<unknown> => {
            const result = await work;
            if (counts) parts[part].record(performance.now() - answeredMs);
            return result;
          };
          let late: NodeJS.Timeout | undefined;
          const timeout = new Promise<'late'>((resolve) => {
            late = setTimeout(() => resolve('late'), giveUpMs);
          });
          const seen = await Promise.race([
            timeout,
            Promise.all([
              timed('read', reader!.ask(readVersion, { id })),
              index < subscribers ? timed('told', told.until(index, version)) : undefined,
              timed('replica', replicated.until(index, version)),
            ]),
          ]);
          clearTimeout(late);
          if (seen === 'late') return `not all effects of version ${version} were visible after ${giveUpMs} ms`;
          if (counts) all.record(performance.now() - answeredMs);
          const read = Number(readPath((seen[0] as GraphqlResponse).data, 'context', 'version'));
          return read >= version || `a read after the answer got version ${read} instead of ${version}`;
        },
      },
    ],
    facts: () => {
      return {
        ...all.summary(),
        readP95Ms: parts.read.quantile(0.95),
        toldP95Ms: parts.told.quantile(0.95),
        replicaP95Ms: parts.replica.quantile(0.95),
      };
    },
    async close() {
      for (const client of [writer, reader]) client!.close();
      for (const socket of sockets) socket.terminate();
      await stopFollowing();
      await sql.end();
    },
  };
};
