import { expect, it } from 'vitest';
import { modes, sharePlatform } from '../support/platform.ts';

type Json = Record<string, unknown>;

const idOf = (value: unknown) => (value as { id: string }).id;

it.each(modes)('a dialog leads to the plan and the approval that it is about, for who sees them, %s', async (mode) => {
  await using platform = await sharePlatform({ mode });
  const [owner, other] = await Promise.all([
    platform.token({ tenant: 'workflow', subject: 'owner', roles: ['admin'] }),
    platform.token({ tenant: 'workflow', subject: 'other', roles: ['member'] }),
  ]);
  const done = async (field: string, type: string, selection: string, input: Json): Promise<Json> => {
    const document = `mutation ($input: ${type}!) { ${field}(input: $input) { ${selection} userErrors { code message } } }`;
    const answer = await platform.query<Record<string, Json>>(document, { input }, { token: owner });
    expect(answer.errors, document).toEqual([]);
    expect(answer.data![field]!['userErrors'], document).toEqual([]);
    return answer.data![field]!;
  };
  const create = async (title: string, more: Json = {}) =>
    idOf(
      (
        await done('createContext', 'CreateContextInput', 'context { id }', {
          title,
          root: { domain: 'd', environment: 'e' },
          ...more,
        })
      )['context'],
    );
  const contextId = await create('Open');
  const hidden = await create('Hidden', { accessControl: { visibility: 'PRIVATE' } });
  const planIn = async (context: string) =>
    idOf(
      (
        await done('createPlan', 'CreatePlanInput', 'plan { id }', {
          contextId: context,
          title: 'Plan',
          objective: 'O',
          steps: [{ description: 'one' }],
        })
      )['plan'],
    );
  const confirmId = idOf(
    (
      await done('createApproval', 'CreateApprovalInput', 'confirm { id }', {
        targetType: 'CONTEXT',
        targetId: contextId,
        confirmationType: 'RISK_ACCEPTANCE',
        title: 'May we?',
        approvers: [{ subject: 'other' }],
      })
    )['confirm'],
  );
  const about = async (planId: string) =>
    idOf(
      (
        await done('createDialog', 'CreateDialogInput', 'dialog { id }', {
          contextId,
          name: 'D',
          workflow: { planId, confirmId },
        })
      )['dialog'],
    );
  const read = async (id: string, token: string) => {
    const answer = await platform.query<{ dialog: { workflow: Json } }>(
      'query ($id: ID!) { dialog(id: $id) { workflow { plan { title } confirm { id } } } }',
      { id },
      { token },
    );
    return answer.data!.dialog.workflow;
  };
  const seen = await about(await planIn(contextId));
  for (const token of [owner, other])
    expect(await read(seen, token)).toEqual({ plan: { title: 'Plan' }, confirm: { id: confirmId } });
  const unseen = await about(await planIn(hidden));
  expect((await read(unseen, owner))['plan']).toEqual({ title: 'Plan' });
  expect((await read(unseen, other))['plan']).toBeNull();
});
