import { type CreateWorkload, readPath, type Verdict } from '../load/workload.ts';
import { capabilityId, type ExtensionSeed, extensionId, releaseId } from '../seeds/extension.ts';

export interface ReloadParams {
  readonly seed: ExtensionSeed;
  readonly admin: string;
  readonly url: string;
}

const underWay = 10;
const workMs = 20;
const reload = `mutation Reload($input: HotReloadExtensionInput!) {
  hotReloadExtension(input: $input) { toVersion switchMs drainedCount killedCount rolledBack userErrors { code message } }
}`;
const execute = `mutation Execute($input: ExecuteExtensionInput!) {
  executeExtension(input: $input) { status result userErrors { code message } }
}`;

/** From the order to reload, with ten calls under way, until the new release answers; the calls must all be answered. */
export const createWorkload: CreateWorkload<ReloadParams> = ({ seed, admin, url }) => {
  const facts = { reloads: 0, calls: 0, failed: 0, switchMs: 0 };
  /** Which of its two releases each running extension has now. */
  const releases = new Map<number, number>();

  async function ask(query: string, input: object, field: string): Promise<unknown> {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${admin}` },
      body: JSON.stringify({ query, variables: { input } }),
    });
    const { data, errors } = (await response.json()) as { data?: unknown; errors?: unknown };
    const payload = readPath(data, field);
    const userErrors = readPath(payload, 'userErrors') as unknown[] | undefined;
    if (errors !== undefined || (userErrors?.length ?? 0) > 0)
      throw new Error(`${field}: ${JSON.stringify(errors ?? userErrors).slice(0, 300)}`);
    return payload;
  }

  return {
    operations: [
      {
        name: 'hot_reload',
        weight: 1,
        async call(random): Promise<Verdict> {
          const index = random.integer(seed.running);
          const next = 1 - (releases.get(index) ?? 0);
          const version = next === 0 ? '1.0.0' : '1.1.0';
          const call = () =>
            ask(
              execute,
              {
                extensionId: extensionId(index),
                capabilityId: capabilityId(index),
                method: 'work',
                parameters: { ms: workMs },
              },
              'executeExtension',
            );
          const calls = Array.from({ length: underWay }, call);
          const reloaded = await ask(
            reload,
            { extensionId: extensionId(index), releaseId: releaseId(index, next) },
            'hotReloadExtension',
          );
          releases.set(index, next);
          const answer = readPath(await call(), 'result');
          const settled = await Promise.allSettled(calls);
          facts.reloads += 1;
          facts.calls += underWay;
          facts.failed += settled.filter(({ status }) => status === 'rejected').length;
          facts.switchMs += Number(readPath(reloaded, 'switchMs'));
          const lost = settled.find(({ status }) => status === 'rejected');
          if (lost?.status === 'rejected') return `a call was lost: ${String(lost.reason).slice(0, 200)}`;
          return answer === version || `${String(answer)} answers, not ${version}`;
        },
      },
    ],
    facts: () => facts,
  };
};
