import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { listBits } from '../../subgraphs/role/hierarchy/bits.ts';
import {
  addEdge,
  buildRoleGraph,
  emptyRoleGraph,
  findCycle,
  findHierarchyRefusal,
  findNode,
  findPath,
  type HierarchyRole,
  type InheritanceEdge,
  inherits,
  PersistentMap,
  queryHierarchy,
  type RoleGraph,
  removeEdge,
  removeRole,
  saveRole,
} from '../../subgraphs/role/hierarchy/index.ts';

function full(parentId: string): InheritanceEdge {
  return { parentId, type: 'full', excludedPermissions: [] };
}

function partial(parentId: string): InheritanceEdge {
  return { parentId, type: 'partial', excludedPermissions: ['plan:delete'] };
}

function role(roleId: string, ...parents: string[]): HierarchyRole {
  return { roleId, plain: true, parents: parents.map(full) };
}

function ancestors(graph: RoleGraph, roleId: string): string[] {
  const bits = listBits(findNode(graph, roleId)!.up);
  return bits.map((index) => graph.nodes[index]!.roleId).sort();
}

/** Reachability by walking, from the declared edges alone. */
function walkUp(rows: ReadonlyMap<string, HierarchyRole>, from: string, onlyPlain: boolean): string[] {
  const found = new Set<string>();
  const visit = (roleId: string): void => {
    const row = rows.get(roleId);
    if (row === undefined || found.has(roleId) || (onlyPlain && !row.plain)) return;
    found.add(roleId);
    for (const edge of row.parents) if (!onlyPlain || edge.type === 'full') visit(edge.parentId);
  };
  visit(from);
  return [...found].sort();
}

function longestUp(rows: ReadonlyMap<string, HierarchyRole>, from: string): number {
  const parents = rows.get(from)!.parents.filter(({ parentId }) => rows.has(parentId));
  return Math.max(0, ...parents.map(({ parentId }) => 1 + longestUp(rows, parentId)));
}

type Step =
  | { readonly kind: 'save'; readonly role: HierarchyRole }
  | { readonly kind: 'remove'; readonly roleId: string }
  | { readonly kind: 'link'; readonly roleId: string; readonly edge: InheritanceEdge }
  | { readonly kind: 'unlink'; readonly roleId: string; readonly parentId: string };

const names = Array.from({ length: 40 }, (_, at) => `r${String(at).padStart(2, '0')}`);
const name = fc.constantFrom(...names);
const edge = fc.tuple(name, fc.boolean()).map(([parentId, isFull]) => (isFull ? full(parentId) : partial(parentId)));
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 3,
      arbitrary: fc
        .record({
          roleId: name,
          plain: fc.boolean(),
          parents: fc.uniqueArray(edge, { maxLength: 4, selector: (each) => each.parentId }),
        })
        .map((each) => ({ kind: 'save', role: each }) as const),
    },
    { weight: 1, arbitrary: name.map((roleId) => ({ kind: 'remove', roleId }) as const) },
    {
      weight: 4,
      arbitrary: fc.tuple(name, edge).map(([roleId, each]) => ({ kind: 'link', roleId, edge: each }) as const),
    },
    {
      weight: 2,
      arbitrary: fc.tuple(name, name).map(([roleId, parentId]) => ({ kind: 'unlink', roleId, parentId }) as const),
    },
  ),
  { maxLength: 80 },
);

const noLimit = { maxDepth: 1_000, maxParents: 1_000 };

describe('the closure', () => {
  it('is that of recomputation after any sequence of changes that keeps the graph acyclic', () => {
    fc.assert(
      fc.property(steps, (sequence) => {
        let graph = emptyRoleGraph;
        const rows = new Map<string, HierarchyRole>();
        for (const step of sequence) {
          graph = play(graph, rows, step);
        }
        for (const [roleId, row] of rows) {
          const node = findNode(graph, roleId)!;
          expect(ancestors(graph, roleId)).toEqual(walkUp(rows, roleId, false));
          const plainUp = listBits(node.plainUp).map((index) => graph.nodes[index]!.roleId);
          expect(plainUp.sort()).toEqual(walkUp(rows, roleId, true));
          expect(node.depth).toBe(longestUp(rows, roleId));
          expect(node.links.map((link) => link.edge.parentId)).toEqual(
            row.parents
              .map(({ parentId }) => parentId)
              .filter((parentId) => rows.has(parentId))
              .sort(),
          );
        }
        expect(graph.indexes.size).toBe(rows.size);
        expect(graph.parked).toEqual([]);
        const rebuilt = buildRoleGraph(rows.values());
        for (const roleId of rows.keys()) expect(ancestors(rebuilt, roleId)).toEqual(ancestors(graph, roleId));
      }),
      { numRuns: 400 },
    );
  });

  function play(graph: RoleGraph, rows: Map<string, HierarchyRole>, step: Step): RoleGraph {
    if (step.kind === 'remove') {
      rows.delete(step.roleId);
      return removeRole(graph, step.roleId);
    }
    const known = rows.get(step.kind === 'save' ? step.role.roleId : step.roleId);
    if (step.kind === 'save') {
      const others = new Map(rows).set(step.role.roleId, step.role);
      if (hasCycle(others)) return graph;
      rows.set(step.role.roleId, step.role);
      return saveRole(graph, step.role);
    }
    if (known === undefined) return graph;
    const parentId = step.kind === 'link' ? step.edge.parentId : step.parentId;
    const rest = known.parents.filter((each) => each.parentId !== parentId);
    const next = { ...known, parents: step.kind === 'link' ? [...rest, step.edge] : rest };
    const others = new Map(rows).set(step.roleId, next);
    if (step.kind === 'link') {
      const parents = next.parents.map((each) => each.parentId).filter((each) => rows.has(each));
      const refusal = findHierarchyRefusal(graph, step.roleId, parents, { limits: noLimit });
      if (rows.has(parentId)) expect(refusal?.code === 'CYCLIC_INHERITANCE').toBe(hasCycleThrough(others, step.roleId));
      if (refusal !== undefined || hasCycle(others)) return graph;
    }
    rows.set(step.roleId, next);
    return step.kind === 'link' ? addEdge(graph, step.roleId, step.edge) : removeEdge(graph, step.roleId, parentId);
  }

  function hasCycle(rows: ReadonlyMap<string, HierarchyRole>): boolean {
    return [...rows.keys()].some((roleId) => hasCycleThrough(rows, roleId));
  }

  function hasCycleThrough(rows: ReadonlyMap<string, HierarchyRole>, roleId: string): boolean {
    return rows.get(roleId)!.parents.some(({ parentId }) => walkUp(rows, parentId, false).includes(roleId));
  }

  it('grows over word boundaries and keeps what it reached by another way', () => {
    const chain = Array.from({ length: 100 }, (_, at) => role(`n${at}`, ...(at === 0 ? [] : [`n${at - 1}`])));
    let graph = chain.reduce(saveRole, emptyRoleGraph);
    expect(ancestors(graph, 'n99')).toHaveLength(100);
    graph = addEdge(graph, 'n99', full('n10'));
    graph = removeEdge(graph, 'n50', 'n49');
    expect(ancestors(graph, 'n99')).toHaveLength(50 + 11);
    expect(inherits(graph, 'n99', 'n20')).toBe(false);
    expect(findNode(graph, 'n99')!.depth).toBe(49);
  });

  it('leaves earlier versions as they were', () => {
    const first = [role('a'), role('b', 'a'), role('c', 'b')].reduce(saveRole, emptyRoleGraph);
    const second = removeEdge(first, 'b', 'a');
    expect(ancestors(first, 'c')).toEqual(['a', 'b', 'c']);
    expect(ancestors(second, 'c')).toEqual(['b', 'c']);
    expect(second.version).toBe(first.version + 1);
  });

  it('takes an edge into force when its parent arrives', () => {
    const graph = saveRole(saveRole(emptyRoleGraph, role('child', 'parent')), role('parent'));
    expect(ancestors(graph, 'child')).toEqual(['child', 'parent']);
  });

  it('parks an edge that closes a cycle until the cycle is gone', () => {
    const cyclic = saveRole(saveRole(emptyRoleGraph, role('a', 'b')), role('b', 'a'));
    expect(cyclic.parked).toEqual(['a']);
    const healed = saveRole(cyclic, role('b'));
    expect(healed.parked).toEqual([]);
    expect(ancestors(healed, 'a')).toEqual(['a', 'b']);
    expect(buildRoleGraph([role('a', 'b'), role('b', 'a')]).parked).toEqual(['b']);
  });
});

describe('refusals', () => {
  const graph = buildRoleGraph([role('a'), role('b', 'a'), role('c', 'b'), role('d', 'c')]);

  it('name the cycle', () => {
    expect(findHierarchyRefusal(graph, 'a', ['d'])).toEqual({
      code: 'CYCLIC_INHERITANCE',
      message: 'expected no cycle, got a -> d -> c -> b -> a',
      cycle: ['a', 'd', 'c', 'b', 'a'],
    });
    expect(findCycle(graph, 'a', 'a')).toEqual(['a', 'a']);
    expect(findCycle(graph, 'd', 'a')).toBeUndefined();
  });

  it('count the depth above and below', () => {
    const chain = buildRoleGraph([...['a', 'x'].map((id) => role(id)), role('b', 'a'), role('c', 'b'), role('y', 'x')]);
    expect(findHierarchyRefusal(chain, 'a', ['y'], { limits: { maxDepth: 4, maxParents: 5 } })).toBeUndefined();
    expect(findHierarchyRefusal(chain, 'a', ['y'], { limits: { maxDepth: 3, maxParents: 5 } })).toMatchObject({
      depth: 4,
    });
    expect(findHierarchyRefusal(chain, 'new', ['c'], { limits: { maxDepth: 2, maxParents: 5 } })?.code).toBe(
      'DEPTH_EXCEEDED',
    );
  });

  it('know parents that are missing or too many', () => {
    expect(findHierarchyRefusal(graph, 'new', ['nobody'])).toMatchObject({
      code: 'PARENT_NOT_FOUND',
      parentId: 'nobody',
    });
    expect(findHierarchyRefusal(graph, 'd', ['1', '2', '3', '4', '5', '6'])?.code).toBe('TOO_MANY_PARENTS');
  });
});

describe('paths and queries', () => {
  const graph = buildRoleGraph([
    role('top'),
    role('left', 'top'),
    role('right', 'top'),
    { roleId: 'low', plain: true, parents: [full('left'), full('right'), full('top')] },
    role('lowest', 'low'),
  ]);
  const indexOf = (roleId: string) => graph.indexes.get(roleId)!;

  it('find the shortest path, and the next one where rules forbid it', () => {
    const nameAll = (path: number[] | undefined) => path?.map((index) => graph.nodes[index]!.roleId);
    expect(nameAll(findPath(graph, [indexOf('lowest')], indexOf('top')))).toEqual(['lowest', 'low', 'top']);
    const rules = {
      enters: ({ roleId }: { roleId: string }) => roleId !== 'left',
      passes: ({ edge: { parentId } }: { edge: InheritanceEdge }, { roleId }: { roleId: string }) =>
        !(roleId === 'low' && parentId === 'top'),
    };
    expect(nameAll(findPath(graph, [indexOf('lowest')], indexOf('top'), rules))).toEqual([
      'lowest',
      'low',
      'right',
      'top',
    ]);
    expect(findPath(graph, [indexOf('top')], indexOf('low'))).toBeUndefined();
  });

  it('answer both directions with levels and redundant edges', () => {
    const result = queryHierarchy(graph, 'low', { direction: 'BOTH' })!;
    expect(result.entries.map(({ roleId, relation, level }) => `${relation} ${roleId} ${level}`)).toEqual([
      'SELF low 0',
      'ANCESTOR left 1',
      'ANCESTOR right 1',
      'ANCESTOR top 1',
      'DESCENDANT lowest 1',
    ]);
    expect(result.edges.filter(({ redundant }) => redundant)).toEqual([
      { roleId: 'low', parentId: 'top', type: 'full', redundant: true },
    ]);
    expect(queryHierarchy(graph, 'top', { direction: 'DESCENDANTS', depth: 1 })!.entries).toHaveLength(4);
    expect(queryHierarchy(graph, 'nobody', { direction: 'BOTH' })).toBeUndefined();
  });

  it('do not call an edge redundant that replaces a partial one', () => {
    const mixed = buildRoleGraph([
      role('top'),
      { roleId: 'middle', plain: true, parents: [partial('top')] },
      { roleId: 'low', plain: true, parents: [full('middle'), full('top')] },
    ]);
    expect(queryHierarchy(mixed, 'low', { direction: 'ANCESTORS' })!.edges.some(({ redundant }) => redundant)).toBe(
      false,
    );
  });
});

it('a persistent map is a map, and its versions stay', () => {
  const operation = fc.tuple(fc.constantFrom('set', 'delete'), fc.integer({ min: 0, max: 400 }).map(String));
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 600 }), (operations) => {
      let map = PersistentMap.empty<number>();
      const model = new Map<string, number>();
      const versions: [PersistentMap<number>, Map<string, number>][] = [];
      for (const [at, [kind, key]] of operations.entries()) {
        if (kind === 'set') model.set(key, at);
        else model.delete(key);
        map = kind === 'set' ? map.set(key, at) : map.delete(key);
        if (at % 100 === 0) versions.push([map, new Map(model)]);
      }
      for (const [version, expected] of [...versions, [map, model] as const]) {
        expect(version.size).toBe(expected.size);
        expect(new Map(version.entries())).toEqual(expected);
        for (const key of ['0', '17', '400']) expect(version.get(key)).toBe(expected.get(key));
      }
      expect(new Map(PersistentMap.from(model).entries())).toEqual(model);
    }),
    { numRuns: 60 },
  );
});
