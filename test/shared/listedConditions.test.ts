import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compileExpression } from '#shared/conditions/expression/compile.ts';
import { toJsonPath } from '#shared/conditions/expression/jsonPath.ts';
import { parseExpression } from '#shared/conditions/expression/parser.ts';
import { settle, verdictOf } from '#shared/conditions/expression/settle.ts';
import { compileReader, type Facts } from '#shared/conditions/facts.ts';
import { conditionallyListed, isReader, readerFacts, readerKeys, readersOf } from '#shared/contextReaders.ts';
import { createPrincipal } from '#shared/principal.ts';
import { giveAttributes } from '#shared/rights.ts';
import { createSql, type Sql } from '#shared/sql.ts';
import { createTestDatabase } from '../support/database.ts';

let database: Awaited<ReturnType<typeof createTestDatabase>>;
let sql: Sql;
beforeAll(async () => {
  database = await createTestDatabase();
  sql = createSql(database.url, { applicationName: 'conditions-test', max: 1 });
});
afterAll(async () => {
  await sql?.end();
  await database?.[Symbol.asyncDispose]();
});

const scalar = fc.oneof(
  fc.constantFrom('a', 'ab', 'b', 'secret', 'internal', '', "it's", '"', '\\', '.*', 'é', '%', '_'),
  fc.constantFrom(0, 1, -1, 2.5, 1e21),
  fc.boolean(),
);
const value = fc.oneof(
  { weight: 5, arbitrary: scalar },
  { weight: 2, arbitrary: fc.array(scalar, { maxLength: 3 }) },
  { weight: 1, arbitrary: fc.record({ x: scalar }) },
  { weight: 1, arbitrary: fc.constant(undefined) },
);
const attributes = fc.record({ p: value, q: value, clearance: value, deep: fc.record({ r: value }) });

const written = (literal: unknown): string =>
  Array.isArray(literal) ? `[${literal.map(written).join(', ')}]` : JSON.stringify(literal);
const constant = scalar.filter((one) => one !== 1e21);
const literal = fc.oneof(constant, fc.array(constant, { maxLength: 3 })).map(written);
const attribute = fc.constantFrom(
  ...['subject.p', 'subject.q', 'subject.clearance', 'subject.deep.r', 'subject.deep', 'subject.id', 'subject.roles'],
  ...['subject.type', 'resource.p', 'resource.q', 'resource.clearance', 'resource.deep.r', 'environment.action'],
);
const operand = fc.oneof({ weight: 3, arbitrary: attribute }, { weight: 2, arbitrary: literal });
const operator = fc.constantFrom('==', '!=', '>', '>=', '<', '<=', 'IN', 'CONTAINS', 'STARTSWITH');
const { expression } = fc.letrec<{ expression: string }>((tie) => ({
  expression: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.tuple(operand, operator, operand).map((parts) => parts.join(' ')),
    attribute.map((name) => `${name} EXISTS`),
    attribute,
    fc
      .tuple(tie('expression'), fc.constantFrom('AND', 'OR'), tie('expression'))
      .map(([a, op, b]) => `(${a}) ${op} (${b})`),
    tie('expression').map((inner) => `NOT (${inner})`),
  ),
}));

/** Whether one text holds another that nobody knows yet has no form as a JSON path: it fails there. */
const isInexpressible = (text: string) => /(?:CONTAINS|STARTSWITH) subject\./.test(text);

const outcome = (decide: () => boolean): boolean | null => {
  try {
    return decide();
  } catch {
    return null;
  }
};

test('the database decides a settled condition as the whole is decided here, failures included', async () => {
  const seen = { true: 0, false: 0, null: 0 };
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(expression, attributes, attributes), { minLength: 40, maxLength: 40 }),
      async (cases) => {
        const asked = cases.flatMap(([text, subject, resource]) => {
          const roles = ['a', 'b'];
          const principal = createPrincipal({ tenantId: 't', subject: 'a', roles, subjectType: 'human' });
          giveAttributes(principal, () => () => subject);
          const facts: Facts = {
            ...{ subjectId: 'a', subject: { ...subject, type: 'human' }, roleClearance: undefined, heldRoles: roles },
            ...{
              action: 'read',
              resourceType: 'context',
              resourceId: 'id',
              resource,
              contextId: 'id',
              planId: undefined,
            },
            ...{ environment: {}, timeMs: Date.now(), ip: undefined },
          };
          const settled = settle(parseExpression(text), (path) =>
            path.startsWith('subject.') ? 'later' : { value: compileReader(path)(facts) },
          );
          const path = toJsonPath(settled)!;
          return [
            {
              text,
              subject,
              resource,
              expected: outcome(() => compileExpression(text)(facts)),
              path,
              facts: readerFacts(principal),
              verdict: verdictOf(settled),
            },
          ];
        });
        const rows = (await sql.unsafe(
          'SELECT f::jsonb @@ p::jsonpath AS answer FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS k(f, p, ord) ORDER BY ord',
          [asked.map(({ facts }) => facts), asked.map(({ path }) => path)],
        )) as unknown as { answer: boolean | null }[];
        for (const [at, one] of asked.entries()) {
          const { answer } = rows[at]!;
          seen[`${one.expected}`] += 1;
          if (isInexpressible(one.text) && answer === null) continue;
          expect({ ...one, answer }).toEqual({ ...one, answer: one.expected });
          if (one.verdict !== null) expect(one.verdict).toBe(one.expected ?? false);
        }
      },
    ),
    { numRuns: 200 },
  );
  expect(Math.min(...Object.values(seen))).toBeGreaterThan(100);
}, 60_000);

/** Whether a list with one entry shows a context to a principal: by the keys, and as the database sees it. */
async function shows(
  conditions: string,
  { subject = {}, resource = {}, entry = {} }: { subject?: object | null; resource?: object; entry?: object } = {},
): Promise<readonly [boolean, boolean]> {
  const principal = createPrincipal({ tenantId: 't', subject: 'eve', roles: ['member'], subjectType: 'human' });
  if (subject !== null) giveAttributes(principal, () => () => subject as Facts['subject']);
  const permission = { principal: 'member', principalType: 'ROLE', resource: 'context', actions: ['READ'] };
  const readers = readersOf([{ ...permission, conditions: { expression: conditions }, ...entry }], {
    ...{ id: 'c', attributes: resource as Facts['resource'] },
  });
  const stored = JSON.parse(JSON.stringify(readers)) as typeof readers;
  const [row] = (await sql.unsafe(
    `SELECT $1::text::text[] && $2::text[] OR ${conditionallyListed('$3::text::jsonb', '$2::text[]', '$4::text')} AS seen`,
    [
      `{${stored.readers.map((key) => JSON.stringify(key)).join()}}`,
      readerKeys(principal) as string[],
      JSON.stringify(stored.conditional),
      readerFacts(principal),
    ],
  )) as unknown as { seen: boolean }[];
  return [isReader(stored, principal), row!.seen];
}

test('a list shows a context to those for whom its condition holds', async () => {
  const yes = [true, true];
  const no = [false, false];
  const legal = { subject: { department: 'legal' } };
  const of = 'subject.department == resource.domain';
  expect(await shows('subject.department == "legal"', legal)).toEqual(yes);
  expect(await shows('subject.department == "legal"', { subject: { department: 'sales' } })).toEqual(no);
  expect(await shows('subject.department == "legal"')).toEqual(no);
  expect(await shows(of, { ...legal, resource: { domain: 'legal' } })).toEqual(yes);
  expect(await shows(of, { ...legal, resource: { domain: 'sales' } })).toEqual(no);
  expect(await shows('resource.status == "active"', { resource: { status: 'active' } })).toEqual(yes);
  expect(await shows('resource.status == "active"', { resource: { status: 'closed' } })).toEqual(no);
  expect(await shows('subject.id IN ["eve", "bob"]')).toEqual(yes);
  expect(await shows('subject.type == "agent"')).toEqual(no);
  expect(await shows('"member" IN subject.roles AND NOT subject.blocked')).toEqual(yes);
  expect(await shows(`environment.time > ${Date.now() - 60_000}`)).toEqual(yes);
  expect(await shows(`environment.time > ${Date.now() + 60_000}`)).toEqual(no);
  // An entry is in sight by any of its actions; one that names somebody else, or nothing here, never is.
  expect(await shows('environment.action == "write"', { entry: { actions: ['READ', 'WRITE'] } })).toEqual(yes);
  expect(await shows('environment.action == "write"')).toEqual(no);
  expect(await shows('true', { entry: { principal: 'steward' } })).toEqual(no);
  expect(await shows('true', { entry: { resource: 'plan' } })).toEqual(no);
  // What cannot be evaluated shows nothing, whichever way it is put.
  expect(await shows('environment.ip STARTSWITH "10."')).toEqual(no);
  expect(await shows('NOT environment.ip STARTSWITH "10."')).toEqual(no);
  expect(await shows('subject.level > 3', { subject: { level: 'high' } })).toEqual(no);
  expect(await shows('NOT subject.level > 3', { subject: { level: 'high' } })).toEqual(no);
  expect(await shows('no expression at all')).toEqual(no);
});

test('nothing is shown to whom no door has seen: what is recorded of it is not known', async () => {
  for (const condition of ['NOT subject.blocked', 'subject.department != "sales"', 'environment.time > 0']) {
    expect(await shows(condition)).toEqual([true, true]);
    expect(await shows(condition, { subject: null })).toEqual([false, false]);
  }
});

test('what is recorded of a subject makes it nobody else, and nothing is read past it', async () => {
  const no = [false, false];
  const claims = { id: 'ann', roles: ['admin'], type: 'service' };
  expect(await shows('subject.id == "ann"', { subject: claims })).toEqual(no);
  expect(await shows('subject.roles CONTAINS "admin"', { subject: claims })).toEqual(no);
  expect(await shows('subject.type == "service"', { subject: claims })).toEqual(no);
  const claimed = { id: { x: 1 }, roles: { x: 1 }, type: { x: 1 } };
  for (const name of ['id', 'roles', 'type'])
    expect(await shows(`subject.${name}.x EXISTS`, { subject: claimed })).toEqual(no);
  const own = JSON.parse('{ "constructor": 1, "prototype": 1, "__proto__": 1, "in": { "constructor": 1 } }') as object;
  for (const name of ['constructor', 'prototype', '__proto__', 'in.constructor', 'toString'])
    for (const subject of [{}, own]) expect(await shows(`subject.${name} EXISTS`, { subject })).toEqual(no);
  // What lies deeper than it is told to the database is neither there nor missing.
  const deep = { a: { b: { c: { d: { e: { f: { g: { h: { i: 1 } } } } } } } } };
  expect(await shows('subject.a.b.c.d.e.f.g.h EXISTS', { subject: deep })).toEqual([true, true]);
  for (const subject of [{}, deep])
    for (const condition of ['subject.a.b.c.d.e.f.g.h.i EXISTS', 'NOT subject.a.b.c.d.e.f.g.h.i EXISTS'])
      expect(await shows(condition, { subject })).toEqual(no);
});

test('texts of conditions stay texts, whatever they hold', async () => {
  const hostile = [
    `" || 1 == 1 || $ == "`,
    `'); DROP TABLE context.context; --`,
    '\\" || true',
    '$.n',
    '*/ x /*',
    '\u0041',
  ];
  for (const text of hostile) {
    expect(await shows('subject.note == resource.category', { resource: { category: text } })).toEqual([false, false]);
    expect(
      await shows('subject.note == resource.category', { subject: { note: text }, resource: { category: text } }),
    ).toEqual([true, true]);
    expect(
      await shows('subject.note CONTAINS resource.category', {
        subject: { note: `<${text}>` },
        resource: { category: text },
      }),
    ).toEqual([true, true]);
    expect(
      await shows('subject.note STARTSWITH resource.category', {
        subject: { note: 'x' },
        resource: { category: text },
      }),
    ).toEqual([false, false]);
  }
});

test('PostgreSQL takes the longest conditions there are', async () => {
  const asMuch = (part: string, between: string, most = 2_048) => {
    const count = Math.floor((most + between.length) / (part.length + between.length));
    return Array.from({ length: count }, () => part).join(between);
  };
  const list = { category: 'x', customData: { list: Array.from({ length: 800 }, (_, at) => `entry ${at}`) } };
  const longest = [
    asMuch('subject.a', ' AND ', 1_500),
    asMuch('subject.a > 1', ' OR ', 1_800),
    asMuch('NOT subject.a == subject.b', ' AND '),
    `${'NOT '.repeat(32)}subject.a`,
    `${'(subject.a OR '.repeat(32)}subject.b${')'.repeat(32)}`,
    `subject.a IN [${asMuch('1', ', ', 700)}]`,
    'subject.a IN resource.customData.list',
    'subject.a IN resource.customData.list AND NOT subject.b IN resource.customData.list',
  ];
  for (const condition of longest) {
    const entry = { principal: 'member', principalType: 'ROLE', resource: '*', actions: ['READ'] };
    const { conditional } = readersOf([{ ...entry, conditions: { expression: condition } }], {
      ...{ id: 'c', attributes: list },
    });
    const seen = await shows(condition, { subject: { a: 'entry 7', b: 1 }, resource: list });
    // One that would be longer has no path, and shows nothing: neither here nor there.
    expect(seen[0]).toBe(seen[1]);
    if (conditional.length === 0) expect(seen).toEqual([false, false]);
  }
  expect(await shows('subject.a IN resource.customData.list', { subject: { a: 'entry 7' }, resource: list })).toEqual([
    true,
    true,
  ]);
});

test('a list whose conditions are too much together shows by the first of them', () => {
  const list = Array.from({ length: 800 }, (_, at) => `entry ${at}`);
  const entries = Array.from({ length: 200 }, (_, at) => ({
    ...{ principal: `role ${at}`, principalType: 'ROLE', resource: '*', actions: ['READ'] },
    conditions: { expression: 'subject.a IN resource.customData.list' },
  }));
  const { readers, conditional } = readersOf(entries, { id: 'c', attributes: { customData: { list } } });
  const lengths = conditional.reduce((sum, { path }) => sum + path.length, 0);
  expect(conditional.length).toBeGreaterThan(1);
  expect(lengths).toBeLessThanOrEqual(262_144);
  expect(lengths + conditional[0]!.path.length).toBeGreaterThan(262_144);
  expect(conditional.map(({ key }) => key).sort()).toEqual(
    entries
      .slice(0, conditional.length)
      .map(({ principal }) => `role:${principal}`)
      .sort(),
  );
  expect(readers.filter((key) => key.startsWith('when:'))).toHaveLength(conditional.length);
});

test('what hangs on the context alone is settled where it is written', () => {
  const entry = (expression: string) => ({
    ...{ principal: 'eve', principalType: 'USER', resource: '*', actions: ['READ'] },
    conditions: { expression },
  });
  const context = { id: 'c', attributes: { status: 'active', tags: ['open'] } };
  const settled = (expression: string) => readersOf([entry(expression)], context);
  expect(settled('resource.tags CONTAINS "open" OR subject.level > 3')).toEqual({
    readers: ['subject:eve'],
    conditional: [],
  });
  expect(settled('resource.tags CONTAINS "shut" AND subject.level > 3')).toEqual({ readers: [], conditional: [] });
  expect(settled('subject.id == "eve"')).toEqual({ readers: ['subject:eve'], conditional: [] });
  const { readers, conditional } = settled('resource.status == "active" AND subject.level > 3');
  expect(conditional.map(({ key }) => key)).toEqual(['subject:eve']);
  expect(readers).toEqual(['when:subject:eve', expect.stringMatching(/^when=/)]);
  // Others can tell by the keys that the condition is another.
  expect(settled('subject.level > 4').readers).not.toEqual(readers);
  expect(settled('subject.level > 3').readers).toEqual(readers);
  expect(readersOf([entry('true')])).toEqual({ readers: [], conditional: [] });
});
