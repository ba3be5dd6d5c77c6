import type { RunningServer } from '../serverProcess.ts';

const errors = 'userErrors { code message }';
const kept = 'userErrors { code message retryable retryAfterMs }';
const ref = (path: string) => `\${${path}}`;

/**
 * A session cannot be completed while a turn is under way: the step that tries fails (`TURN_OPEN`, retryable) until
 * another one, 50 ms later, has ended the turn.
 */
const definition = {
  steps: [
    {
      stepId: 'open',
      module: 'collab',
      action: 'createCollaboration',
      select: `collaboration { id } ${kept}`,
      input: {
        input: {
          contextId: ref('input.contextId'),
          title: 'Retried',
          purpose: 'to be completed at the second try',
          mode: 'ORCHESTRATED',
          participants: [{ participantId: 'core-admin', kind: 'AGENT', roleId: 'worker' }],
          activate: true,
        },
      },
    },
    {
      stepId: 'turn',
      module: 'collab',
      action: 'dispatchTurn',
      select: `turn { id } ${kept}`,
      input: { input: { collabId: ref('open.output.collaboration.id'), participantId: 'core-admin' } },
      dependsOn: ['open'],
    },
    { stepId: 'pause', kind: 'WAIT', waitMs: 50, dependsOn: ['turn'] },
    {
      stepId: 'end',
      module: 'collab',
      action: 'completeTurn',
      select: `turn { id } ${kept}`,
      input: { input: { turnId: ref('turn.output.turn.id') } },
      dependsOn: ['pause'],
    },
    {
      stepId: 'retried',
      module: 'collab',
      action: 'completeCollaboration',
      select: `collaboration { id } ${kept}`,
      input: { collabId: ref('open.output.collaboration.id') },
      dependsOn: ['turn'],
      retry: { maxAttempts: 10, delayMs: 400, backoffFactor: 1, maxDelayMs: 400 },
    },
  ],
};

async function ask<Payload>(server: RunningServer, token: string, query: string, variables: object): Promise<Payload> {
  const response = await fetch(server.url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors: failures } = (await response.json()) as { data?: Record<string, unknown>; errors?: unknown[] };
  const [payload] = Object.values(data ?? {}) as [{ userErrors: unknown[] } | undefined];
  if (failures !== undefined || payload === undefined || payload.userErrors.length > 0)
    throw new Error(`expected it to go through, got ${JSON.stringify(failures ?? payload?.userErrors)}`);
  return payload as Payload;
}

/** Starts executions in which a step fails and is tried again, at a rate; answers the workflow's id. */
export async function startRetriedSteps(
  server: RunningServer,
  options: {
    readonly token: string;
    readonly contextIds: readonly string[];
    readonly count: number;
    readonly ratePerSecond: number;
  },
): Promise<string> {
  const { token, contextIds, count, ratePerSecond } = options;
  const { workflow } = await ask<{ workflow: { id: string } }>(
    server,
    token,
    `mutation ($input: CreateCoreWorkflowInput!) { createWorkflow(input: $input) { workflow { id } ${errors} } }`,
    { input: { name: 'retried', definition } },
  );
  const started = performance.now();
  const starting: Promise<unknown>[] = [];
  for (let at = 0; at < count; at += 1) {
    const dueMs = started + (at * 1_000) / ratePerSecond;
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, dueMs - performance.now())));
    starting.push(
      ask(
        server,
        token,
        `mutation ($input: ExecuteCoreWorkflowInput!) { executeWorkflow(input: $input) { execution { id } ${errors} } }`,
        { input: { workflowId: workflow.id, input: { contextId: contextIds[at % contextIds.length] } } },
      ),
    );
  }
  await Promise.all(starting);
  return workflow.id;
}
