import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hostPlatform, modes, type Platform } from '../support/platform.ts';
import { subscribe } from '../support/subscribe.ts';
import type { Json } from './rig.ts';

const errors = 'userErrors { code }';
const people = ['owner', 'guest', 'other'] as const;
type Person = (typeof people)[number];

describe.each(modes)('traces of private contexts, %s', (mode) => {
  let platform: Platform;
  const tokens = {} as Record<Person, string>;
  beforeAll(async () => {
    platform = await hostPlatform({ mode, env: { TRACE_HISTORY: 'false' } });
    for (const subject of people) tokens[subject] = await platform.token({ tenant: 'shared', subject });
  });
  afterAll(() => platform.close());

  async function ask(who: Person, document: string, variables: Readonly<Record<string, unknown>> = {}): Promise<Json> {
    const answer = await platform.query<Json>(document, variables, { token: tokens[who] });
    expect(answer.errors).toEqual([]);
    return answer.data;
  }
  const field = async (who: Person, document: string, variables = {}) =>
    Object.values(await ask(who, document, variables))[0] as Json;
  const codes = (payload: Json) => payload.userErrors.map(({ code }: Json) => code);

  const span = (spanId: string, more = {}) => ({
    spanId,
    name: 'work',
    service: 'shop',
    startTimeUnixNano: `${Date.now() - 1_000}000000`,
    endTimeUnixNano: `${Date.now()}000000`,
    ...more,
  });
  const create = (who: Person, contextId: string, correlationId: string) =>
    field(who, `mutation ($input: CreateTraceInput!) { createTrace(input: $input) { trace { id w3cId } ${errors} } }`, {
      input: { contextId, name: 'a trace', correlationId },
    });
  const add = (who: Person, id: string, spans: readonly object[]) =>
    field(
      who,
      `mutation ($id: ID!, $spans: [TraceSpanInput!]!) { addSpans(traceId: $id, spans: $spans) { accepted ${errors} } }`,
      { id, spans },
    );

  test('are hidden from all but owner and participants: reads, lists, entities, analyses, changes and streams', async () => {
    const created = await field(
      'owner',
      `mutation { createContext(input: { title: "open", root: { domain: "d", environment: "e" } }) { context { id } ${errors} } }`,
    );
    const contextId = created.context.id;
    const { trace } = await create('owner', contextId, 'order 7');
    const id = trace.id;
    expect((await add('owner', id, [span('00000000000000a1')])).accepted).toBe(1);
    const elsewhere = await field(
      'other',
      `mutation { createContext(input: { title: "another", root: { domain: "d", environment: "e" } }) { context { id } ${errors} } }`,
    );
    const own = (await create('other', elsewhere.context.id, 'order 7')).trace.id;
    await add('other', own, [span('00000000000000b1')]);

    /** Everything that could tell of the trace, as counts. */
    const see = async (who: Person) => {
      const answer = await ask(
        who,
        `query ($id: ID!, $own: ID!, $w3c: ID!, $context: ID!) { trace(traceId: $id) { id }
           traces(filter: { contextId: $context }) { nodes { id } } traceAnalysis(traceId: $id) { grade }
           exportTrace(traceId: $id) injectContext(traceId: $id, spanId: "00000000000000a1") { traceparent }
           byId: distributedTrace(externalTraceId: $w3c) { services }
           near: distributedTrace(traceId: $own) { related { traceId } }
           together: distributedTrace(correlationId: "order 7") { traces { id } }
           tracesAnalysis(filter: { contextId: $context }) { traceCount }
           traceStatistics(filter: { contextId: $context }) { count } }`,
        { id, own, w3c: trace.w3cId, context: contextId },
      );
      return {
        single: [answer.trace, answer.traceAnalysis, answer.exportTrace, answer.injectContext, answer.byId].filter(
          (value) => value !== null,
        ).length,
        listed: answer.traces.nodes.length,
        near: answer.near.related.filter(({ traceId }: Json) => traceId === id).length,
        together: answer.together.traces.length,
        counted: [answer.tracesAnalysis.traceCount, answer.traceStatistics.count],
      };
    };
    const all = { single: 5, listed: 1, near: 1, together: 2, counted: [1, 1] };
    const nothing = { single: 0, listed: 0, near: 0, together: 1, counted: [0, 0] };
    for (let round = 0; round < 3; round += 1) expect(await see('other')).toEqual(all);

    const follow = (who: Person) =>
      subscribe<{ traceUpdates: { type: string } }>({
        url: platform.url,
        query: 'subscription ($id: ID!) { traceUpdates(traceId: $id) { type } }',
        variables: { id },
        token: tokens[who],
      });
    const [outside, inside] = [follow('other'), follow('owner')];
    await new Promise((resolve) => setTimeout(resolve, 500));
    const hidden = await field(
      'owner',
      `mutation ($id: ID!) { updateContext(contextId: $id, patch: { accessControl: { visibility: PRIVATE } }) { ${errors} } }`,
      { id: contextId },
    );
    expect(codes(hidden)).toEqual([]);
    await expect.poll(() => see('other'), { timeout: 10_000, interval: 50 }).toEqual(nothing);
    for (let round = 0; round < 3; round += 1) {
      expect(await see('owner')).toEqual(all);
      expect(await see('other')).toEqual(nothing);
    }
    // As an entity below what is seen still: the plan of a private context is hidden with it, a list of traces is ours.
    const below = 'query ($id: ID!) { context(contextId: $id) { traces { nodes { id } } } }';
    expect((await field('owner', below, { id: contextId })).traces.nodes).toEqual([{ id }]);
    expect(await field('other', below, { id: contextId })).toBeNull();

    for (const [document, variables] of [
      [`mutation ($id: ID!) { endTrace(traceId: $id) { ${errors} } }`, {}],
      [`mutation ($id: ID!) { deleteTrace(traceId: $id) { ${errors} } }`, {}],
      [
        `mutation ($id: ID!) { updateSpan(traceId: $id, spanId: "00000000000000a1", input: { status: OK }) { ${errors} } }`,
        {},
      ],
    ] as const)
      expect(codes(await field('other', document, { id, ...variables }))).toEqual(['NOT_FOUND']);
    expect(codes(await add('other', id, [span('00000000000000a2')]))).toEqual(['NOT_FOUND']);
    expect(codes(await create('other', contextId, 'order 8'))).toEqual(['NOT_FOUND']);
    const refused = follow('other');
    await expect.poll(() => JSON.stringify(refused.errors), { timeout: 5_000 }).toContain('NOT_FOUND');

    // What happens from here on reaches those inside alone.
    expect((await add('owner', id, [span('00000000000000a3')])).accepted).toBe(1);
    await inside.until((payloads) => payloads.some((entry) => entry.traceUpdates.type === 'trace.spans.added'));
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(outside.payloads.filter((entry) => entry.traceUpdates.type === 'trace.spans.added')).toEqual([]);
    expect(inside.errors).toEqual([]);

    const joined = await field(
      'owner',
      `mutation ($input: AddParticipantInput!) { addParticipant(input: $input) { ${errors} } }`,
      { input: { contextId, agentId: 'guest' } },
    );
    expect(codes(joined)).toEqual([]);
    await expect.poll(() => see('guest'), { timeout: 10_000, interval: 50 }).toEqual(all);
    expect(codes(await create('guest', contextId, 'order 9'))).toEqual([]);
    expect(await see('other')).toEqual(nothing);
    await Promise.all([outside.close(), inside.close(), refused.close()]);
  }, 60_000);
});
