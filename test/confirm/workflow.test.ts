import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Facts } from '#shared/conditions/facts.ts';
import { chainStart, seal, verifyChain } from '../../subgraphs/confirm/chain/chain.ts';
import {
  advance,
  compileWorkflow,
  type StepDefinition,
  type StepStatus,
  WorkflowError,
} from '../../subgraphs/confirm/workflow/index.ts';

const step = (id: string, dependsOn: readonly string[] = [], more: Partial<StepDefinition> = {}): StepDefinition => ({
  id,
  name: id,
  kind: 'human_approval',
  dependsOn,
  join: 'all',
  approvers: [{ subject: 'bob', weight: 1, required: false }],
  quorum: { kind: 'single' },
  escalation: [],
  delegationAllowed: true,
  onRejection: 'reject',
  minimumRationale: 0,
  ...more,
});
const workflow = (...steps: StepDefinition[]) =>
  compileWorkflow({ type: 'conditional', steps, globalTimeoutMs: 1_000 });
const facts = (resource: Record<string, unknown> = {}): Facts => ({
  subjectId: 'alice',
  subject: {},
  roleClearance: undefined,
  heldRoles: [],
  action: 'approve',
  resourceType: 'plan',
  resourceId: undefined,
  resource,
  contextId: undefined,
  planId: undefined,
  environment: {},
  timeMs: 0,
  ip: undefined,
});
const pending = (compiled: ReturnType<typeof workflow>) =>
  new Map<string, StepStatus>(compiled.steps.map(({ definition }) => [definition.id, 'pending']));

describe('workflows', () => {
  test('faults are found when a workflow is compiled, with the steps at fault', () => {
    const fault = (...steps: StepDefinition[]) => {
      try {
        workflow(...steps);
        return null;
      } catch (error) {
        if (!(error instanceof WorkflowError)) throw error;
        return [error.fault, [...error.steps]];
      }
    };
    expect(fault()).toEqual(['empty', []]);
    expect(fault(step('a'), step('a'))).toEqual(['duplicate', ['a']]);
    expect(fault(step('a', ['z']))).toEqual(['unknown_dependency', ['a']]);
    expect(fault(step('a'), step('b', ['c']), step('c', ['b']), step('d', ['c']))).toEqual(['cycle', ['b', 'c', 'd']]);
    expect(fault(step('a', ['a']))).toEqual(['cycle', ['a']]);
    expect(fault(step('a', [], { condition: 'resource.amount >' }))).toEqual(['condition', ['a']]);
    expect(fault(step('a', [], { kind: 'automated_validation' }))).toEqual(['condition', ['a']]);
  });

  test('starts what is met, skips by condition, runs checks inline', () => {
    const compiled = workflow(
      step('check', [], { kind: 'automated_validation', check: 'resource.amount < 100' }),
      step('manager', ['check']),
      step('finance', ['check'], { condition: 'resource.amount > 50' }),
      step('board', ['manager', 'finance']),
    );
    const first = advance(compiled, pending(compiled), facts({ amount: 10 }));
    expect(first.moves.map(({ id, to }) => [id, to])).toEqual([
      ['check', 'approved'],
      ['manager', 'active'],
      ['finance', 'skipped'],
    ]);
    const refused = advance(compiled, pending(compiled), facts({ amount: 100 }));
    expect(refused.moves.map(({ id, to }) => [id, to])).toEqual([
      ['check', 'rejected'],
      ['manager', 'blocked'],
      ['finance', 'blocked'],
      ['board', 'blocked'],
    ]);
    expect(refused.outcome).toBe('rejected');
    // What cannot be decided neither skips nor passes.
    expect(advance(compiled, pending(compiled), facts({ amount: 'much' })).outcome).toBe('rejected');
  });

  test('any of several paths is enough where a rejection goes on', () => {
    const compiled = workflow(
      step('a', [], { onRejection: 'continue' }),
      step('b', [], { onRejection: 'continue' }),
      step('end', ['a', 'b'], { join: 'any' }),
    );
    const statuses = (a: StepStatus, b: StepStatus) => new Map(pending(compiled)).set('a', a).set('b', b);
    expect(advance(compiled, statuses('rejected', 'active'), facts()).moves).toEqual([]);
    expect(advance(compiled, statuses('rejected', 'approved'), facts()).moves).toMatchObject([
      { id: 'end', to: 'active' },
    ]);
    expect(advance(compiled, statuses('rejected', 'rejected'), facts())).toMatchObject({
      moves: [{ id: 'end', to: 'blocked' }],
      outcome: 'rejected',
    });
  });

  test('whatever the graph, approving every step that starts ends in approval, each step once', () => {
    const shape = fc.array(fc.array(fc.nat(30), { maxLength: 3 }), { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(shape, (links) => {
        const compiled = workflow(
          ...links.map((targets, index) =>
            step(`s${index}`, index === 0 ? [] : [...new Set(targets.map((target) => `s${target % index}`))]),
          ),
        );
        let statuses = new Map(pending(compiled));
        const started: string[] = [];
        for (let round = 0; round <= links.length; round += 1) {
          const { moves, outcome } = advance(compiled, statuses, facts());
          if (outcome === 'approved') break;
          statuses = new Map(statuses);
          for (const { id } of moves) {
            started.push(id);
            for (const dependency of compiled.byId.get(id)!.definition.dependsOn)
              expect(statuses.get(dependency)).toBe('approved');
            statuses.set(id, 'active');
          }
          for (const [id, status] of statuses) if (status === 'active') statuses.set(id, 'approved');
        }
        expect(started.toSorted()).toEqual(links.map((_, index) => `s${index}`).toSorted());
        expect(advance(compiled, statuses, facts()).outcome).toBe('approved');
      }),
    );
  });
});

describe('the chain of decisions', () => {
  const chain = (length: number) => {
    let previousHash = chainStart;
    return Array.from({ length }, (_, index) => {
      const sealed = seal({ id: `d${index}`, confirmId: 'c', sequence: index + 1, previousHash, outcome: 'approve' });
      previousHash = sealed.hash;
      return sealed;
    });
  };
  const headOf = (decisions: ReturnType<typeof chain>) => ({
    count: decisions.length,
    hash: decisions.at(-1)?.hash ?? chainStart,
  });

  test('names the first link that does not hold', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8 }),
        fc.nat(7),
        fc.constantFrom('edit', 'reseal', 'drop'),
        (n, at, how) => {
          const decisions = chain(n);
          const head = headOf(decisions);
          expect(verifyChain(decisions, head)).toEqual({ valid: true, length: n, fault: null });
          const index = at % n;
          const { hash, ...content } = decisions[index]!;
          const changed =
            how === 'drop'
              ? decisions.toSpliced(index, 1)
              : decisions.with(
                  index,
                  how === 'edit' ? { ...content, outcome: 'reject', hash } : seal({ ...content, outcome: 'reject' }),
                );
          const { fault } = verifyChain(changed, head);
          if (how === 'edit') expect(fault).toMatchObject({ sequence: index + 1, reason: 'content' });
          else if (how === 'drop') expect(fault).toMatchObject({ sequence: index + 1, reason: 'missing' });
          else if (index === n - 1) expect(fault).toMatchObject({ sequence: n, reason: 'head' });
          else expect(fault).toMatchObject({ sequence: index + 2, reason: 'link' });
        },
      ),
    );
    expect(verifyChain([], { count: 0, hash: chainStart }).valid).toBe(true);
  });
});
