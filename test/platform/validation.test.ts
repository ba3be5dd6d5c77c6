import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compareSchemas } from '../../subgraphs/platform/validation/compatibility.ts';
import { patternProblem } from '../../subgraphs/platform/validation/patterns.ts';
import { type Json, openPlatformRig, type PlatformRig, principal } from './rig.ts';

let rig: PlatformRig;
beforeAll(async () => {
  rig = await openPlatformRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

type Who = ReturnType<typeof principal>;
const register = async (who: Who, document: Json, name = 'order', key?: string): Promise<Json> =>
  (
    await rig.ask(
      who,
      `mutation ($name: String!, $document: JSON!, $key: String) { registerSchema(name: $name, document: $document, idempotencyKey: $key) {
         schema { name version } userErrors { code path message } } }`,
      { name, document, key },
    )
  ).registerSchema;
const validate = async (who: Who, data: Json, more: Json = {}): Promise<Json> =>
  (
    await rig.ask(
      who,
      `query ($name: String!, $version: Int, $data: JSON!, $coerce: Boolean!) { validateData(name: $name, version: $version, data: $data, coerce: $coerce) {
         valid version data errors { path keyword params } } }`,
      { name: 'order', data, coerce: false, ...more },
    )
  ).validateData;
const order = {
  type: 'object',
  required: ['id', 'total'],
  additionalProperties: false,
  properties: {
    id: { type: 'string', pattern: '^[A-Z]{2}-[0-9]+$', maxLength: 20 },
    total: { type: 'number', minimum: 0 },
    note: { type: 'string', default: 'none' },
  },
};

describe('schemas', () => {
  it('that are deprecated say so to whoever holds data to them', async () => {
    const who = principal('ann', 'deprecating');
    await register(who, order);
    const status = async (by: Who, value: string, version = 1): Promise<Json> =>
      (
        await rig.ask(
          by,
          'mutation ($version: Int!, $status: PlatformSchemaStatus!) { setSchemaStatus(name: "order", version: $version, status: $status) { schema { version status dialect } userErrors { code } } }',
          { version, status: value },
        )
      ).setSchemaStatus;
    const warnings = async () =>
      (
        await rig.ask(
          who,
          '{ validateData(name: "order", data: { id: "AB-1", total: 1 }) { valid warnings { path code } } }',
        )
      ).validateData;
    expect(await warnings()).toEqual({ valid: true, warnings: [] });
    for (let times = 0; times < 2; times += 1)
      expect(await status(who, 'DEPRECATED')).toEqual({
        schema: { version: 1, status: 'DEPRECATED', dialect: 'http://json-schema.org/draft-07/schema#' },
        userErrors: [],
      });
    expect(await warnings()).toEqual({ valid: true, warnings: [{ path: '/', code: 'DEPRECATED_SCHEMA' }] });
    const told =
      await rig.sql`SELECT action FROM platform.audit WHERE tenant_id = 'deprecating' AND action = 'schema.status'`;
    expect(told).toHaveLength(1);
    expect((await status(who, 'ACTIVE', 7)).userErrors).toEqual([{ code: 'NOT_FOUND' }]);
    expect((await status(principal('eve', 'other'), 'ACTIVE')).userErrors).toEqual([{ code: 'NOT_FOUND' }]);
    expect((await status(who, 'ACTIVE')).schema.status).toBe('ACTIVE');
    expect((await warnings()).warnings).toEqual([]);
  });

  it('leave out what they do not name, where that is asked for and nothing more is allowed', async () => {
    const who = principal('ann', 'removing');
    const inner = { type: 'object', additionalProperties: false, properties: { a: { type: 'integer' } } };
    await register(who, {
      type: 'object',
      properties: { closed: inner, list: { type: 'array', items: inner, maxItems: 9 } },
    });
    const data = { closed: { a: '1', 'b/c': 2 }, open: 3, list: [{ a: 1 }, { a: 1, z: { deep: true } }] };
    const verdict = async (more: string): Promise<Json> =>
      (
        await rig.ask(
          who,
          `query ($data: JSON!) { validateData(name: "order", data: $data, ${more}) { valid data warnings { path code } } }`,
          { data },
        )
      ).validateData;
    expect(await verdict('coerce: true')).toEqual({ valid: false, data: null, warnings: [] });
    expect(await verdict('removeUnknown: true')).toMatchObject({ valid: false, data: null });
    expect(await verdict('coerce: true, removeUnknown: true')).toEqual({
      valid: true,
      data: { closed: { a: 1 }, open: 3, list: [{ a: 1 }, { a: 1 }] },
      warnings: [
        { path: '/closed/b~1c', code: 'REMOVED' },
        { path: '/list/1/z', code: 'REMOVED' },
      ],
    });
  });

  it('are versions that hold data to them', async () => {
    const who = principal('ann', 'schemas');
    expect(await register(who, order, 'order', 'k')).toMatchObject({ schema: { version: 1 } });
    expect(await register(who, order, 'order', 'k')).toMatchObject({ schema: { version: 1 } });
    expect(await register(who, { ...order, required: ['id'] })).toMatchObject({ schema: { version: 2 } });
    expect(await validate(who, { id: 'AB-1', total: 2 })).toEqual({ valid: true, version: 2, data: null, errors: [] });
    expect(await validate(who, { id: 'AB-1' }, { version: 1 })).toMatchObject({
      valid: false,
      version: 1,
      errors: [{ path: '/', keyword: 'required', params: { missingProperty: 'total' } }],
    });
    const { errors } = await validate(who, { id: 'x', total: -1, more: 1 });
    expect(errors.map(({ path, keyword }: Json) => `${path} ${keyword}`).toSorted()).toEqual([
      '/ additionalProperties',
      '/id pattern',
      '/total minimum',
    ]);
    expect(await validate(who, { id: 'AB-1', total: '7' }, { coerce: true })).toMatchObject({
      valid: true,
      data: { id: 'AB-1', total: 7, note: 'none' },
    });
    const { schemas } = await rig.ask(who, '{ schemas(first: 1) { nodes { name version } pageInfo { endCursor } } }');
    expect(schemas.nodes).toEqual([{ name: 'order', version: 2 }]);
    const next = await rig.ask(who, 'query ($after: String) { schemas(after: $after) { nodes { version } } }', {
      after: schemas.pageInfo.endCursor,
    });
    expect(next.schemas.nodes).toEqual([{ version: 1 }]);
    const foreign = await rig.answer(
      principal('eve', 'other'),
      '{ schema(name: "order") { version } validateData(name: "order", data: 1) { valid } }',
    );
    expect(foreign.errors[0].extensions.code).toBe('NOT_FOUND');
  });

  it.each<[string, Json, string]>([
    ['a list', [], '/'],
    ['another dialect', { $schema: 'https://json-schema.org/draft/2020-12/schema' }, '/'],
    ['no schema', { type: 'nothing' }, '/type'],
    ['a reference', { $ref: '#' }, '/$ref'],
    ['an explosion', { type: 'string', pattern: '^(a+)+$', maxLength: 10 }, '/pattern'],
    ['a pattern without a length', { type: 'string', pattern: '^a$' }, '/maxLength'],
    ['unique items without a bound', { uniqueItems: true }, '/maxItems'],
    ['an unknown format', { format: 'regex' }, '/format'],
    ['too many branches', { anyOf: Array.from({ length: 51 }, () => ({})) }, '/'],
    [
      'too many values',
      { properties: Object.fromEntries(Array.from({ length: 2_001 }, (_none, n) => [`p${n}`, {}])) },
      '/',
    ],
    ['too deep', Array.from({ length: 30 }).reduce<Json>((inner) => ({ not: inner }), {}), '/'],
    ['NUL', { title: 'a\0' }, '/'],
  ])('refuse %s', async (_what, document, path) => {
    const who = principal('ann', 'refusing');
    const { validateSchema } = await rig.ask(
      who,
      'query ($document: JSON!) { validateSchema(document: $document) { valid problems { path } } }',
      { document },
    );
    expect(validateSchema.valid).toBe(false);
    expect(validateSchema.problems[0].path).toContain(path);
    expect((await register(who, document)).userErrors).toMatchObject([
      { code: 'VALIDATION_FAILED', path: ['document'] },
    ]);
  });

  it('take names of properties that look like keywords', async () => {
    expect(
      await register(principal('ann', 'names'), { properties: { $ref: {}, pattern: {}, id: { const: { $ref: 1 } } } }),
    ).toMatchObject({ userErrors: [] });
  });

  it('say what another one would break', async () => {
    const who = principal('ann', 'compared');
    await register(who, order);
    const compare = async (document: Json) =>
      (
        await rig.ask(
          who,
          'query ($document: JSON!) { checkCompatibility(name: "order", document: $document) { compatible version changes { path breaking } } }',
          { document },
        )
      ).checkCompatibility;
    expect(await compare(order)).toEqual({ compatible: true, version: 1, changes: [] });
    const wider = { ...order, required: ['id'], properties: { ...order.properties, more: {} } };
    expect((await compare(wider)).compatible).toBe(true);
    const narrower = { ...order, properties: { ...order.properties, total: { type: 'integer', minimum: 1 } } };
    expect(await compare(narrower)).toMatchObject({
      compatible: false,
      changes: [
        { path: '/total', breaking: true },
        { path: '/total', breaking: true },
      ],
    });
  });

  it('that are called compatible refuse nothing that was taken', async () => {
    const { Ajv } = await import('ajv');
    const ajv = new Ajv({ strict: false });
    const leaf = fc.record(
      {
        type: fc.constantFrom('string', 'number', 'integer', 'boolean', ['string', 'number']),
        enum: fc.subarray([1, 2, 'a', true], { minLength: 1 }),
        minimum: fc.integer({ min: -2, max: 2 }),
        maxLength: fc.integer({ min: 0, max: 2 }),
      },
      { requiredKeys: [] },
    );
    const schema = fc.record(
      {
        properties: fc.dictionary(fc.constantFrom('x', 'y'), leaf),
        required: fc.subarray(['x', 'y']),
        additionalProperties: fc.boolean(),
      },
      { requiredKeys: [] },
    );
    const data = fc.dictionary(fc.constantFrom('x', 'y', 'z'), fc.constantFrom(1, 2, 0.5, -3, 'a', 'long', true, null));
    fc.assert(
      fc.property(schema, schema, fc.array(data, { minLength: 20, maxLength: 40 }), (before, after, samples) => {
        if (compareSchemas(before, after).some(({ breaking }) => breaking)) return;
        const [old, next] = [ajv.compile(before), ajv.compile(after)];
        for (const sample of samples) if (old(sample)) expect([sample, next(sample)]).toEqual([sample, true]);
      }),
      { numRuns: 300 },
    );
  });
});

describe('patterns', () => {
  it.each([
    '(a+)+',
    '(a|a)*',
    '(a*)*b',
    '((a?){2,9}){3}',
    '(x{1,9})+',
    'a*a*',
    '^a*a*a*',
    '(?=a)',
    '(?<!a)b',
    '(a)\\1',
    '(?<n>a)\\k<n>',
    '[',
    '(a|b){100}',
    'a{60,}b+',
    'a{0,40}a{0,40}a{0,40}',
    'a{0,40}a{0,40}b+',
    'x'.repeat(201),
  ])('%s is refused', (pattern) => expect(patternProblem(pattern)).not.toBeNull());
  it.each(['^[a-z]{2,40}$', 'a+', '^\\d+-\\w+$', '^(red|green)$', '^(ab)+$', '\\p{Lu}', '[*+]{3}', '^a|b$', '(?:x)y?'])(
    '%s is taken',
    (pattern) => expect(patternProblem(pattern)).toBeNull(),
  );
  it('that are taken end soon on the longest text', () => {
    const piece = fc.constantFrom(
      'a',
      'b',
      '[ab]',
      '(ab)',
      'a*',
      'b+',
      '(a|b)',
      '(ab)*',
      'a{0,40}',
      '(a?)',
      '^',
      '$',
      '(a+)',
      '(b*a)',
    );
    fc.assert(
      fc.property(
        fc.array(piece, { minLength: 1, maxLength: 8 }),
        fc.constantFrom('a', 'ab', 'aab', 'b'),
        (pieces, unit) => {
          const pattern = pieces.join('');
          fc.pre(patternProblem(pattern) === null);
          const startedAt = process.cpuUsage();
          new RegExp(pattern, 'u').test(`${unit.repeat(1_024 / unit.length)}!`);
          // Seconds would be an explosion; what is quadratic takes some ten milliseconds.
          expect(process.cpuUsage(startedAt).user / 1_000).toBeLessThan(2_000);
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('business rules', () => {
  const put = async (who: Who, input: Json, expectedVersion?: number): Promise<Json> =>
    (
      await rig.ask(
        who,
        `mutation ($input: BusinessRuleInput!, $expectedVersion: Int) { createBusinessRule(input: $input, expectedVersion: $expectedVersion) {
           rule { id revision severity } userErrors { code path message } } }`,
        {
          input: { ruleSet: 'orders', name: 'total', expression: 'order.total <= 100', message: 'too much', ...input },
          expectedVersion,
        },
      )
    ).createBusinessRule;
  const check = async (who: Who, data: Json, ruleSet = 'orders'): Promise<Json> =>
    (
      await rig.ask(
        who,
        'query ($ruleSet: String!, $data: JSON!) { validateBusinessRules(ruleSet: $ruleSet, data: $data) { valid checked errors { name kind message } warnings { name } } }',
        { ruleSet, data },
      )
    ).validateBusinessRules;

  it('hold data to conditions, with errors and warnings', async () => {
    const who = principal('ann', 'rules');
    expect(await put(who, {}, 0)).toMatchObject({ rule: { revision: 1, severity: 'ERROR' } });
    await put(who, { name: 'tags', expression: 'NOT order.tags CONTAINS "blocked"', severity: 'WARNING' });
    await put(who, { name: 'off', expression: 'order.total > 1000', enabled: false });
    expect(await check(who, { order: { total: 5, tags: [] } })).toEqual({
      valid: true,
      checked: 2,
      errors: [],
      warnings: [],
    });
    expect(await check(who, { order: { total: 500, tags: ['blocked'] } })).toMatchObject({
      valid: false,
      errors: [{ name: 'total', kind: 'BROKEN', message: 'too much' }],
      warnings: [{ name: 'tags' }],
    });
    expect(await check(who, { order: { total: 'much', tags: [] } })).toMatchObject({
      valid: false,
      errors: [{ kind: 'UNDECIDED' }],
    });
    expect(await check(who, { order: { total: 5 }, constructor: { x: 1 } })).toMatchObject({ valid: true });
    expect((await put(who, { expression: 'order.total <= 1' }, 9)).userErrors).toMatchObject([
      { code: 'VERSION_CONFLICT' },
    ]);
    const { rule } = await put(who, { expression: 'order.total <= 1000' }, 1);
    expect(rule.revision).toBe(2);
    expect((await check(who, { order: { total: 500, tags: [] } })).valid).toBe(true);
    expect(await check(principal('eve', 'other'), {})).toMatchObject({ checked: 0 });
    const remove = (as: Who) =>
      rig.ask(as, `mutation { deleteBusinessRule(ruleId: "${rule.id}") { deletedId userErrors { code } } }`);
    expect((await remove(principal('eve', 'other'))).deleteBusinessRule.userErrors).toEqual([{ code: 'NOT_FOUND' }]);
    expect((await remove(who)).deleteBusinessRule).toEqual({ deletedId: rule.id, userErrors: [] });
    expect((await rig.ask(who, '{ businessRules(ruleSet: "orders") { name } }')).businessRules).toEqual([
      { name: 'off' },
      { name: 'tags' },
    ]);
  });

  it.each([
    'order.total <=',
    'process.exit()',
    '(() => 1)()',
    'a '.repeat(1_500),
    `${'('.repeat(40)}a${')'.repeat(40)}`,
    'a == "x',
  ])('refuse %s', async (expression) => {
    const { userErrors } = await put(principal('ann', 'bad'), { expression });
    expect(userErrors).toMatchObject([{ code: 'VALIDATION_FAILED', path: ['input', 'expression'] }]);
  });
});
