import type { Sql } from 'postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { errorTable, isErrorCode } from '#shared/errors.ts';
import postgres from '#shared/postgresDriver.ts';
import { type GraphQLAnswer, type HostedPlatform, hostPlatform, modes } from '../support/platform.ts';

const createContext =
  'mutation ($title: String!) { createContext(input: { title: $title, root: { domain: "d", environment: "e" } }) { context { id } userErrors { code message path retryable } } }';
const readContext = 'query ($id: ID!) { context(contextId: $id) { id title } }';

/** What must never leave: SQL, names of our tables and functions, stacks, paths, modules, addresses of our parts. */
const internals = [
  /\b(SELECT|INSERT INTO|UPDATE|DELETE FROM|JOIN|ON CONFLICT)\b/,
  /\brelation\b|column "|constraint|duplicate key|syntax error at|PostgresError|PrismaClient|ECONNREFUSED|ETIMEDOUT/i,
  /\bcontext\.(context|usage|event|audit)\b/,
  /node_modules|file:\/\/|\.[cm]?[tj]s\b|\n\s+at /,
  /postgres(ql)?:\/\/|127\.0\.0\.1|subgraph\.internal|42P01|42703/,
];

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

function expectMasked(answer: GraphQLAnswer, output: string): void {
  expect(answer.errors.length).toBeGreaterThan(0);
  const text = JSON.stringify({ errors: answer.errors, data: answer.data, extensions: answer.extensions });
  for (const pattern of internals) expect(text).not.toMatch(pattern);
  for (const error of answer.errors) {
    expect(error).toMatchObject({
      message: 'an unexpected failure',
      extensions: {
        code: 'INTERNAL_ERROR',
        category: 'server',
        retryable: true,
        reference: expect.stringMatching(uuid),
      },
    });
    expect(Object.keys(error.extensions).sort()).toEqual([
      'category',
      'code',
      'correlationId',
      'reference',
      'retryable',
    ]);
    // The reference leads an operator to the cause, the correlation id to all that the request did.
    expect(output).toContain(String(error.extensions['reference']));
    expect(output).toContain(String(error.extensions['correlationId']));
  }
}

it('the table is one of typed rows', () => {
  for (const [code, row] of Object.entries(errorTable)) {
    expect([code, isErrorCode(code)]).toEqual([code, true]);
    expect(code).toMatch(/^[A-Z][A-Z_]+[A-Z]$/);
    expect(row.description).toMatch(/^[A-Z`].+\.$/);
    expect(row.status).toBeGreaterThanOrEqual(200);
  }
  for (const name of ['toString', 'constructor', '__proto__', '', 'internal_error', undefined, 7])
    expect(isErrorCode(name)).toBe(false);
});

describe.each(modes)('failures of ours, %s', (mode) => {
  let platform: HostedPlatform;
  let sql: Sql;
  let id: string;
  beforeAll(async () => {
    // Without the cache, so that what the database cannot answer is not answered from memory.
    platform = await hostPlatform({ mode, env: { CACHE: 'off' } });
    sql = postgres(platform.databaseUrl, { max: 1, onnotice: () => {} });
    const created = await platform.query<{ createContext: { context: { id: string } } }>(createContext, {
      title: 'Whole',
    });
    id = created.data!.createContext.context.id;
  });
  afterAll(async () => {
    await platform?.close();
    await sql?.end();
  });

  it('are masked under a reference while expected ones stay typed: reads without their table', async () => {
    await sql`ALTER TABLE context.context RENAME TO context_gone`;
    try {
      const answer = await platform.query(readContext, { id });
      expect(answer.data).toEqual({ context: null });
      await expect.poll(() => platform.output()).toContain(String(answer.errors[0]!.extensions['reference']));
      expectMasked(answer, platform.output());
    } finally {
      await sql`ALTER TABLE context.context_gone RENAME TO context`;
    }
    expect(await platform.query(readContext, { id })).toMatchObject({
      errors: [],
      data: { context: { title: 'Whole' } },
    });
  });

  it('writes that the database refuses', async () => {
    await sql`ALTER TABLE context.event ADD CONSTRAINT no_more_events CHECK (created_at < '2000-01-01') NOT VALID`;
    try {
      const answer = await platform.query(createContext, { title: 'Half' });
      await expect.poll(() => platform.output()).toContain(String(answer.errors[0]!.extensions['reference']));
      expectMasked(answer, platform.output());
    } finally {
      await sql`ALTER TABLE context.event DROP CONSTRAINT no_more_events`;
    }
    const left = await sql`SELECT 1 FROM context.context WHERE title = 'Half'`;
    expect(left.length).toBe(0);
    expect((await platform.query(createContext, { title: 'Whole again' })).errors).toEqual([]);
  });

  it('a schema that went away under all modules', async () => {
    await sql`ALTER SCHEMA context RENAME TO context_gone`;
    try {
      const ids = { id };
      for (const answer of [
        await platform.query(readContext, ids),
        await platform.query(createContext, { title: 'x' }),
        await platform.query('query ($id: ID!) { exportProtocolBundle(contextId: $id) }', ids),
      ]) {
        await expect.poll(() => platform.output()).toContain(String(answer.errors[0]!.extensions['reference']));
        expectMasked(answer, platform.output());
      }
      // A failing part takes nothing else with it.
      expect((await platform.query('{ me { subject } platform { name } }')).errors).toEqual([]);
      const mixed = await platform.query<{ me: unknown; context: unknown }>(
        'query ($id: ID!) { me { subject } context(contextId: $id) { id } }',
        ids,
      );
      expect(mixed.data).toEqual({ me: { subject: 'demo' }, context: null });
      expect(mixed.errors.map((error) => [error.path, error.extensions.code])).toEqual([
        [['context'], 'INTERNAL_ERROR'],
      ]);
    } finally {
      await sql`ALTER SCHEMA context_gone RENAME TO context`;
    }
  });

  it('values that a scalar does not take are the caller’s, and say what was expected', async () => {
    const asked = 'query ($filter: ContextFilter) { contexts(filter: $filter) { totalCount } }';
    for (const from of ['31 April', '2026-04-31T00:00:00Z', 7, '2026-01-01']) {
      const { errors, data } = await platform.query(asked, { filter: { createdAt: { from } } });
      expect([from, data, errors.map((error) => error.extensions.code)]).toEqual([from, null, ['BAD_USER_INPUT']]);
      expect(errors[0]!.message).toContain('expected an ISO 8601 date-time');
    }
  });
});
