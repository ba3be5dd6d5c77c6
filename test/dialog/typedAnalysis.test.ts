import { readFile } from 'node:fs/promises';
import { buildSchema, type GraphQLNamedType, type GraphQLSchema, getNamedType, isObjectType } from 'graphql';
import { expect, it } from 'vitest';
import { openDialogRig, principal } from './rig.ts';

const signal = new AbortController().signal;
const messages = [
  'Good morning! @bot, can you send the report to ann@example.org by 2027-03-04 14:30? #release',
  'I will send the report by Friday. This is wonderful news, see https://example.org/a for the 42 open points.',
  'We decided to roll back the release. You stupid idiot.',
  'What about the database migration?',
  'Next step: write the incident report for the database migration.',
  'TODO: @ada restart the database migration, urgent!',
];

/** Every leaf below a type that has no edge to an entity. */
function everything(type: GraphQLNamedType): string {
  if (!isObjectType(type)) return '';
  const fields = Object.values(type.getFields()).map(
    (field) => `${field.name} ${everything(getNamedType(field.type))}`,
  );
  return `{ ${fields.join(' ')} }`;
}

const schema: GraphQLSchema = buildSchema(await readFile(new URL('../../schema/api.graphql', import.meta.url), 'utf8'));

it('every part of an analysis and of a summary is answered in its type as the provider gave it', async () => {
  const ada = principal('ada', { subjectType: 'human' });
  await using rig = await openDialogRig();
  const started = await rig.subgraph.start();
  const { id } = await rig.createDialog(ada, { participants: [{ subject: 'bot' }] });
  const aiProcessing = { sentiment: true, topics: true, entities: true, actionItems: true };
  for (const text of messages) await rig.send(ada, id, text, { aiProcessing });
  const job = (name: string, payload: unknown) => rig.subgraph.jobs[name]!(payload, { attempt: 1, jobId: '1', signal });
  await job('analyzeMessages', { tenantId: 'one', dialogId: id });
  const asked = await rig.mutate(ada, 'generateSummary', '$dialogId: ID!', { dialogId: id }, 'summary { summaryId }');
  const summaryId = String(asked['summary']!['summaryId']);
  await job('summarize', { tenantId: 'one', summaryId });

  const answer = await rig.ask(
    ada,
    `query ($id: ID!) {
      dialogMessages(dialogId: $id) { nodes { analysis ${everything(schema.getType('MessageAnalysis')!)} } }
      dialogSummary(dialogId: $id) ${everything(schema.getType('DialogSummary')!)}
    }`,
    { id },
  );
  const instants = (value: unknown): unknown =>
    JSON.parse(JSON.stringify(value), (key, part) =>
      ['at', 'dueDate', 'fromSentAt', 'toSentAt'].includes(key) && part !== null ? new Date(part).toISOString() : part,
    );
  const kept = await rig.sql<{ result: Record<string, unknown> }[]>`
    SELECT result FROM dialog.message_analysis WHERE dialog_id = ${id} ORDER BY sequence`;
  const shown = (answer['dialogMessages'] as unknown as { nodes: { analysis: Record<string, unknown> }[] }).nodes;
  expect(shown.length).toBe(messages.length);
  shown.forEach(({ analysis }, at) => {
    const { truncated: _, ...result } = kept[at]!.result;
    expect(instants(analysis)).toMatchObject(instants(result) as object);
  });
  const parts = (key: string) => shown.flatMap(({ analysis }) => analysis[key] as unknown[]);
  for (const key of ['keywords', 'dates', 'actionItems', 'decisions', 'questions'])
    expect(parts(key), key).not.toEqual([]);

  const [summary] = await rig.sql<{ result: Record<string, unknown> }[]>`
    SELECT result FROM dialog.summary WHERE id = ${summaryId}`;
  const { sentences, firstSequence, lastSequence, truncated, ...result } = summary!.result;
  expect(instants(answer['dialogSummary'])).toMatchObject(instants(result) as object);
  for (const key of ['keyTopics', 'decisions', 'actionItems', 'openQuestions', 'nextSteps', 'contributions'])
    expect(answer['dialogSummary']![key], key).not.toEqual([]);
  await started.close();
});
