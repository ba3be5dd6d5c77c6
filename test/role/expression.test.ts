import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ConditionError,
  compileExpression,
  EvaluationError,
  type Facts,
  maxExpressionDepth,
  maxExpressionLength,
  maxExpressionNodes,
} from '../../subgraphs/role/conditions/index.ts';

const facts: Facts = {
  subjectId: 'ada',
  subject: { department: 'sales', level: 3, active: true, nested: { deep: 'x' }, tags: ['a', 'b'] },
  roleClearance: 'secret',
  heldRoles: ['editor'],
  action: 'read',
  resourceType: 'plan',
  resourceId: 'p1',
  resource: JSON.parse('{"ownerId":"ada","size":-1.5,"__proto__":{"polluted":true},"classification":"internal"}'),
  contextId: 'c1',
  planId: undefined,
  environment: { mfa: false, run: () => true },
  timeMs: 0,
  ip: undefined,
};

function ask(text: string): boolean {
  return compileExpression(text)(facts);
}

/** Where parsing stops, or undefined when it does not. */
function faultOf(text: string): number | undefined {
  try {
    compileExpression(text);
    return undefined;
  } catch (error) {
    if (error instanceof ConditionError) return error.position;
    throw error;
  }
}

describe('expressions', () => {
  it.each([
    ['subject.department == "sales"', true],
    ["subject.department != 'sales'", false],
    ['subject.level >= 3 AND subject.level < 4', true],
    ['subject.level > 3 or subject.active', true],
    ['NOT subject.active', false],
    ['!(subject.active && environment.mfa)', true],
    ['NOT subject.active OR subject.active', true],
    ['true OR false AND false', true],
    ['(true OR false) AND false', false],
    ['subject.department IN ["sales", "research"]', true],
    ['subject.level in []', false],
    ['subject.tags CONTAINS "a"', true],
    ['"a" IN subject.tags', true],
    ['subject.department startsWith "sal"', true],
    ['subject.nested.deep == "x"', true],
    ['subject.missing == subject.alsoMissing', false],
    ['subject.missing EXISTS', false],
    ['NOT subject.missing EXISTS AND subject.level EXISTS', true],
    ['resource.ownerId == subject.id', true],
    ['resource.size == -1.5', true],
    ['subject.securityClearance > resource.classification', true],
    ['subject.department == "it\\"s"', false],
    ['environment.time == 0', true],
  ])('%s is %s', (text, expected) => {
    expect(ask(text)).toBe(expected);
  });

  it.each([
    'resource.__proto__.polluted',
    'resource.__proto__ EXISTS',
    'subject.constructor EXISTS',
    'subject.constructor.constructor EXISTS',
    'subject.toString EXISTS',
    'subject.tags.length EXISTS',
    'subject.department.length EXISTS',
    'environment.run',
    'environment.run EXISTS',
  ])('%s reads nothing', (text) => {
    expect(ask(text)).toBe(false);
  });

  it.each(['subject.level', 'subject.level > "3"', 'subject.level CONTAINS 1', 'subject.active > 1'])(
    '%s cannot be decided',
    (text) => {
      expect(() => ask(text)).toThrow(EvaluationError);
    },
  );

  it('stop at what decides', () => {
    expect(ask('subject.active OR subject.level > "3"')).toBe(true);
    expect(ask('environment.mfa AND subject.level > "3"')).toBe(false);
  });

  it.each([
    ['', 0],
    ['subject.level >', 15],
    ['subject.level = 3', 14],
    ['(subject.active', 15],
    ['subject.active)', 14],
    ['alert(1)', 5],
    ['subject.run(1)', 11],
    ['process.exit', 0],
    ['subject', 0],
    ['subject..level', 7],
    ['"open', 5],
    ['"bad \\x escape"', 6],
    ['1 AND true', 2],
    ['subject.level == [1, 2', 22],
    ['subject.level == [subject.level]', 18],
    ['subject.level == 1 == 1', 19],
    ['`x`', 0],
    ['1e5 == 1', 0],
    ['subject["level"]', 7],
  ])('refuse %j at %i', (text, position) => {
    expect(faultOf(text)).toBe(position);
  });

  it('are bounded in length, depth and size', () => {
    expect(faultOf(`"${'x'.repeat(maxExpressionLength)}" == "x"`)).toBe(0);
    const deep = (levels: number) => `${'('.repeat(levels)}true${')'.repeat(levels)}`;
    expect(faultOf(deep(maxExpressionDepth))).toBeUndefined();
    expect(faultOf(deep(maxExpressionDepth + 1))).toBe(maxExpressionDepth);
    expect(faultOf('NOT '.repeat(maxExpressionDepth + 1))).toBe(maxExpressionDepth * 4);
    expect(
      faultOf(
        Array(maxExpressionNodes / 2)
          .fill('true')
          .join(' OR '),
      ),
    ).toBeUndefined();
    expect(faultOf(Array(maxExpressionNodes).fill('true').join(' OR '))).toBeGreaterThan(0);
  });

  const fragment = fc.constantFrom(
    'subject.level',
    'resource.a',
    'environment.x',
    'AND',
    'or',
    'NOT',
    '!',
    '(',
    ')',
    '[',
    ']',
    ',',
    '==',
    '<=',
    'IN',
    'contains',
    'EXISTS',
    '"s"',
    "'",
    '12',
    '-3.5',
    'true',
    'constructor',
    '__proto__',
    'eval(1)',
    '=>',
    '#{x}',
    '\\',
    '.',
    ' ',
  );
  const texts = fc.oneof(
    fc.string({ maxLength: 80 }),
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.array(fragment, { maxLength: 30 }).map((parts) => parts.join(' ')),
    fc.array(fragment, { maxLength: 30 }).map((parts) => parts.join('')),
  );

  it('throw nothing but their own error, with a position in the text', () => {
    fc.assert(
      fc.property(texts, (text) => {
        const position = faultOf(text);
        if (position === undefined) return;
        expect(position).toBeGreaterThanOrEqual(0);
        expect(position).toBeLessThanOrEqual(text.length);
      }),
      { numRuns: 5_000 },
    );
  });

  it('answer true or false or throw an EvaluationError', () => {
    fc.assert(
      fc.property(fc.array(fragment, { maxLength: 9 }), (parts) => {
        const text = parts.join(' ');
        if (faultOf(text) !== undefined) return;
        try {
          expect(typeof ask(text)).toBe('boolean');
        } catch (error) {
          expect(error).toBeInstanceOf(EvaluationError);
        }
      }),
      { numRuns: 5_000 },
    );
  });

  it('agree with their truth tables', () => {
    type Tree = { text: string; value: boolean };
    const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
      tree: fc.oneof(
        { maxDepth: 4, withCrossShrink: true },
        fc.constantFrom({ text: 'subject.active', value: true }, { text: 'environment.mfa', value: false }),
        tie('tree').map((inner) => ({ text: `NOT (${inner.text})`, value: !inner.value })),
        fc
          .tuple(tie('tree'), tie('tree'))
          .map(([a, b]) => ({ text: `(${a.text}) AND (${b.text})`, value: a.value && b.value })),
        fc
          .tuple(tie('tree'), tie('tree'))
          .map(([a, b]) => ({ text: `(${a.text}) OR (${b.text})`, value: a.value || b.value })),
      ),
    }));
    fc.assert(
      fc.property(tree, ({ text, value }) => {
        expect(ask(text)).toBe(value);
      }),
      { numRuns: 1_000 },
    );
  });
});
