import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  contextIdOf,
  defaultBounds,
  idOf,
  maxValuesJudgedWhole,
  maxViolations,
  type ProtocolDocuments,
  protocolModules,
  refsOf,
  sameDocument,
  validateEvent,
  validateProtocolObject,
} from '../../schema/protocol/index.ts';
import { sampleId, sampleObjects } from './sample/objects.ts';

const { context, dialog } = sampleObjects;
const faults = (object: unknown): unknown[] =>
  validateProtocolObject('context', object).map(({ path, keyword, property }) => [path, keyword, property]);
const withConstraints = (constraints: unknown): unknown => ({ ...context, constraints });

describe('bad input', () => {
  it.each([[[]], ['text'], [7], [null], [true], [undefined], [Symbol('s')], [10n], [() => 1]])(
    'refuses %s in place of an object',
    (value) => {
      expect(faults(value)).toContainEqual(['/', 'type', undefined]);
      expect(validateEvent(value)[0]?.keyword).toBe('type');
    },
  );

  it('reports __proto__ and constructor as unknown keys, and keeps them in free-form slots', () => {
    const own: unknown = JSON.parse(JSON.stringify(context).replace(/^\{/, '{"__proto__":{"a":1},"constructor":1,'));
    expect(faults(own)).toEqual([
      ['/', 'additionalProperties', '__proto__'],
      ['/', 'additionalProperties', 'constructor'],
    ]);
    expect(faults(withConstraints(JSON.parse('{"__proto__":{"a":1}}')))).toEqual([]);
    expect(Reflect.get({}, 'a')).toBeUndefined();
  });

  it('does not take inherited properties of an object without prototype for missing ones', () => {
    expect(faults(Object.assign(Object.create(null), context))).toEqual([]);
  });

  it('reports NUL and lone surrogates in values and keys', () => {
    expect(faults({ ...context, title: 'a\u0000b' })).toEqual([['/title', 'format', undefined]]);
    expect(faults(withConstraints({ deep: ['\ud800'] }))).toEqual([['/constraints/deep/0', 'format', undefined]]);
    expect(faults(withConstraints({ 'a/\u0000': 1 }))).toEqual([['/constraints', 'propertyNames', 'a/\u0000']]);
    expect(faults(withConstraints({ '\udfff': 1 }))[0]).toEqual(['/constraints', 'propertyNames', '\ufffd']);
    expect(faults(withConstraints({ emoji: '\u{1f6a2}' }))).toEqual([]);
  });

  it('reports numbers beyond a double and values that are not JSON', () => {
    expect(faults(JSON.parse(`{"constraints":{"n":1e999}}`))).toContainEqual(['/constraints/n', 'type', undefined]);
    expect(faults(withConstraints({ n: Number.NaN, u: undefined, b: 1n }))).toEqual([
      ['/constraints/n', 'type', undefined],
      ['/constraints/u', 'type', undefined],
      ['/constraints/b', 'type', undefined],
    ]);
  });

  it('bounds text, depth and size, each with a clear answer', () => {
    const nested = (depth: number): unknown => JSON.parse('['.repeat(depth) + ']'.repeat(depth));
    expect(faults(withConstraints({ n: nested(defaultBounds.maxDepth - 2) }))).toEqual([]);
    expect(faults(withConstraints({ n: nested(defaultBounds.maxDepth - 1) })).map((f) => Object(f)[1])).toEqual([
      'maxDepth',
    ]);
    expect(validateProtocolObject('context', withConstraints({ n: nested(5_000) }))[0]?.message).toMatch(
      /at most 64 nested/,
    );
    const circular: { self?: unknown } = {};
    circular.self = circular;
    expect(faults(withConstraints(circular)).map((f) => Object(f)[1])).toEqual(['maxDepth']);
    expect(faults({ ...context, summary: 'x'.repeat(defaultBounds.maxTextBytes) })).toEqual([]);
    expect(faults({ ...context, summary: 'x'.repeat(defaultBounds.maxTextBytes + 1) })).toEqual([
      ['/summary', 'maxLength', undefined],
    ]);
    expect(faults({ ...context, summary: '\u20ac'.repeat(defaultBounds.maxTextBytes / 3 + 1) })).toHaveLength(1);
    expect(faults(withConstraints(Array.from({ length: defaultBounds.maxValues }, () => 0)))[0]).toEqual([
      expect.any(String),
      'maxValues',
      undefined,
    ]);
  });

  it('does not repeat long keys in its answers', () => {
    const long = 'k'.repeat(defaultBounds.maxTextBytes + 1);
    expect(faults(withConstraints({ [long]: ['\u0000'] }))).toEqual([
      ['/constraints', 'propertyNames', 'k'.repeat(200)],
    ]);
    let nested: unknown = Array.from({ length: 200 }, () => '\u0000');
    for (let depth = 0; depth < 20; depth += 1) nested = { ['k'.repeat(100_000)]: nested };
    expect(JSON.stringify(validateProtocolObject('context', withConstraints(nested))).length).toBeLessThan(5_000_000);
  });

  it('answers a flood of faults with a bounded list', () => {
    const few = { ...dialog, messages: Array.from({ length: 5_000 }, () => ({})) };
    expect(validateProtocolObject('dialog', few)).toHaveLength(maxViolations);
    const many = { ...dialog, messages: Array.from({ length: maxValuesJudgedWhole + 1 }, () => ({})) };
    expect(validateProtocolObject('dialog', many)).toEqual([
      { path: '/messages/0', keyword: 'required', property: 'role', message: 'expected the property "role", got none' },
    ]);
  });

  it('never throws on any JSON value', () => {
    fc.assert(
      fc.property(fc.constantFrom(...protocolModules), fc.jsonValue({ maxDepth: 6 }), (module, value) => {
        expect(validateProtocolObject(module, value).length).toBeGreaterThan(0);
        expect(Array.isArray(refsOf(module, value))).toBe(true);
        validateEvent(value);
      }),
      { numRuns: 500 },
    );
  });
});

describe('what an object says of others', () => {
  it('finds the own id and the context', () => {
    for (const module of protocolModules) expect(idOf(module, sampleObjects[module])).toMatch(/^0a7f3c52-/);
    expect(idOf('plan', sampleObjects.plan)).toBe(sampleId(10));
    expect(() => idOf('plan', {})).toThrow(/expected plan_id/);
    const contexts = protocolModules.map((module) => [module, contextIdOf(module, sampleObjects[module])]);
    expect(Object.fromEntries(contexts)).toMatchObject({
      context: sampleId(1),
      dialog: sampleId(1),
      role: null,
      core: null,
    });
    expect(contextIdOf('confirm', sampleObjects.confirm)).toBe(sampleId(1));
    expect(contextIdOf('confirm', { target_type: 'context', target_id: sampleId(2) })).toBe(sampleId(2));
    expect(contextIdOf('confirm', { target_type: 'plan', target_id: sampleId(2) })).toBeNull();
  });

  it('lists every reference with its place', () => {
    const lines = (module: keyof ProtocolDocuments): string[] =>
      refsOf(module, sampleObjects[module]).map((ref) => `${ref.path} ${ref.module} ${ref.id.slice(-3)}`);
    expect(lines('plan')).toEqual([
      '/context_id context 001',
      '/steps/0/agent_role role ore',
      '/trace/trace_id trace 050',
      '/trace/context_id context 001',
    ]);
    expect(lines('confirm')).toEqual([
      '/requested_by_role role ner',
      '/decisions/0/decided_by_role role ter',
      '/target_id plan 010',
      '/trace/trace_id trace 050',
      '/trace/context_id context 001',
    ]);
    expect(lines('trace')).toEqual([
      '/context_id context 001',
      '/plan_id plan 010',
      '/root_span/context_id context 001',
      '/governance/lastConfirmRef confirm 040',
    ]);
    expect(lines('collab')).toContain('/participants/1/role_id role 031');
    expect(lines('network')).toContain('/nodes/0/role_id role 030');
    expect(lines('context')).toContain('/owner_role role 030');
    expect(refsOf('confirm', { target_type: 'other', target_id: sampleId(3) })).toEqual([
      { module: null, id: sampleId(3), path: '/target_id' },
    ]);
  });
});

describe('sameDocument', () => {
  const shuffled = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(shuffled);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value)
        .reverse()
        .map(([key, child]) => [key, shuffled(child)]),
    );
  };

  it('ignores key order and nothing else', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
        expect(sameDocument(a, shuffled(a))).toBe(true);
        const canonical = (value: unknown): string =>
          JSON.stringify(value, (_, child: unknown) =>
            typeof child === 'object' && child !== null && !Array.isArray(child)
              ? { sorted: Object.entries(child).sort(([x], [y]) => (x < y ? -1 : 1)) }
              : child,
          );
        expect(sameDocument(a, b)).toBe(canonical(a) === canonical(b));
      }),
    );
    expect(sameDocument([1, 2], [2, 1])).toBe(false);
    expect(sameDocument({ a: undefined }, {})).toBe(false);
    expect(sameDocument({}, [])).toBe(false);
    expect(sameDocument(JSON.parse('{"__proto__":{"a":1}}'), JSON.parse('{"b":{"a":1}}'))).toBe(false);
    expect(sameDocument(JSON.parse('{"__proto__":{"a":1}}'), JSON.parse('{"__proto__":{"a":1}}'))).toBe(true);
    const deep = (): unknown => JSON.parse('['.repeat(5_000) + ']'.repeat(5_000));
    expect(sameDocument(deep(), deep())).toBe(true);
  });
});
