import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { alice, bob, type ConfirmRig, type Json, openConfirmRig, principal } from './rig.ts';

let rig: ConfirmRig;
beforeAll(async () => {
  rig = await openConfirmRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const text = `query ($query: String, $filter: DecisionFilter, $first: Int, $after: String, $last: Int, $before: String) {
  searchDecisions(query: $query, filter: $filter, first: $first, after: $after, last: $last, before: $before) {
    nodes { id outcome approver rationale confirm { id title } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount } }`;
const search = async (variables: object, who = alice) =>
  (await rig.ask(who, text, { ...variables }))['searchDecisions']!;
const said = (found: Json) => found['nodes']!.map((node) => String(node['rationale']));
const error = async (variables: object) => (await rig.run(alice, text, { ...variables })).errors;

/** A confirm that bob decides. */
async function decided(title: string, decision: string, rationale: string, input: object = {}): Promise<string> {
  const id = await rig.open(alice, { title, ...input });
  await rig.decide(bob, id, decision, { rationale });
  return id;
}

describe('searchDecisions', () => {
  test('finds words of rationales and titles, newest first', async () => {
    await decided('Bridge over the Ruhr', 'APPROVED', 'The span holds twice the load');
    await decided('Tunnel', 'REJECTED', 'Water in the northern span');
    await decided('A second bridge', 'APPROVED', 'Fine by me');
    expect(said(await search({ query: 'span' }))).toEqual([
      'Water in the northern span',
      'The span holds twice the load',
    ]);
    expect(await search({ query: 'bridge' })).toMatchObject({
      totalCount: 2,
      nodes: [{ confirm: { title: 'A second bridge' } }, { confirm: { title: 'Bridge over the Ruhr' } }],
    });
    expect(said(await search({ query: '"northern span"' }))).toEqual(['Water in the northern span']);
    expect(said(await search({ query: 'span -water' }))).toEqual(['The span holds twice the load']);
    expect(said(await search({ query: 'tunnel or ruhr' }))).toHaveLength(2);
    expect(said(await search({ query: 'nothing of it' }))).toEqual([]);
    expect(said(await search({ query: 'span' }, principal('alice', { tenantId: 'two' })))).toEqual([]);
  });

  test('filters by who, how, when and about what', async () => {
    const target = rig.openTarget();
    const id = await decided('Filtered', 'REJECTED', 'too dear', {
      targetId: target,
      confirmationType: 'TASK_APPROVAL',
    });
    const found = async (filter: object) => said(await search({ query: 'dear', filter }));
    for (const filter of [
      { confirmId: id },
      { contextId: target },
      { targetId: target, targetType: ['CONTEXT'] },
      { confirmationType: ['task_approval'] },
      { approver: 'bob' },
      { decidedByRole: 'member' },
      { outcome: ['REJECTED', 'APPROVED'] },
      {
        decidedAt: {
          from: new Date(Date.now() - 60_000).toISOString(),
          to: new Date(Date.now() + 60_000).toISOString(),
        },
      },
    ])
      expect([filter, await found(filter)]).toEqual([filter, ['too dear']]);
    for (const filter of [
      { contextId: rig.openTarget() },
      { targetType: ['PLAN'] },
      { confirmationType: ['risk_acceptance'] },
      { approver: 'carol' },
      { decidedByRole: 'vp' },
      { outcome: ['APPROVED'] },
      { decidedAt: { to: new Date(Date.now() - 60_000).toISOString() } },
    ])
      expect([filter, await found(filter)]).toEqual([filter, []]);
    // Without words: all of the confirm.
    expect(said(await search({ filter: { confirmId: id } }))).toEqual(['too dear']);
  });

  test('a title changed in a draft is the one that is found', async () => {
    const id = await rig.open(alice, { title: 'Unfinished wording', draft: true });
    await rig.mutate(alice, 'updateApproval', 'ApprovalRevisionInput', { confirmId: id, title: 'Finished phrasing' });
    await rig.ask(alice, `mutation ($id: ID!) { submitApproval(confirmId: $id) { ${rig.selection} } }`, { id });
    await rig.decide(bob, id, 'APPROVED');
    expect((await search({ query: 'unfinished' }))['totalCount']).toBe(0);
    expect((await search({ query: 'phrasing' }))['totalCount']).toBe(1);
  });

  test('pages forth and back over decisions of one instant, without gap or repeat', async () => {
    const id = await rig.open(alice, {
      approvers: Array.from({ length: 9 }, (_, index) => ({ subject: `voter-${index}` })),
      quorum: { kind: 'UNANIMOUS' },
    });
    for (let index = 0; index < 9; index += 1)
      await rig.decide(principal(`voter-${index}`), id, 'APPROVED', { rationale: `paged ${index}` });
    await rig.sql`UPDATE confirm.decision SET decided_at = '2026-01-01' WHERE confirm_id = ${id} AND sequence < 7`;
    const all = said(await search({ query: 'paged' }));
    expect(all).toHaveLength(9);
    const forth: string[] = [];
    let after: unknown = null;
    do {
      const page = await search({ query: 'paged', first: 2, after });
      forth.push(...said(page));
      after = page['pageInfo']!['hasNextPage'] ? page['pageInfo']!['endCursor'] : null;
    } while (after !== null);
    expect(forth).toEqual(all);
    const last = await search({ query: 'paged', last: 4 });
    expect(said(last)).toEqual(all.slice(5));
    expect(said(await search({ query: 'paged', last: 4, before: last['pageInfo']!['startCursor'] }))).toEqual(
      all.slice(1, 5),
    );
  });

  test('refuses what is no query, no filter and no cursor of it', async () => {
    expect(await error({ query: '' })).toMatchObject([{ code: 'VALIDATION_FAILED' }]);
    expect(await error({ query: 'x'.repeat(1_001) })).toMatchObject([{ code: 'VALIDATION_FAILED' }]);
    expect(await error({ query: 'a\0b' })).toMatchObject([{ code: 'VALIDATION_FAILED' }]);
    expect(await error({ first: 101 })).toMatchObject([{ code: 'VALIDATION_FAILED' }]);
    expect(await error({ filter: { contextId: 'none' } })).toMatchObject([{ code: 'VALIDATION_FAILED' }]);
    expect(await error({ after: 'bm9uZQ' })).toMatchObject([{ code: 'CURSOR_INVALID' }]);
    // A query without a word finds nothing.
    expect((await search({ query: '"' }))['totalCount']).toBe(0);
  });

  test('counts up to ten thousand, and reads by its indexes, whether a word is rare or in all of them', async () => {
    const id = await decided('Many', 'APPROVED', 'seldom');
    await rig.sql`INSERT INTO confirm.confirm
      SELECT (jsonb_populate_record(c, '{"tenant_id": "many"}')).* FROM confirm.confirm c WHERE id = ${id}`;
    await rig.sql`INSERT INTO confirm.decision
      (tenant_id, confirm_id, sequence, id, approver, role, outcome, conditions, decided_at, previous_hash, hash, rationale, search)
      SELECT 'many', ${id}, n, gen_random_uuid(), 'bob', 'r', 'approved', '[]', timestamptz '2026-01-01' + n * interval '1 second', '', '',
        CASE WHEN n % 10000 = 0 THEN 'often rare' ELSE 'often' END, to_tsvector('simple', CASE WHEN n % 10000 = 0 THEN 'often rare' ELSE 'often' END)
      FROM generate_series(1, 30000) n`;
    await rig.sql`ANALYZE confirm.decision`;
    const many = principal('alice', { tenantId: 'many' });
    const counted = 'query ($query: String!) { searchDecisions(query: $query) { totalCount } }';
    const count = async (query: string) => (await rig.ask(many, counted, { query }))['searchDecisions']!['totalCount'];
    expect([await count('rare'), await count('often'), await count('rare -often')]).toEqual([3, 10_001, 0]);

    const plan = async (query: string) => {
      const rows = await rig.sql.begin(async (tx) => {
        await tx`SET LOCAL plan_cache_mode = force_custom_plan`;
        return tx.unsafe(
          `EXPLAIN (ANALYZE, FORMAT JSON) SELECT d.id FROM confirm.decision d WHERE d.tenant_id = $1 AND d.search @@ websearch_to_tsquery('simple', $2::text) AND d.sequence > 0
           ORDER BY d.decided_at DESC, d.confirm_id DESC, d.sequence DESC LIMIT 21`,
          ['many', query],
        );
      });
      return JSON.stringify(rows[0]);
    };
    expect(await plan('rare')).toContain('decision_tenant_id_search_idx');
    const often = await plan('often');
    expect(often).toContain('decision_tenant_id_decided_at_confirm_id_sequence_idx');
    expect(often).not.toContain('Seq Scan');
  });
});
