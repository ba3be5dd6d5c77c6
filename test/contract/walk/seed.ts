import type { GraphQLSchema } from 'graphql';
import type { Platform } from '../../support/platform.ts';
import { findable, secret, secretText } from './marks.ts';
import { seedCollab } from './seedCollab.ts';
import { seedConfirms } from './seedConfirm.ts';
import { seedCore } from './seedCore.ts';
import { seedExtension } from './seedExtension.ts';
import { seedNetwork } from './seedNetwork.ts';
import { seedObserved } from './seedObserved.ts';
import { seedPlan } from './seedPlan.ts';
import { seedPlatform } from './seedPlatform.ts';
import { seedRole } from './seedRole.ts';
import { seedTrace } from './seedTrace.ts';

/** One tenant's world: an object of every kind, and their ids by the names that arguments have. */
export interface World {
  readonly tenant: string;
  readonly owner: string;
  /** Stands at the end of each of its texts. */
  readonly serial: number;
  readonly ids: Readonly<Record<string, string>>;
  /** Ids under another object's names: `participantId` is one thing in a context and another in a dialog. */
  readonly dialogIds: Readonly<Record<string, string>>;
  readonly joinToken: string;
  readonly idempotencyKey: string;
  /** Steps that did not work, each with what was answered. */
  readonly failures: readonly string[];
}

export interface Actor {
  readonly tenant: string;
  readonly owner: string;
  readonly token: string;
  /** Whether its texts hold the secret. */
  readonly watched: boolean;
}

type Json = Record<string, unknown>;

/** Builds a world by mutations alone. A step that fails is told in `failures`, and stands in for an id that is unknown. */
export async function seedWorld(platform: Platform, api: GraphQLSchema, actor: Actor, serial: number): Promise<World> {
  const failures: string[] = [];
  const say = (name: string) => (actor.watched ? secretText(`${name} ${serial}`) : `${findable} ${name} ${serial}`);
  const other = actor.watched ? `${secret}-bob` : 'bob';
  const idempotencyKey = `key-${findable}-${serial}`;
  const run = async (field: string, document: string, variables: Json, token = actor.token): Promise<Json> => {
    const answer = await platform.query<Record<string, Json & { userErrors: unknown[] }>>(document, variables, {
      token,
    });
    const payload = answer.data?.[field];
    if (answer.errors.length > 0 || !payload || payload.userErrors.length > 0)
      failures.push(`${field}: ${JSON.stringify([answer.errors, payload?.userErrors])}`);
    return payload ?? {};
  };
  const find = async (document: string, variables: Json): Promise<Json> =>
    (await platform.query(document, variables, { token: actor.token })).data ?? {};
  const idOf = (payload: Json, name: string) =>
    (payload[name] as { id: string } | null | undefined)?.id ?? crypto.randomUUID();

  const created = await run(
    'createContext',
    'mutation ($input: CreateContextInput!) { createContext(input: $input) { context { id } accessInfo { joinToken } userErrors { code message path } } }',
    {
      input: {
        title: say('title'),
        root: { domain: say('domain'), environment: 'walk', entryPoint: say('entry'), extra: { note: say('extra') } },
        summary: say('summary'),
        tags: [say('tag')],
        constraints: { note: say('constraint') },
        category: say('category'),
        customData: { note: say('custom') },
        accessControl: { joinPolicy: 'INVITATION_ONLY' },
        sharedState: { variables: { budget: say('variable') }, goals: [{ id: 'goal', name: say('goal') }] },
        idempotencyKey,
      },
    },
  );
  const contextId = idOf(created, 'context');
  const joinToken = (created['accessInfo'] as { joinToken: string | null } | null | undefined)?.joinToken ?? 'no token';
  const participantId = idOf(
    await run(
      'addParticipant',
      'mutation ($input: AddParticipantInput!) { addParticipant(input: $input) { participant { id } userErrors { code message path } } }',
      {
        input: { contextId, agentId: other, displayName: say('participant'), capabilities: [say('capability')] },
      },
    ),
    'participant',
  );
  await run(
    'addParticipant',
    'mutation ($input: AddParticipantInput!) { addParticipant(input: $input) { participant { id } userErrors { code message path } } }',
    {
      input: { contextId, agentId: actor.owner, displayName: say('owner') },
    },
  );
  const sessionId = idOf(
    await run(
      'createSession',
      'mutation ($input: CreateSessionInput!) { createSession(input: $input) { session { id } userErrors { code message path } } }',
      {
        input: { contextId, name: say('session'), participantIds: [participantId] },
      },
    ),
    'session',
  );
  await run(
    'setMetadata',
    'mutation ($contextId: ID!, $entries: [ContextMetadataInput!]!) { setMetadata(contextId: $contextId, entries: $entries) { userErrors { code message path } } }',
    {
      contextId,
      entries: [{ key: 'walk', value: say('metadata'), description: say('described') }],
    },
  );
  await run(
    'updateSharedState',
    'mutation ($input: UpdateSharedStateInput!) { updateSharedState(input: $input) { userErrors { code message path } } }',
    {
      input: { contextId, baseVersion: 1, changes: [{ key: 'variables.walk', value: say('shared') }] },
    },
  );
  await run(
    'updateContext',
    'mutation ($contextId: ID!, $patch: ContextPatch!) { updateContext(contextId: $contextId, patch: $patch) { userErrors { code message path } } }',
    {
      contextId,
      patch: { summary: say('summary again') },
    },
  );
  const ids: Record<string, string> = { contextId, participantId, sessionId };
  Object.assign(ids, await seedObserved({ run, find, say, serial }));
  if (api.getMutationType()?.getFields()['registerExtension'])
    Object.assign(ids, await seedExtension({ run, say, contextId, serial }));
  if (api.getMutationType()?.getFields()['createPlan'])
    Object.assign(ids, await seedPlan({ run, say, contextId, owner: actor.owner }));
  if (api.getMutationType()?.getFields()['createWorkflow']) Object.assign(ids, await seedCore({ run, say, contextId }));
  if (api.getMutationType()?.getFields()['createTrace'])
    Object.assign(ids, await seedTrace({ find, run, say, contextId }));
  Object.assign(ids, await seedPlatform({ find, run, say, contextId, serial }));
  if (!api.getMutationType()?.getFields()['createDialog'])
    return {
      tenant: actor.tenant,
      owner: actor.owner,
      serial,
      ids,
      dialogIds: {},
      joinToken,
      idempotencyKey,
      failures,
    };

  const errors = 'userErrors { code message path }';
  const dialogId = idOf(
    await run(
      'createDialog',
      `mutation ($input: CreateDialogInput!) { createDialog(input: $input) { dialog { id } ${errors} } }`,
      {
        input: {
          contextId,
          name: say('dialog'),
          description: say('description'),
          category: say('dialog category'),
          tags: [say('dialog tag')],
          creatorDisplayName: say('moderator'),
          participants: [{ subject: other, displayName: say('dialog participant'), role: 'MODERATOR' }],
          configuration: { visibility: 'PARTICIPANTS', readReceipts: true },
          workflow: { planId: ids['planId'], confirmId: ids['confirmId'] },
          flow: {
            initial: 'open',
            states: [{ name: 'open' }, { name: 'closing' }],
            transitions: [{ name: 'next', from: 'open', to: 'closing' }],
          },
        },
      },
    ),
    'dialog',
  );
  const people = await platform.query<{ dialog: { participants: { nodes: { id: string; subject: string }[] } } }>(
    'query ($id: ID!) { dialog(id: $id) { participants { nodes { id subject } } } }',
    { id: dialogId },
    { token: actor.token },
  );
  const dialogParticipantId = people.data?.dialog?.participants.nodes.find((node) => node.subject === other)?.id ?? '';
  if (dialogParticipantId === '')
    failures.push(`the dialog does not list its participant: ${JSON.stringify(people.errors)}`);
  const threadId = crypto.randomUUID();
  const send = async (input: Json) =>
    idOf(
      await run(
        'sendMessage',
        `mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id } ${errors} } }`,
        { input: { dialogId, ...input } },
      ),
      'message',
    );
  const messageId = await send({
    content: { text: `${say('message')} #${actor.watched ? secret : 'tag'}` },
    threadId,
    topic: say('topic'),
    clientMessageId: `client-${serial}`,
  });
  await send({
    content: { text: say('TODO: answer it by Friday'), structuredData: { note: say('structured') } },
    replyTo: messageId,
    threadId,
    recipients: [dialogParticipantId],
    attachments: [
      {
        type: 'file',
        name: say('attachment'),
        sizeBytes: 1,
        url: `https://files.example/${actor.watched ? secret : 'plain'}`,
      },
    ],
  });
  const otherToken = await platform.token({ tenant: actor.tenant, subject: other, roles: ['member'] });
  // Waits in the owner's inbox.
  await run(
    'sendMessage',
    `mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id } ${errors} } }`,
    { input: { dialogId, content: { text: say('answer') } } },
    otherToken,
  );
  await run('reactToMessage', `mutation ($id: ID!) { reactToMessage(messageId: $id, type: "like") { ${errors} } }`, {
    id: messageId,
  });
  await run('ackMessages', `mutation ($id: ID!) { ackMessages(dialogId: $id, upToSequence: 1) { ${errors} } }`, {
    id: dialogId,
  });
  // Read by its recipient, so that no delivery is tried again behind the walk's back.
  await run(
    'ackMessages',
    `mutation ($id: ID!) { ackMessages(dialogId: $id, upToSequence: 2) { ${errors} } }`,
    { id: dialogId },
    otherToken,
  );
  await run(
    'updateMemory',
    `mutation ($id: ID!, $entries: [DialogMemoryInput!]!) { updateMemory(dialogId: $id, entries: $entries) { ${errors} } }`,
    {
      id: dialogId,
      entries: [{ kind: 'LONG_TERM', key: 'walk', value: say('memory') }],
    },
  );
  await run('generateSummary', `mutation ($id: ID!) { generateSummary(dialogId: $id) { ${errors} } }`, {
    id: dialogId,
  });
  const confirmIds = await seedConfirms({ run, say, contextId, owner: actor.owner, other, otherToken });
  await run('setPresence', `mutation ($id: ID!) { setPresence(dialogId: $id) { ${errors} } }`, { id: dialogId });
  Object.assign(ids, await seedRole({ platform, actor, run, idOf, say, contextId, serial }));
  if (api.getMutationType()?.getFields()['createNetwork'])
    Object.assign(ids, await seedNetwork({ run, say, contextId, roleId: ids['roleId']! }));
  Object.assign(ids, confirmIds, { dialogId, messageId, threadId });
  Object.assign(ids, await seedCollab({ run, say, ids, owner: actor.owner, other, otherToken }));
  return {
    tenant: actor.tenant,
    owner: actor.owner,
    serial,
    ids,
    dialogIds: { participantId: dialogParticipantId },
    joinToken,
    idempotencyKey,
    failures,
  };
}

/** The world's object of an entity type. @throws {Error} when the walk seeds none: then it is to be seeded. */
export function entityIdOf(world: World, type: string): string {
  const ids: Readonly<Record<string, string | undefined>> = {
    Collaboration: world.ids['collabId'],
    CollabDecision: world.ids['decisionId'],
    CollabTask: world.ids['collabTaskId'],
    CollabConflict: world.ids['conflictId'],
    CollabCouncil: world.ids['councilId'],
    CollabRecommendation: world.ids['recommendationId'],
    Confirm: world.ids['confirmId'],
    ConfirmDecision: world.ids['decisionId'],
    ConsensusProcess: world.ids['consensusId'],
    WorkflowTemplate: world.ids['templateId'],
    Context: world.ids['contextId'],
    ContextParticipant: world.ids['participantId'],
    ContextSession: world.ids['sessionId'],
    Dialog: world.ids['dialogId'],
    DialogParticipant: world.dialogIds['participantId'],
    Message: world.ids['messageId'],
    Role: world.ids['roleId'],
    RoleAssignment: world.ids['assignmentId'],
    RoleDelegation: world.ids['delegationId'],
    PermissionRequest: world.ids['permissionRequestId'],
    Subject: world.ids['subjectId'],
    Network: world.ids['networkId'],
    NetworkNode: world.ids['nodeId'],
    NetworkLink: world.ids['linkId'],
    NetworkConnection: world.ids['connectionId'],
    NetworkService: world.ids['serviceId'],
    Plan: world.ids['planId'],
    PlanContribution: world.ids['contributionId'],
    PlanExecution: world.ids['executionId'],
    PlanSession: world.ids['planSessionId'],
    PlanStep: world.ids['stepId'],
    CoreOrchestrationDecision: world.ids['orchestrationDecisionId'],
    CoreManifest: world.ids['manifestId'],
    CoreResourceAllocation: world.ids['coreAllocationId'],
    CoreWorkflow: world.ids['workflowId'],
    CoreWorkflowExecution: world.ids['workflowExecutionId'],
    Trace: world.ids['traceId'],
    TraceAlert: world.ids['alertId'],
    TraceDecision: world.ids['traceDecisionId'],
    TraceError: world.ids['traceErrorId'],
    TraceSnapshot: world.ids['traceSnapshotId'],
    Extension: world.ids['extensionId'],
    ExtensionRelease: world.ids['nextReleaseId'],
    ExtensionCapability: world.ids['capabilityId'],
    ExtensionSandbox: world.ids['sandboxId'],
    ExtensionExecution: world.ids['extensionExecutionId'],
  };
  const id = ids[type];
  if (id === undefined) throw new Error(`the walk has no ${type}: seed one`);
  return id;
}

/** An entity as the gateway would name it to a subgraph: its key, and what of it another subgraph is required to say. */
export function representationOf(world: World, type: string, id: string): Json {
  const { ids } = world;
  const others: Readonly<Record<string, Json>> = {
    PlanStep: { planId: ids['planId'] },
    NetworkNode: { networkId: ids['networkId'] },
    Context: { ownerRoleId: ids['roleId'] },
    ContextParticipant: { contextId: ids['contextId'], agentId: 'ann' },
    ContextSession: { contextId: ids['contextId'], agentIds: [], startedAt: '2020-01-01T00:00:00.000Z' },
    Confirm: { requestedByRole: ids['roleId'] },
    ConfirmDecision: { decidedByRole: ids['roleId'] },
    TraceDecision: { traceId: ids['traceId'] },
    TraceError: { traceId: ids['traceId'] },
    TraceSnapshot: { traceId: ids['traceId'] },
  };
  return { __typename: type, ...others[type], id };
}
