import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DialogRig, openDialogRig, principal } from './rig.ts';

let rig: DialogRig;
const ada = principal('ada');
const bot = principal('bot');

beforeAll(async () => {
  rig = await openDialogRig();
});
afterAll(async () => {
  await rig[Symbol.asyncDispose]();
});

async function countStatements(
  source: string,
  variables: Record<string, unknown>,
): Promise<{ statements: number; tags: ReadonlySet<string> }> {
  const before = rig.statements.length;
  const { errors, scope } = await rig.run(bot, source, variables);
  expect(errors).toEqual([]);
  return { statements: rig.statements.length - before, tags: scope.readTags };
}

describe('lists and edges', () => {
  it('cost the same few statements for two dialogs as for twelve', async () => {
    const source = `query ($reps: [_Any!]!, $n: Int!) { _entities(representations: $reps) { ... on Context { dialogs(first: $n) { totalCount nodes {
      id viewer { role } participants(first: 5) { totalCount nodes { subject receipts { unread } dialog { name } } } memoryContext { shortTerm { key } } threads { nodes { threadId } } cursor document
      messages(last: 5) { totalCount threadSummary { messageCount participantCount } nodes { sequence sender { subject } replyTo { sequence } analysis { provider } dialog { name } deliveryStatus { details { status } } readStatus { readAt } } }
    } } } } }`;
    const contextId = rig.openContext();
    for (let n = 0; n < 12; n += 1) {
      const { id } = await rig.createDialog(ada, {
        contextId,
        participants: [{ subject: 'bot' }, { subject: `x${n}` }],
      });
      const first = await rig.send(ada, id, 'one');
      await rig.send(bot, id, 'two', { replyTo: first['message']!['id'] });
    }
    const reps = [{ __typename: 'Context', id: contextId }];
    const few = await countStatements(source, { reps, n: 2 });
    const many = await countStatements(source, { reps, n: 12 });
    expect(many.statements).toBe(few.statements);
    expect(many.statements).toBeLessThan(20);
    expect([...many.tags]).toContain(`Context:${contextId}:dialogs`);
  });

  it('name in their tags what a change of them names', async () => {
    const { id, contextId } = await rig.createDialog(ada, { participants: [{ subject: 'bot' }] });
    const shown = await countStatements('query ($id: ID!) { dialog(id: $id) { name } }', { id });
    expect([...shown.tags]).toEqual([`Dialog:${id}`]);
    const counted = await countStatements('query ($id: ID!) { dialog(id: $id) { messageCount } }', { id });
    expect([...counted.tags]).toContain(`Dialog:${id}:messages`);
    await rig.send(ada, id, 'x');
    const stream = await rig.stream(id);
    expect(stream.at(-1)!.tags).toEqual([expect.stringMatching(/^Message:/), `Dialog:${id}:messages`]);
    await rig.mutate(
      ada,
      'updateDialog',
      '$dialogId: ID!, $patch: DialogPatch!',
      { dialogId: id, patch: { name: 'other' } },
      'dialog { name }',
    );
    expect((await rig.stream(id)).at(-1)!.tags).toEqual([`Dialog:${id}`, `Context:${contextId}:dialogs`, 'dialogs']);
    // Also where there is nothing yet: its creation must drop the cached absence.
    const absent = await countStatements('query ($id: ID!) { dialog(id: $id) { name } }', { id: contextId });
    expect([...absent.tags]).toEqual([`Dialog:${contextId}`]);
  });

  it('page, filter and count dialogs', async () => {
    const contextId = rig.openContext();
    const names = ['apple pie', 'banana', 'apple juice'];
    for (const [n, name] of names.entries())
      await rig.createDialog(ada, { contextId, name, tags: [`t${n}`], type: n === 1 ? 'SUPPORT' : 'CASUAL' });
    const list = async (args: string, who = bot) =>
      (
        await rig.ask(
          who,
          `query ($contextId: ID!) { dialogs(${args}) { totalCount pageInfo { hasNextPage hasPreviousPage endCursor startCursor } nodes { name } } }`,
          { contextId },
        )
      )['dialogs']!;
    const namesOf = (connection: Awaited<ReturnType<typeof list>>) =>
      connection['nodes']!.map((node) => String(node['name']));
    const first = await list('filter: { contextId: $contextId }, first: 2');
    expect(first).toMatchObject({ totalCount: 3, pageInfo: { hasNextPage: true, hasPreviousPage: false } });
    const rest = await list(
      `filter: { contextId: $contextId }, first: 2, after: "${String(first['pageInfo']!['endCursor'])}"`,
    );
    expect([...namesOf(first), ...namesOf(rest)].sort()).toEqual([...names].sort());
    const back = await list(
      `filter: { contextId: $contextId }, last: 2, before: "${String(rest['pageInfo']!['startCursor'])}"`,
    );
    expect(namesOf(back)).toEqual(namesOf(first));
    expect(namesOf(await list('filter: { contextId: $contextId, namePattern: "apple*" }')).sort()).toEqual([
      'apple juice',
      'apple pie',
    ]);
    expect(namesOf(await list('filter: { contextId: $contextId, type: [SUPPORT] }'))).toEqual(['banana']);
    expect(
      namesOf(
        await list('filter: { contextId: $contextId, tagsAny: ["t0", "t1"], status: [ACTIVE], participant: "ada" }'),
      ),
    ).toHaveLength(2);
    expect(
      namesOf(await list('filter: { contextId: $contextId }', principal('stranger', { tenantId: 'two' }))),
    ).toEqual([]);
    expect((await rig.run(bot, 'query { dialogs(after: "bm9uc2Vuc2U") { totalCount } }')).errors[0]?.code).toBe(
      'CURSOR_INVALID',
    );
  });
});
