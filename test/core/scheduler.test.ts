import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type Active,
  type Node,
  type Owner,
  type Request,
  type Step,
  schedule,
} from '../../subgraphs/core/allocation/scheduler.ts';
import {
  add,
  dominantShare,
  fits,
  scale,
  subtract,
  unlimited,
  type Vector,
  zero,
} from '../../subgraphs/core/allocation/vector.ts';

const node = (id: string, capacity: Vector, more: Partial<Node> = {}): Node => ({
  ...{ id, labels: {}, capabilities: [], capacity, used: zero, overcommit: 1, healthy: true },
  ...more,
});
const request = (id: string, owner: string, wanted: Vector, more: Partial<Request> = {}): Request => ({
  ...{ id, owner, wanted, capabilities: [], labels: {}, priority: 2, queuedAtMs: 0 },
  ...more,
});
const free: Owner = { used: zero, hard: unlimited, weight: 1 };
const base = { active: [] as Active[], owners: new Map<string, Owner>(), nowMs: 0, ageingMs: 60_000 };
const allocated = (steps: readonly Step[]) =>
  steps.flatMap((step) => (step.kind === 'allocate' ? [step.requestId] : []));

test('the example of the DRF paper: 9 CPUs and 18 GB between A (1, 4) and B (3, 1) come to three tasks and two', () => {
  const queue = Array.from({ length: 10 }, (_, at) => [
    request(`a${at}`, 'A', [1, 4, 0, 0, 0]),
    request(`b${at}`, 'B', [3, 1, 0, 0, 0]),
  ]).flat();
  const done = allocated(schedule({ ...base, nodes: [node('n', [9, 18, 0, 0, 0])], queue }));
  expect(done.filter((id) => id.startsWith('a'))).toHaveLength(3);
  expect(done.filter((id) => id.startsWith('b'))).toHaveLength(2);
});

test('weights: an owner of weight 3 comes to three times the dominant share', () => {
  const queue = Array.from({ length: 40 }, (_, at) => [
    request(`a${at}`, 'A', [1, 0, 0, 0, 0]),
    request(`b${at}`, 'B', [1, 0, 0, 0, 0]),
  ]).flat();
  const owners = new Map([
    ['A', { ...free, weight: 3 }],
    ['B', free],
  ]);
  const done = allocated(schedule({ ...base, owners, nodes: [node('n', [40, 0, 0, 0, 0])], queue }));
  expect(done.filter((id) => id.startsWith('a'))).toHaveLength(30);
});

test('only lower classes are preempted, only where that helps, and with the least work lost', () => {
  const active = (id: string, priority: number, allocatedAtMs: number, more: Partial<Active> = {}): Active => ({
    ...request(id, 'other', [2, 0, 0, 0, 0], { priority }),
    ...{ nodeId: 'n', preemptible: true, allocatedAtMs, ...more },
  });
  const nodes = [node('n', [6, 0, 0, 0, 0], { used: [6, 0, 0, 0, 0] })];
  const held = [active('old', 3, 0), active('young', 3, 90), active('same', 1, 0)];
  const pass = (priority: number, wanted: Vector, holding = held) =>
    schedule({ ...base, nowMs: 100, nodes, active: holding, queue: [request('r', 'me', wanted, { priority })] });
  expect(pass(1, [2, 0, 0, 0, 0])).toEqual([
    { kind: 'preempt', allocationId: 'young', for: 'r' },
    { kind: 'allocate', requestId: 'r', nodeId: 'n' },
  ]);
  expect(pass(1, [4, 0, 0, 0, 0]).filter(({ kind }) => kind === 'preempt')).toHaveLength(2);
  expect(pass(1, [6, 0, 0, 0, 0])).toEqual([]);
  expect(pass(3, [2, 0, 0, 0, 0])).toEqual([]);
  expect(
    pass(
      1,
      [2, 0, 0, 0, 0],
      held.map((one) => ({ ...one, preemptible: false })),
    ),
  ).toEqual([]);
});

const amount = fc.integer({ min: 0, max: 8 });
const vectors = fc.tuple(amount, amount, amount, amount, amount) as fc.Arbitrary<Vector>;
const worlds = fc.record({
  capacities: fc.array(fc.tuple(vectors, fc.constantFrom(1, 1.5, 2), fc.boolean()), { minLength: 1, maxLength: 5 }),
  wishes: fc.array(
    fc.tuple(
      fc.constantFrom('a', 'b', 'c'),
      vectors,
      fc.integer({ min: 0, max: 3 }),
      fc.integer({ min: 0, max: 500_000 }),
    ),
    { maxLength: 30 },
  ),
  hard: fc.dictionary(fc.constantFrom('a', 'b', 'c'), vectors),
});

test('whatever waits: no node above its capacity, no owner above its quota, each request once, the same pass twice alike', () => {
  fc.assert(
    fc.property(worlds, ({ capacities, wishes, hard }) => {
      const nodes = capacities.map(([capacity, overcommit, healthy], at) =>
        node(`n${at}`, capacity, { overcommit, healthy }),
      );
      const queue = wishes.map(([owner, wanted, priority, queuedAtMs], at) =>
        request(`r${at}`, owner, wanted, { priority, queuedAtMs }),
      );
      const owners = new Map(Object.entries(hard).map(([owner, limit]) => [owner, { ...free, hard: limit }]));
      const situation = { ...base, nodes, queue, owners, nowMs: 500_000 };
      const steps = schedule(situation);
      expect(schedule(situation)).toEqual(steps);
      const onNode = new Map<string, Vector>();
      const ofOwner = new Map<string, Vector>();
      for (const step of steps) {
        if (step.kind !== 'allocate') throw new Error('nothing is active that could be preempted');
        const { wanted, owner } = queue.find(({ id }) => id === step.requestId)!;
        onNode.set(step.nodeId, add(onNode.get(step.nodeId) ?? zero, wanted));
        ofOwner.set(owner, add(ofOwner.get(owner) ?? zero, wanted));
      }
      expect(new Set(allocated(steps)).size).toBe(steps.length);
      for (const [id, used] of onNode) {
        const place = nodes.find((one) => one.id === id)!;
        expect(place.healthy && fits(used, scale(place.capacity, place.overcommit))).toBe(true);
      }
      for (const [owner, used] of ofOwner) expect(fits(used, owners.get(owner)?.hard ?? unlimited)).toBe(true);
    }),
    { numRuns: 500 },
  );
});

test('fairness: whoever waits and fits is served by the smallest dominant share, and until somebody fits no more none is a whole task behind', () => {
  const loads = fc.array(fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 })), {
    minLength: 2,
    maxLength: 4,
  });
  fc.assert(
    fc.property(loads, (shapes) => {
      const capacity: Vector = [60, 60, 0, 0, 0];
      const perOwner = 70;
      const wanted = shapes.map(([cpu, memory]): Vector => [cpu, memory, 0, 0, 0]);
      const queue = wanted.flatMap((vector, owner) =>
        Array.from({ length: perOwner }, (_, at) => request(`${owner}-${at}`, `o${owner}`, vector)),
      );
      const served = allocated(schedule({ ...base, nodes: [node('n', capacity)], queue })).map((id) =>
        parseInt(id, 10),
      );
      const counts = wanted.map(() => 0);
      const shareOf = (owner: number) => dominantShare(scale(wanted[owner]!, counts[owner]!), capacity);
      const largest = Math.max(...wanted.map((vector) => dominantShare(vector, capacity)));
      let room = capacity;
      for (const owner of served) {
        const able = wanted.flatMap((vector, at) => (counts[at]! < perOwner && fits(vector, room) ? [at] : []));
        expect(able).toContain(owner);
        expect(shareOf(owner)).toBeLessThanOrEqual(Math.min(...able.map(shareOf)) + 1e-9);
        counts[owner]! += 1;
        room = subtract(room, wanted[owner]!);
        if (able.length < wanted.length) continue;
        const shares = wanted.map((_, at) => shareOf(at));
        expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(largest + 1e-9);
      }
      for (const vector of wanted) expect(fits(vector, room)).toBe(false);
    }),
    {
      numRuns: 200,
      examples: [
        [
          [
            [3, 2],
            [1, 4],
            [4, 1],
          ],
        ],
      ],
    },
  );
});

test('no starvation: a large request of the lowest class is served though small urgent ones never cease', () => {
  let nodes = [node('n', [10, 0, 0, 0, 0])];
  let running: { readonly id: string; readonly until: number; readonly wanted: Vector }[] = [];
  const large = request('large', 'patient', [10, 0, 0, 0, 0], { priority: 3, queuedAtMs: 0 });
  let queue: Request[] = [large];
  let servedAt: number | null = null;
  for (let tick = 0; tick < 1_000 && servedAt === null; tick += 1) {
    const nowMs = tick * 1_000;
    for (const done of running.filter(({ until }) => until <= tick))
      nodes = nodes.map((one) => ({ ...one, used: subtract(one.used, done.wanted) }));
    running = running.filter(({ until }) => until > tick);
    queue.push(request(`small${tick}`, `owner${tick % 3}`, [3, 0, 0, 0, 0], { priority: 0, queuedAtMs: nowMs }));
    for (const id of allocated(schedule({ ...base, nodes, queue, nowMs, ageingMs: 20_000 }))) {
      const { wanted } = queue.find((one) => one.id === id)!;
      if (id === 'large') servedAt = tick;
      queue = queue.filter((one) => one.id !== id);
      nodes = nodes.map((one) => ({ ...one, used: add(one.used, wanted) }));
      running.push({ id, until: tick + 4, wanted });
    }
  }
  expect(servedAt).not.toBeNull();
  expect(servedAt!).toBeLessThan(200);
});
