/**
 * An agent as a process of its own: claims what is ready in a run and completes it until the run has ended, a line of
 * JSON for each lease. `stall` takes one step and never comes back from it.
 * `node agent.ts URL TOKEN EXECUTION AGENT ROLE work|stall`
 */
const [url, token, executionId, agentId, role, manner] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string,
  string,
];

interface Lease {
  readonly executionId: string;
  readonly stepId: string;
  readonly epoch: number;
}
type Payload = Readonly<Record<string, unknown>> & { readonly userErrors: readonly { readonly code: string }[] };

async function call(field: string, query: string, variables: Readonly<Record<string, unknown>>): Promise<Payload> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({ query, variables }),
  });
  const answer = (await response.json()) as { data?: Readonly<Record<string, Payload>> | null; errors?: unknown };
  const payload = answer.data?.[field];
  if (!payload) throw new Error(`${field}: ${JSON.stringify(answer.errors)}`);
  return payload;
}

const claim = `mutation ($executionId: ID!, $agentId: ID!, $role: String!) {
  claimStep(executionId: $executionId, agentId: $agentId, roles: [$role]) {
    lease { executionId stepId epoch } execution { status } userErrors { code message }
  } }`;
const progress = `mutation ($lease: StepLeaseInput!) {
  reportStepProgress(lease: $lease, progress: 0.5) { directive userErrors { code message } } }`;
const complete = `mutation ($lease: StepLeaseInput!, $result: JSON) {
  completeStep(lease: $lease, result: $result) { step { status } userErrors { code message } } }`;
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

for (;;) {
  const claimed = await call('claimStep', claim, { executionId, agentId, role });
  if (claimed.userErrors.length > 0) {
    console.log(JSON.stringify({ refused: claimed.userErrors[0]!.code }));
    // A run that has ended hands nothing out any more.
    break;
  }
  const lease = claimed['lease'] as Lease | null;
  if (!lease) {
    const { status } = claimed['execution'] as { status: string };
    if (status !== 'RUNNING' && status !== 'PAUSED') break;
    await pause(30);
    continue;
  }
  console.log(JSON.stringify({ lease }));
  if (manner === 'stall') await new Promise(() => setInterval(() => {}, 60_000));
  await call('reportStepProgress', progress, { lease });
  const completed = await call('completeStep', complete, { lease, result: { by: agentId } });
  console.log(JSON.stringify({ completed: lease.stepId, errors: completed.userErrors.map(({ code }) => code) }));
}
