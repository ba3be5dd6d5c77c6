import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { alice, bob, type ContextRig, openContextRig, principal, stranger } from './rig.ts';

let rig: ContextRig;
const lister = principal('lister', { tenantId: 'lists' });

beforeAll(async () => {
  rig = await openContextRig();
  for (let index = 0; index < 25; index += 1) {
    await rig.createContext(lister, {
      title: `Plan ${String(index).padStart(2, '0')}${index % 5 === 0 ? ' 100%_sure' : ''}`,
      summary: index % 3 === 0 ? 'about <orbital> mechanics' : 'about nothing',
      tags: index % 2 === 0 ? ['even', 'all'] : ['odd', 'all'],
      root: { domain: index < 10 ? 'space' : 'ground', environment: 'test' },
      type: index % 4 === 0 ? 'PIPELINE' : 'COLLABORATIVE',
      activate: index % 6 !== 0,
    });
  }
});
afterAll(() => rig[Symbol.asyncDispose]());

const listQuery = `query ($filter: ContextFilter, $sort: ContextSort, $first: Int, $after: String, $last: Int, $before: String) {
  contexts(filter: $filter, sort: $sort, first: $first, after: $after, last: $last, before: $before) { nodes { id title } edges { cursor } totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }`;

describe('contexts', () => {
  for (const field of ['CREATED_AT', 'UPDATED_AT', 'TITLE', 'LAST_ACTIVITY_AT']) {
    for (const direction of ['ASC', 'DESC']) {
      test(`pages by ${field} ${direction} meet every context once, both ways`, async () => {
        const sort = { field, direction };
        const forward: string[] = [];
        let after: string | null = null;
        do {
          const { contexts } = (await rig.ask(lister, listQuery, { sort, first: 7, after })) as {
            contexts: { [key: string]: never };
          };
          const page = contexts as unknown as {
            nodes: { title: string }[];
            totalCount: number;
            pageInfo: { hasNextPage: boolean; endCursor: string };
          };
          expect(page.totalCount).toBe(25);
          forward.push(...page.nodes.map((node) => node.title));
          after = page.pageInfo.hasNextPage ? page.pageInfo.endCursor : null;
        } while (after !== null);
        expect(new Set(forward).size).toBe(25);
        if (field === 'TITLE')
          expect(forward).toEqual(
            [...forward].sort((a, b) => (direction === 'ASC' ? (a < b ? -1 : 1) : a < b ? 1 : -1)),
          );
        const backward: string[] = [];
        let before: string | null = null;
        do {
          const answer = await rig.ask(lister, listQuery, { sort, last: 6, before });
          const page = answer['contexts'] as unknown as {
            nodes: { title: string }[];
            pageInfo: { hasPreviousPage: boolean; startCursor: string };
          };
          backward.unshift(...page.nodes.map((node) => node.title));
          before = page.pageInfo.hasPreviousPage ? page.pageInfo.startCursor : null;
        } while (before !== null);
        expect(backward).toEqual(forward);
      });
    }
  }

  const counts: readonly [string, Record<string, unknown>, number][] = [
    ['type', { type: ['PIPELINE'] }, 7],
    ['status', { status: ['DRAFT'] }, 5],
    ['no status', { status: [] }, 0],
    ['lifecycleStage', { lifecycleStage: ['PLANNING'] }, 25],
    ['ownerId', { ownerId: 'lister' }, 25],
    ['tagsAny', { tagsAny: ['even', 'odd'] }, 25],
    ['tagsAll', { tagsAll: ['even', 'all'] }, 13],
    ['domain', { domain: 'space' }, 10],
    ['environment', { environment: 'production' }, 0],
    ['language', { language: 'de' }, 0],
    ['createdAt', { createdAt: { from: '2020-01-01T00:00:00Z', to: '2021-01-01T00:00:00Z' } }, 0],
    ['updatedAt', { updatedAt: { from: '2020-01-01T00:00:00Z' } }, 25],
    ['a name', { namePattern: 'plan 01' }, 1],
    ['a name pattern', { namePattern: 'Plan 1*' }, 10],
    ['a pattern with what LIKE takes for wildcards', { namePattern: '*100%_s*' }, 5],
    ['a percent sign that is none', { namePattern: 'Plan%' }, 0],
    ['an agent', { participantAgentId: 'nobody' }, 0],
    ['two at once', { domain: 'space', tagsAll: ['even'] }, 5],
  ];
  test.each(counts)('filter by %s', async (_name, filter, count) => {
    const { contexts } = await rig.ask(lister, listQuery, { filter, first: 100 });
    expect(contexts!['totalCount']).toBe(count);
    expect(contexts!['nodes']).toHaveLength(count);
  });

  test.each([
    [{ first: 0 }, 'VALIDATION_FAILED'],
    [{ first: 101 }, 'VALIDATION_FAILED'],
    [{ last: -1 }, 'VALIDATION_FAILED'],
    [{ first: 1, last: 1 }, 'VALIDATION_FAILED'],
    [{ after: 'nonsense' }, 'CURSOR_INVALID'],
    [
      { after: Buffer.from('["contexts:CREATED_AT:DESC","2026-01-01T00:00:00.000Z","no-id"]').toString('base64url') },
      'CURSOR_INVALID',
    ],
    [
      {
        after: Buffer.from('["contexts:CREATED_AT:DESC","yesterday","6f9619ff-8b86-4011-b42d-00cf4fc964ff"]').toString(
          'base64url',
        ),
      },
      'CURSOR_INVALID',
    ],
    [
      { after: Buffer.from('["contexts:TITLE:ASC","a","6f9619ff-8b86-4011-b42d-00cf4fc964ff"]').toString('base64url') },
      'CURSOR_INVALID',
    ],
    [{ sort: { field: 'RELEVANCE' } }, 'VALIDATION_FAILED'],
    [{ filter: { namePattern: 'a\0b' } }, 'VALIDATION_FAILED'],
    [{ filter: { domain: '\ud800' } }, 'VALIDATION_FAILED'],
    [{ filter: { metadata: [{ key: 'a\0' }] } }, 'VALIDATION_FAILED'],
  ])('refuses %j', async (variables, code) => {
    expect((await rig.run(lister, listQuery, variables)).errors).toMatchObject([{ code }]);
  });

  test('another tenant has a list of its own', async () => {
    expect((await rig.ask(stranger, listQuery))['contexts']).toMatchObject({ nodes: [], totalCount: 0 });
  });

  test('by name: the own one first, else the oldest', async () => {
    const id = await rig.createContext(bob, { title: 'shared name' });
    const own = await rig.createContext(alice, { title: 'shared name' });
    const byName = 'query ($name: String!) { contextByName(name: $name) { id } }';
    const asked = async (who: typeof alice) =>
      (await rig.ask(who, byName, { name: 'shared name' }))['contextByName']?.['id'];
    expect([await asked(alice), await asked(bob), await asked(principal('carol')), await asked(stranger)]).toEqual([
      own,
      id,
      id,
      undefined,
    ]);
    expect((await rig.ask(alice, byName, { name: 'no such' }))['contextByName']).toBeNull();
  });
});

describe('searchContexts', () => {
  const searchQuery = `query ($query: String, $filter: ContextFilter, $sort: ContextSort, $first: Int, $after: String) {
    searchContexts(query: $query, filter: $filter, sort: $sort, first: $first, after: $after) {
      totalCount edges { cursor score snippet node { title } } pageInfo { hasNextPage endCursor } facets { field values { value count } } } }`;

  test('finds, ranks, marks the hits and escapes the rest', async () => {
    const { searchContexts: found } = await rig.ask(lister, searchQuery, { query: 'orbital', first: 3 });
    expect(found!['totalCount']).toBe(9);
    expect(found!['edges']![0]!['snippet']).toMatch(/&lt;<b>orbital<\/b>&gt; mechanics/);
    expect(found!['edges']![0]!['score']).toBeGreaterThan(0);
  });

  test('pages by relevance meet every hit once', async () => {
    const seen: string[] = [];
    let after: string | null = null;
    do {
      const { searchContexts: found } = await rig.ask(lister, searchQuery, { query: 'about OR plan', first: 4, after });
      const page = found as unknown as {
        edges: { node: { title: string } }[];
        pageInfo: { hasNextPage: boolean; endCursor: string };
      };
      seen.push(...page.edges.map(({ node }) => node.title));
      after = page.pageInfo.hasNextPage ? page.pageInfo.endCursor : null;
    } while (after !== null);
    expect([seen.length, new Set(seen).size]).toEqual([25, 25]);
  });

  test('facets count what the filter leaves', async () => {
    const { searchContexts: found } = await rig.ask(lister, searchQuery, { filter: { domain: 'space' } });
    expect(found!['facets']).toEqual([
      {
        field: 'status',
        values: [
          { value: 'ACTIVE', count: 8 },
          { value: 'DRAFT', count: 2 },
        ],
      },
      {
        field: 'type',
        values: [
          { value: 'COLLABORATIVE', count: 7 },
          { value: 'PIPELINE', count: 3 },
        ],
      },
      { field: 'domain', values: [{ value: 'space', count: 10 }] },
      {
        field: 'tags',
        values: [
          { value: 'all', count: 10 },
          { value: 'even', count: 5 },
          { value: 'odd', count: 5 },
        ],
      },
      { field: 'environment', values: [{ value: 'test', count: 10 }] },
    ]);
    expect(found!['edges']![0]).toMatchObject({ score: null, snippet: null });
  });

  test('a query of signs only finds nothing, a blank one filters only', async () => {
    expect((await rig.ask(lister, searchQuery, { query: '!!! ***' }))['searchContexts']!['totalCount']).toBe(0);
    expect((await rig.ask(lister, searchQuery, { query: '  ' }))['searchContexts']!['totalCount']).toBe(25);
  });

  test('totals and facets cost nothing when nobody asks for them', async () => {
    rig.statements.length = 0;
    await rig.ask(lister, 'query { searchContexts(query: "orbital", first: 2) { nodes { title } } }');
    expect(rig.statements).toHaveLength(1);
  });

  test('statistics are exact', async () => {
    const { contextStatistics } = await rig.ask(
      lister,
      'query { contextStatistics { total byStatus { value count } byType { value count } byDomain { value count } participants activeSessions createdLastDay averageParticipants } }',
    );
    expect(contextStatistics).toEqual({
      total: 25,
      byStatus: [
        { value: 'ACTIVE', count: 20 },
        { value: 'DRAFT', count: 5 },
      ],
      byType: [
        { value: 'COLLABORATIVE', count: 18 },
        { value: 'PIPELINE', count: 7 },
      ],
      byDomain: [
        { value: 'ground', count: 15 },
        { value: 'space', count: 10 },
      ],
      participants: 0,
      activeSessions: 0,
      createdLastDay: 25,
      averageParticipants: 0,
    });
  });
});
