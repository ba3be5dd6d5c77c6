import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import {
  createDynamicOrder,
  createNetwork,
  findComponents,
  findCycle,
  findCycleOfEdge,
  findNetworkFaults,
  requireTopology,
  sortTopologically,
} from '../../../subgraphs/plan/network/index.ts';
import { type NetworkInput, naiveReach, networks, parseNetwork } from './networks.ts';

const build = ({ steps, dependencies }: NetworkInput) => createNetwork(steps, dependencies);

function isCycle(cycle: readonly string[], { dependencies }: NetworkInput): boolean {
  const linked = (source: string, target: string) =>
    dependencies.some((dependency) => dependency.source === source && dependency.target === target);
  return new Set(cycle).size === cycle.length && cycle.every((id, at) => linked(id, cycle[(at + 1) % cycle.length]!));
}

/** Length of a shortest cycle by search from every step. */
function naiveGirth({ steps, dependencies }: NetworkInput): number {
  let girth = Infinity;
  for (const { id } of steps) {
    let frontier = new Set([id]);
    for (let depth = 1; depth <= steps.length; depth += 1) {
      frontier = new Set(dependencies.filter(({ source }) => frontier.has(source)).map(({ target }) => target));
      if (frontier.has(id)) {
        girth = Math.min(girth, depth);
        break;
      }
    }
  }
  return girth;
}

test('a cycle is answered as the steps in order', () => {
  const input = parseNetwork('a:1 b:1<a,d c:1<b d:1<c e:1<d');
  expect(sortTopologically(build(input))).toBeNull();
  expect(findCycle(build(input))).toEqual(['b', 'c', 'd']);
  expect(findCycle(build(parseNetwork('a:1 b:1<a')))).toBeNull();
  expect(findCycle(build(parseNetwork('a:1<a')))).toEqual(['a']);
});

test('a ring of 10,000 steps is found without recursion', () => {
  const count = 10_000;
  const steps = Array.from({ length: count }, (_, n) => ({ id: `s${n}`, duration: 1 }));
  const dependencies = steps.map(({ id }, n) => ({
    id: `d${n}`,
    source: id,
    target: `s${(n + 1) % count}`,
    type: 'finish_to_start' as const,
    lag: 0,
  }));
  expect(findCycle(createNetwork(steps, dependencies))).toHaveLength(count);
});

describe('any network', () => {
  it('sorts every step behind its predecessors, or names a shortest real cycle', () => {
    fc.assert(
      fc.property(networks({ acyclic: false, maxSteps: 12 }), (input) => {
        const network = build(input);
        const topology = sortTopologically(network);
        const cycle = findCycle(network);
        expect(cycle === null).toBe(topology !== null);
        if (cycle !== null) {
          expect(isCycle(cycle, input)).toBe(true);
          expect(cycle).toHaveLength(naiveGirth(input));
        }
        if (topology !== null)
          for (let edge = 0; edge < network.edgeCount; edge += 1)
            expect(topology.position[network.edgeSource[edge]!]!).toBeLessThan(
              topology.position[network.edgeTarget[edge]!]!,
            );
      }),
      { numRuns: 500 },
    );
  });

  it('has as components the steps that reach each other', () => {
    fc.assert(
      fc.property(networks({ acyclic: false }), (input) => {
        const { componentOf } = findComponents(build(input));
        const reach = naiveReach(input);
        for (const [left, { id }] of input.steps.entries())
          for (const [right, other] of input.steps.entries())
            expect(componentOf[left] === componentOf[right]).toBe(
              left === right || (reach.get(id)!.has(other.id) && reach.get(other.id)!.has(id)),
            );
      }),
    );
  });
});

it('checks one more edge as the full check does', () => {
  fc.assert(
    fc.property(networks(), fc.nat(), fc.nat(), (input, left, right) => {
      const network = build(input);
      const source = left % network.count;
      const target = right % network.count;
      const names = { source: network.ids[source]!, target: network.ids[target]! };
      const wider = {
        ...input,
        dependencies: [...input.dependencies, { ...names, id: 'new', type: 'finish_to_start' as const, lag: 0 }],
      };
      const cycle = findCycleOfEdge(network, requireTopology(network), { source, target });
      expect(cycle === null).toBe(findCycle(build(wider)) === null);
      if (cycle === null) return;
      expect(cycle[0]).toBe(source);
      expect(
        isCycle(
          cycle.map((node) => network.ids[node]!),
          wider,
        ),
      ).toBe(true);
    }),
    { numRuns: 500 },
  );
});

it('keeps the order while edges and steps come and go, refusing exactly the edges that close a cycle', () => {
  const change = fc.record({
    kind: fc.constantFrom('add', 'add', 'add', 'add', 'remove', 'node'),
    left: fc.nat(),
    right: fc.nat(),
  });
  fc.assert(
    fc.property(networks(), fc.array(change, { maxLength: 60 }), (input, changes) => {
      const network = build(input);
      const order = createDynamicOrder(network, requireTopology(network));
      const steps = [...input.steps];
      let dependencies = [...input.dependencies];
      for (const [at, { kind, left, right }] of changes.entries()) {
        if (kind === 'node') {
          steps.push({ id: `n${at}`, duration: 1 });
          expect(order.addNode()).toBe(steps.length - 1);
          continue;
        }
        const [source, target] = [left % steps.length, right % steps.length];
        const names = { source: steps[source]!.id, target: steps[target]!.id };
        if (kind === 'remove') {
          const found = dependencies.find((edge) => edge.source === names.source && edge.target === names.target);
          expect(order.removeEdge(source, target)).toBe(found !== undefined);
          dependencies = dependencies.filter((edge) => edge !== found);
          continue;
        }
        const wider = [...dependencies, { ...names, id: `x${at}`, type: 'finish_to_start' as const, lag: 0 }];
        const foreseen = order.findCycle(source, target);
        const cycle = order.addEdge(source, target);
        expect(cycle).toEqual(foreseen);
        expect(cycle === null).toBe(findCycle(createNetwork(steps, wider)) === null);
        if (cycle === null) dependencies = wider;
        else
          expect(
            isCycle(
              cycle.map((node) => steps[node]!.id),
              { steps, dependencies: wider },
            ),
          ).toBe(true);
        const { position, order: sorted } = order.topology();
        for (const [place, node] of sorted.entries()) expect(position[node]).toBe(place);
        const index = new Map(steps.map(({ id }, node) => [id, node]));
        for (const edge of dependencies)
          expect(position[index.get(edge.source)!]!).toBeLessThan(position[index.get(edge.target)!]!);
      }
    }),
    { numRuns: 200 },
  );
});

test('every fault of the input is named at once', () => {
  const steps = [
    { id: 'a', duration: 1 },
    { id: 'a', duration: Number.NaN },
    { id: 'b', duration: -1 },
  ];
  const dependency = { type: 'finish_to_start', lag: 0 } as const;
  const dependencies = [
    { ...dependency, id: 'd', source: 'a', target: 'gone' },
    { ...dependency, id: 'd', source: 'b', target: 'b', lag: Infinity },
  ];
  expect(findNetworkFaults(steps, dependencies)).toEqual([
    { kind: 'duplicate_step', stepId: 'a' },
    { kind: 'invalid_duration', stepId: 'a', duration: Number.NaN },
    { kind: 'invalid_duration', stepId: 'b', duration: -1 },
    { kind: 'unknown_step', dependencyId: 'd', stepId: 'gone' },
    { kind: 'duplicate_dependency', dependencyId: 'd' },
    { kind: 'self_dependency', dependencyId: 'd', stepId: 'b' },
    { kind: 'invalid_lag', dependencyId: 'd', lag: Infinity },
  ]);
  expect(() => createNetwork(steps, [])).toThrow('expected unique step ids, got 1 repeated');
});
