import { createLocalBus } from '#shared/bus.ts';
import { readConfig } from '#shared/config.ts';
import { createRequestScope, type RequestScope } from '#shared/context.ts';
import { createPrincipal } from '#shared/principal.ts';
import { createSql } from '#shared/sql.ts';
import { createLogger } from '#shared/telemetry.ts';
import { readSelection } from '../../subgraphs/context/filter.ts';
import { createContextLists } from '../../subgraphs/context/lists.ts';
import type { ContextRow } from '../../subgraphs/context/rows.ts';
import { type ContextSearch, createContextSearch } from '../../subgraphs/context/search/search.ts';
import { createContextReader, findContexts } from '../../subgraphs/context/store.ts';
import { readMetrics } from '../../subgraphs/dialog/reads/metrics.ts';
import { createDialogReader } from '../../subgraphs/dialog/store/dialogs.ts';
import type { Random } from '../load/random.ts';
import { createZipf } from '../load/sampler.ts';
import type { CreateWorkload, ServiceOperation, Verdict } from '../load/workload.ts';
import { contextId, perfTenant } from '../seeds/context.ts';
import { type DialogSeed, dialogId, messageCounts } from '../seeds/dialog.ts';
import { containsWord, domains, searchWords } from '../seeds/words.ts';

export type ReadOperation =
  | 'bare_statement'
  | 'read_context_by_id'
  | 'search_contexts'
  | 'context_facets'
  | 'dialog_metrics';

export interface DatabaseReadsParams {
  readonly databaseUrl: string;
  readonly dialogs: DialogSeed;
  /** Weights by operation. */
  readonly mix: Partial<Readonly<Record<ReadOperation, number>>>;
  /** Reads by key go as concurrent requests of a server do: together. */
  readonly grouped?: boolean;
  /** Searches and facets are answered by the index in memory, which stands when the load begins. */
  readonly indexed?: boolean;
}

const connections = 8;
const pageSize = 20;
const nextPageShare = 0.2;
const indexWaitMs = 120_000;

/** Answers nothing, so that PostgreSQL has to. */
const noIndex: ContextSearch = {
  page: async () => null,
  count: async () => null,
  facets: async () => null,
  close: () => {},
};

interface PageToGoOn {
  readonly query: string;
  readonly filter: Readonly<Record<string, unknown>>;
  readonly after: string;
  readonly ids: ReadonlySet<string>;
}

function judgeRows(rows: readonly ContextRow[], query: string, filter: Readonly<Record<string, unknown>>): Verdict {
  for (const { title, summary, tags, domain } of rows) {
    const text = `${title} ${summary} ${tags.join(' ')}`;
    if (!containsWord(text, query)) return `expected "${query}" in "${text.slice(0, 200)}"`;
    if (filter['domain'] !== undefined && domain !== filter['domain'])
      return `expected ${String(filter['domain'])}, got ${domain}`;
  }
  return true;
}

/** The modules' own statements on a database, in this process: what the caller of the module waits for, without a gateway. */
export const createWorkload: CreateWorkload<DatabaseReadsParams> = async (params) => {
  const { contexts } = params.dialogs;
  const sql = createSql(params.databaseUrl, { applicationName: 'perf-database', max: connections });
  const principal = createPrincipal({
    tenantId: perfTenant,
    subject: 'agent-1',
    scopes: ['context:read', 'dialog:read'],
  });
  const scopeOf = (): RequestScope =>
    createRequestScope({ principal, correlationId: 'perf', traceparent: `00-${'1'.repeat(32)}-${'2'.repeat(16)}-00` });
  const search: ContextSearch = params.indexed
    ? createContextSearch({
        sql,
        bus: createLocalBus((error) => {
          throw error;
        }),
        config: readConfig({ NODE_ENV: 'test' }),
        logger: createLogger('silent'),
      })
    : noIndex;
  const lists = createContextLists(sql, search);
  const reader = createContextReader(sql);
  const dialogs = createDialogReader(sql);
  const ofContexts = createZipf(contexts);
  const ofDialogs = createZipf(params.dialogs.dialogs);
  const ofWords = createZipf(searchWords.length);
  const ids = Array.from({ length: contexts }, (_, index) => contextId(index));
  const counts = messageCounts(params.dialogs.dialogs, params.dialogs.messages);
  const everything = readSelection({}, null);
  const facts = { searches: 0, rows: 0, messages: 0 };
  const goOn: PageToGoOn[] = [];

  if (params.indexed) {
    const giveUpMs = performance.now() + indexWaitMs;
    while ((await search.count(scopeOf(), everything)) === null) {
      if (performance.now() > giveUpMs) throw new Error(`the index was not there after ${indexWaitMs} ms`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  async function readContext(random: Random): Promise<Verdict> {
    const index = ofContexts.sample(random);
    const id = ids[index]!;
    const row = params.grouped
      ? await reader.add({ tenantId: perfTenant, id })
      : (await findContexts(sql, perfTenant, [id]))[0];
    facts.rows += 1;
    return (row?.id === id && row.title.endsWith(` ${index}`)) || `expected context ${index}, got ${row?.title}`;
  }

  async function searchContexts(random: Random): Promise<Verdict> {
    const page = random.next() < nextPageShare ? goOn.pop() : undefined;
    const query = page?.query ?? searchWords[ofWords.sample(random)]!;
    const filter = page?.filter ?? (random.integer(3) === 0 ? { domain: random.pick(domains) } : {});
    const input = { first: pageSize, ...(page === undefined ? {} : { after: page.after }) };
    const { nodes, pageInfo, edges } = await lists.search(scopeOf(), readSelection(filter, query), null, input);
    facts.searches += 1;
    facts.rows += nodes.length;
    if (pageInfo.hasNextPage && nodes.length !== pageSize) return `expected a full page, got ${nodes.length}`;
    if (page && nodes.some(({ id }) => page.ids.has(id))) return 'a context came on two pages';
    if (edges.some(({ score }, at) => at > 0 && score! > edges[at - 1]!.score!)) return 'the scores do not fall';
    if (pageInfo.hasNextPage && pageInfo.endCursor != null && goOn.length < 100)
      goOn.push({ query, filter, after: pageInfo.endCursor, ids: new Set(nodes.map(({ id }) => id)) });
    return judgeRows(nodes, query, filter);
  }

  async function contextFacets(): Promise<Verdict> {
    const facets = await lists.facets(scopeOf(), everything);
    facts.rows += contexts;
    const all = facets.find(({ field }) => field === 'status')?.values.reduce((sum, { count }) => sum + count, 0);
    return all === contexts || `expected ${contexts} contexts by status, got ${all}`;
  }

  async function dialogMetrics(random: Random): Promise<Verdict> {
    const index = ofDialogs.sample(random);
    const dialog = await dialogs.add({ tenantId: perfTenant, dialogId: dialogId(index) });
    if (!dialog) return `expected dialog ${index}`;
    const { messageCount, messagesByType } = await readMetrics(sql, dialog);
    facts.rows += messageCount;
    const byType = messagesByType.reduce((sum, { count }) => sum + count, 0);
    const expected = counts[index]!;
    return (messageCount === expected && byType === expected) || `expected ${expected} messages, got ${messageCount}`;
  }

  async function bareStatement(): Promise<Verdict> {
    const rows = await sql.unsafe('SELECT $1::int AS n', [7], { prepare: true });
    return rows[0]?.['n'] === 7 || 'expected the number that was sent';
  }

  const call: Readonly<Record<ReadOperation, ServiceOperation['call']>> = {
    bare_statement: bareStatement,
    read_context_by_id: readContext,
    search_contexts: searchContexts,
    context_facets: contextFacets,
    dialog_metrics: dialogMetrics,
  };
  return {
    operations: (Object.keys(params.mix) as ReadOperation[]).map((name) => ({
      name,
      weight: params.mix[name]!,
      call: call[name],
    })),
    facts: () => facts,
    async close() {
      search.close();
      await sql.end({ timeout: 5 });
    },
  };
};
