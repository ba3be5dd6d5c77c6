import fc from 'fast-check';
import { parse } from 'graphql';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createScopeAuthorizer } from '#shared/auth.ts';
import { createTaggedCache } from '#shared/cache.ts';
import { createDeadlines } from '../../../gateway/deadlines.ts';
import {
  createFieldPolicies,
  createRequestReadsRegistry,
  createResponseCache,
} from '../../../gateway/execution/responseCache/index.ts';
import { createGatewayContext } from '../../../gateway/graph.ts';
import { contextSdl, principal } from './rig.ts';

const limitMs = 1_000;
/** How late a deadline may be noticed, and the steps of the clock. */
const tickMs = 50;
const source = '{ context(id: "c1") { name } }';
const document = parse(source);

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** What becomes of an execution, ms after it began: never, where it is cut by whoever asked. */
interface Execution {
  readonly tookMs: number;
  readonly ends: 'answer' | 'failure' | 'errors';
}

interface Answered {
  readonly afterMs: number;
  /** `kept by 1`, `executed by 2`, `late`, or what was thrown. */
  readonly told: string;
}

function openRig() {
  const cache = createTaggedCache({ l1: { maxEntries: 100, maxBytes: 1_000_000, ttlMs: 60_000 } });
  const deadlines = createDeadlines(limitMs);
  const reads = createRequestReadsRegistry(cache);
  const policies = createFieldPolicies([{ name: 'context', typeDefs: contextSdl }]);
  const responses = createResponseCache({ cache, policies, authorizer: createScopeAuthorizer(), reads });
  let executions = 0;

  /** As the server has a request answered. */
  async function ask(name: string, { tookMs, ends }: Execution): Promise<Answered> {
    const context = createGatewayContext(principal('a', name));
    const beganMs = performance.now();
    const answered = (told: string) => ({ afterMs: performance.now() - beganMs, told });
    deadlines.begin(context);
    try {
      const served = await responses.serve(
        {
          ...{ document, source, operationName: null, variables: undefined, scope: context.scope, admitted: true },
          wait: (pending) => deadlines.wait(context, pending),
        },
        async () => {
          const result = await deadlines.within(context, async () => {
            executions += 1;
            await new Promise((resolve) => setTimeout(resolve, tookMs));
            if (ends === 'failure') throw new Error(`of ${name} alone`);
            reads.of(context.scope).add(['a/Context:c1'], null);
            return ends === 'errors' ? { errors: [], data: null } : { data: { by: name } };
          });
          const { data, errors } = result!;
          if (errors?.length === 1) return { response: 'late', data: null };
          return { response: `executed by ${name}`, data: data ? JSON.stringify(data) : null };
        },
      );
      return answered(
        'response' in served ? served.response : `kept by ${(JSON.parse(String(served.data)) as { by: string }).by}`,
      );
    } catch (error) {
      return answered((error as Error).message);
    }
  }

  /** What nobody waits for: it has no time of its own, and never ends. */
  function warm(): void {
    const { scope } = createGatewayContext(principal('a', 'warmer'));
    const request = { document, source, operationName: null, variables: undefined, scope, admitted: true };
    void responses.serve(request, () => new Promise<never>(() => {}));
  }

  return {
    ask,
    warm,
    executions: () => executions,
    async close() {
      deadlines.close();
      await cache.close();
    },
  };
}

const never = { tookMs: 1_000_000, ends: 'answer' } as const;
const soon = { tookMs: 100, ends: 'answer' } as const;

it('whoever waits for another is late at its own time, also where it has to execute itself in the end', async () => {
  const rig = openRig();
  const first = rig.ask('ann', never);
  await vi.advanceTimersByTimeAsync(600);
  const second = rig.ask('bob', never);
  await vi.advanceTimersByTimeAsync(2_000);
  expect((await first).told).toBe('late');
  const { told, afterMs } = await second;
  expect(told).toBe('late');
  expect(afterMs).toBeLessThanOrEqual(limitMs + tickMs);
  expect(rig.executions()).toBe(2);
  await rig.close();
});

it('one whose time is over leaves the others waiting, and what they wait for is kept', async () => {
  const rig = openRig();
  const first = rig.ask('ann', { tookMs: 900, ends: 'answer' });
  await vi.advanceTimersByTimeAsync(500);
  const others = [rig.ask('bob', never), rig.ask('eve', never)];
  await vi.advanceTimersByTimeAsync(2_000);
  expect((await first).told).toBe('executed by ann');
  expect((await Promise.all(others)).map(({ told }) => told)).toEqual(['kept by ann', 'kept by ann']);
  expect(rig.executions()).toBe(1);
  await rig.close();
});

it('one that goes on for ever holds nobody up for longer than that', async () => {
  const rig = openRig();
  rig.warm();
  await vi.advanceTimersByTimeAsync(100);
  const others = [rig.ask('bob', soon), rig.ask('eve', soon)];
  await vi.advanceTimersByTimeAsync(limitMs + 2 * tickMs);
  for (const { told, afterMs } of await Promise.all(others)) {
    expect(told).toBe('late');
    expect(afterMs).toBeLessThanOrEqual(limitMs + tickMs);
  }
  // Their time was over: nothing is executed that nobody could be told of.
  expect(rig.executions()).toBe(0);
  await rig.close();
});

it('how the first one fails is told to nobody else: they execute themselves', async () => {
  const rig = openRig();
  const first = rig.ask('ann', { tookMs: 100, ends: 'failure' });
  const others = [rig.ask('bob', soon), rig.ask('eve', { tookMs: 50, ends: 'failure' })];
  await vi.advanceTimersByTimeAsync(1_000);
  expect((await first).told).toBe('of ann alone');
  expect((await Promise.all(others)).map(({ told }) => told)).toEqual(['executed by bob', 'of eve alone']);
  await rig.close();
});

it('however requests meet, each is answered within its time and with nobody else’s failure', async () => {
  const request = fc.record({
    afterMs: fc.integer({ min: 0, max: 900 }),
    tookMs: fc.integer({ min: 0, max: 1_500 }),
    ends: fc.constantFrom('answer' as const, 'failure' as const, 'errors' as const),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(request, { minLength: 2, maxLength: 8 }), async (requests) => {
      const rig = openRig();
      const asked: Promise<Answered>[] = [];
      for (const [n, { afterMs, ...execution }] of requests.entries()) {
        asked.push(rig.ask(String(n), execution));
        await vi.advanceTimersByTimeAsync(afterMs);
      }
      await vi.advanceTimersByTimeAsync(10_000);
      for (const [n, answer] of (await Promise.all(asked)).entries()) {
        expect(answer.afterMs).toBeLessThanOrEqual(limitMs + 2 * tickMs);
        expect(answer.told).toMatch(new RegExp(`^(late|kept by \\d|executed by ${n}|of ${n} alone)$`));
        if (answer.told.startsWith('of')) expect(requests[n]!.ends).toBe('failure');
      }
      await rig.close();
    }),
    { numRuns: 60 },
  );
});
