import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { EphemeralEvent, EventRow } from '#shared/events.ts';
import { createPrincipal } from '#shared/principal.ts';
import { giveAttributes } from '#shared/rights.ts';
import { createSql, type Sql } from '#shared/sql.ts';
import { type SubgraphName, subgraphNames } from '../../subgraphs/names.ts';
import { loadSubgraphs } from '../../subgraphs/registry.ts';
import { findAccess } from '../../subgraphs/trace/alerts/events.ts';
import { readApi } from '../contract/walk/schema.ts';
import { seedWorld, type World } from '../contract/walk/seed.ts';
import { type HostedPlatform, hostPlatform } from '../support/platform.ts';

// biome-ignore lint/suspicious/noExplicitAny: what a test reads is checked by its expectations
type Json = any;

const tenantId = 'conditional-streams';
/** Modules whose streams do not lie in contexts, or are seen by who takes part in them alone. */
const elsewhere: readonly SubgraphName[] = ['dialog', 'platform', 'role'];
/** Streams that tell nothing of a context, and the inbox of a subject. */
const open = new Set(['systemEvents', 'healthChanged', 'modulesChanged', 'agentsChanged', 'approvalsWaiting']);
/** Streams of a tenant, which pass over what lies in contexts that somebody does not see. */
const tenantWide = new Set(['allocationChanged', 'anomalyAlerts', 'realtimeMetrics']);
const streams = [...(await loadSubgraphs(subgraphNames)).values()]
  .flatMap(({ name, subscriptions }) =>
    Object.entries(subscriptions).map(([field, stream]) => ({ name, field, stream })),
  )
  .filter(({ name, field }) => !elsewhere.includes(name) && !open.has(field));

let platform: HostedPlatform;
let sql: Sql;
let world: World;
let ann: string;
beforeAll(async () => {
  platform = await hostPlatform({ mode: 'one process' });
  sql = createSql(platform.databaseUrl, { applicationName: 'conditional-streams-test', max: 2 });
  ann = await platform.token({ tenant: tenantId, subject: 'ann', roles: ['admin'] });
  world = await seedWorld(platform, readApi(), { tenant: tenantId, owner: 'ann', token: ann, watched: false }, 1);
  expect(world.failures).toEqual([]);
  // Streams in which nothing happens any more are told nothing: these go on.
  await sql`UPDATE plan.session SET status = 'OPEN' WHERE tenant_id = ${tenantId}`;
  await sql`UPDATE core.execution SET completed_at = NULL WHERE tenant_id = ${tenantId}`;
}, 300_000);
afterAll(async () => {
  await sql?.end();
  await platform?.close();
});

async function list(expression: string | null): Promise<void> {
  const entry = { principal: 'member', principalType: 'ROLE', resource: 'context', actions: ['READ'] };
  const permissions = expression === null ? [] : [{ ...entry, conditions: { expression } }];
  const { data, errors } = await platform.query<Json>(
    'mutation ($id: ID!, $patch: ContextPatch!) { updateContext(contextId: $id, patch: $patch) { userErrors { code message } } }',
    { id: world.ids['contextId'], patch: { accessControl: { visibility: 'PRIVATE', permissions } } },
    { token: ann },
  );
  expect([errors, data?.updateContext.userErrors]).toEqual([[], []]);
}

function someone() {
  const principal = createPrincipal({ tenantId, subject: 'eve', roles: ['member'] });
  // What is recorded is replaced, never changed.
  let attributes = { department: 'legal' };
  giveAttributes(principal, () => () => attributes);
  return {
    principal,
    moveTo(department: string) {
      attributes = { department };
    },
  };
}

type Stream = (typeof streams)[number];

/** Arguments by the ids of the world: of an execution there are two kinds, of a session too. */
function argsOf({ name, field }: Stream): Readonly<Record<string, unknown>> {
  const { ids } = world;
  if (tenantWide.has(field)) return {};
  if (name === 'core') return { executionId: ids['workflowExecutionId'] };
  return name === 'plan' ? { ...ids, sessionId: ids['planSessionId'] } : ids;
}

const admit = (one: Stream, principal: ReturnType<typeof createPrincipal>) =>
  one.stream.admit(principal, argsOf(one), { sql });

/** Something that happens in the context and says nothing of who sees it. */
async function happening(one: Stream, principal: ReturnType<typeof createPrincipal>): Promise<EphemeralEvent> {
  const contextId = world.ids['contextId']!;
  const access = (await findAccess(sql, [{ tenantId, contextId }])).get(`${tenantId}/${contextId}`) ?? null;
  return {
    ...{ tenantId, module: one.stream.module, streamId: one.stream.streamId(argsOf(one), principal) },
    ...{ type: 'something.happened', actor: 'ann', createdAt: new Date().toISOString() },
    data: tenantWide.has(one.field)
      ? { allocation: { contextId }, alert: { contextId }, window: { contextId }, access }
      : {},
  };
}

/** What the stream has told since, of those it tells also to whom it shows nothing. */
async function toldSince({ stream }: Stream, streamId: string, since: number): Promise<readonly EventRow[]> {
  return (await sql.unsafe(
    `SELECT tenant_id AS "tenantId", stream_id AS "streamId", sequence::float8 AS sequence, type, actor, data, created_at AS "createdAt"
     FROM ${stream.module}.event WHERE tenant_id = $1 AND stream_id = $2 AND sequence > $3 ORDER BY sequence`,
    [tenantId, streamId, since],
  )) as unknown as readonly EventRow[];
}

test('every stream of a module with contexts is one of these', () => {
  expect(streams.map(({ field }) => field).sort()).toMatchInlineSnapshot(`
    [
      "allocationChanged",
      "anomalyAlerts",
      "approvalUpdates",
      "capabilityInvoked",
      "collabPerformance",
      "consensusUpdates",
      "contextEvents",
      "contextUpdates",
      "coordinationUpdate",
      "councilChanged",
      "decisionTallyChanged",
      "extensionStatusUpdated",
      "mapEvents",
      "networkEvent",
      "networkMessages",
      "networkMetrics",
      "networkPassingMessages",
      "participantActivities",
      "planExecutionUpdates",
      "planSessionUpdates",
      "realtimeMetrics",
      "sharedStateChanges",
      "taskProgressUpdates",
      "traceUpdates",
      "workflowProgress",
    ]
  `);
});

test.each(streams.map((one) => [`${one.name}: ${one.field}`, one] as const))(
  '%s shows under a condition what it holds, for as long as it does',
  async (_, one) => {
    const isWide = tenantWide.has(one.field);
    const over = isWide ? 'skip' : 'end';
    await list('subject.department == "legal"');
    const eve = someone();
    // Until the module has heard of it.
    const admitted = async () => {
      const [gate, event] = await Promise.all([admit(one, eve.principal), happening(one, eve.principal)]);
      expect(gate.decide(event)).toBe('deliver');
      return gate;
    };
    await vi.waitFor(admitted, { timeout: 10_000 });
    const gate = await admitted();
    const event = await happening(one, eve.principal);
    expect(gate.decide(event)).toBe('deliver');
    // Nothing tells the stream: what is recorded of her is another.
    eve.moveTo('sales');
    expect(gate.decide(event)).toBe(over);
    if (isWide) expect((await admit(one, eve.principal)).decide(event)).toBe('skip');
    else await expect(admit(one, eve.principal)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    eve.moveTo('legal');
    // Who was cut off stays so until it is admitted again.
    expect(gate.decide(event)).toBe(isWide ? 'deliver' : 'end');

    // An equal role and nothing recorded: neither admitted nor shown anything.
    const sam = createPrincipal({ tenantId, subject: 'sam', roles: ['member'] });
    giveAttributes(sam, () => () => undefined);
    if (isWide) expect((await admit(one, sam)).decide(event)).toBe('skip');
    else await expect(admit(one, sam)).rejects.toMatchObject({ code: 'NOT_FOUND' });

    // The entry goes: what the stream is told of it ends it.
    const again = await admit(one, eve.principal);
    expect(again.decide(event)).toBe('deliver');
    const streamId = event.streamId;
    const head = (await toldSince(one, streamId, 0)).at(-1)?.sequence ?? 0;
    await list(null);
    await expect
      .poll(
        async () => {
          for (const told of await toldSince(one, streamId, head)) again.decide(told);
          return again.decide(await happening(one, eve.principal));
        },
        { timeout: 10_000 },
      )
      .toBe(over);
    if (!isWide) await expect(admit(one, eve.principal)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  },
  30_000,
);
