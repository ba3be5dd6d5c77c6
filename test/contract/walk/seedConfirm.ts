type Json = Record<string, unknown>;

export interface ConfirmSeed {
  readonly run: (field: string, document: string, variables: Json, token?: string) => Promise<Json>;
  readonly say: (name: string) => string;
  readonly contextId: string;
  readonly owner: string;
  readonly other: string;
  readonly otherToken: string;
}

const errors = 'userErrors { code message path }';

/** A confirm of the owner's with a decision and its condition, one that waits for the owner, a template, and a vote over options. */
export async function seedConfirms(seed: ConfirmSeed): Promise<Readonly<Record<string, string>>> {
  const { run, say, contextId, owner, other, otherToken } = seed;
  const idOf = (payload: Json, name: string) =>
    (payload[name] as { id: string } | null | undefined)?.id ?? crypto.randomUUID();
  const create = `mutation ($input: CreateApprovalInput!) { createApproval(input: $input) { confirm { id } ${errors} } }`;
  const request = (approver: string, confirmationType: string) => ({
    targetType: 'CONTEXT',
    targetId: contextId,
    confirmationType,
    title: say('approval'),
    description: say('approval description'),
    reason: say('approval reason'),
    reference: { note: say('reference') },
    subject: { attributes: { note: say('approval subject') } },
    approvers: [{ subject: approver }, { subject: `${approver}-too` }],
    quorum: { kind: 'MAJORITY' },
  });
  const confirmId = idOf(await run('createApproval', create, { input: request(other, 'RISK_ACCEPTANCE') }), 'confirm');
  const decided = await run(
    'processApproval',
    `mutation ($input: ApprovalDecisionInput!) { processApproval(input: $input) { confirm { conditions { id } decisions { id } } ${errors} } }`,
    {
      input: {
        confirmId,
        decision: 'CONDITIONAL_APPROVAL',
        rationale: say('rationale'),
        conditions: [{ text: say('condition'), responsible: other }],
      },
    },
    otherToken,
  );
  const tracked = decided['confirm'] as
    | { conditions: { id: string }[]; decisions: { id: string }[] }
    | null
    | undefined;
  const decisionId = tracked?.decisions[0]?.id ?? crypto.randomUUID();
  const conditionId = tracked?.conditions[0]?.id ?? crypto.randomUUID();
  await run('createApproval', create, { input: request(owner, 'TASK_APPROVAL') }, otherToken);
  const templateId = idOf(
    await run(
      'createWorkflowTemplate',
      `mutation ($input: CreateWorkflowTemplateInput!) { createWorkflowTemplate(input: $input) { template { id } ${errors} } }`,
      {
        input: {
          name: say('template'),
          description: say('template description'),
          workflow: { type: 'SEQUENTIAL', steps: [{ name: say('step'), approvers: [{ subject: other }] }] },
        },
      },
    ),
    'template',
  );
  // Open, with a vote cast: the owner's own is still to come.
  const consensusId = idOf(
    await run(
      'createConsensusProcess',
      `mutation ($input: CreateConsensusProcessInput!) { createConsensusProcess(input: $input) { consensus { id } ${errors} } }`,
      {
        input: {
          targetType: 'CONTEXT',
          targetId: contextId,
          title: say('question'),
          description: say('question described'),
          options: [
            { id: 'this', label: say('option') },
            { id: 'that', label: say('another option') },
          ],
          participants: [{ subject: owner }, { subject: other }, { subject: `${other}-too` }],
          rules: { algorithm: 'UNANIMOUS' },
        },
      },
    ),
    'consensus',
  );
  await run(
    'castVote',
    `mutation ($input: CastVoteInput!) { castVote(input: $input) { ${errors} } }`,
    { input: { consensusId, optionId: 'this', justification: say('justification') } },
    otherToken,
  );
  return { confirmId, conditionId, decisionId, templateId, consensusId };
}
