import { type AuditResult, auditServer } from 'graphql-http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { modes, type Platform, startPlatform } from '../support/platform.ts';

/** Audits that only recommend, and why we do not follow them. Anything else that is not ok fails. */
const declined: Readonly<Record<string, string>> = {};

describe.each(modes)('GraphQL over HTTP, %s', (mode) => {
  let platform: Platform;
  let results: readonly AuditResult[];
  beforeAll(async () => {
    platform = await startPlatform({ mode });
    results = await auditServer({ url: `${platform.url}/graphql` });
  });
  afterAll(async () => {
    await platform?.close();
  });

  it('passes every audit of graphql-http but the recommendations it declines with a reason', () => {
    expect(results.length).toBeGreaterThan(50);
    const failed = results.flatMap((result) => (result.status === 'ok' ? [] : [result]));
    console.log(failed.map((f) => `${f.id} ${f.status} ${f.name}: ${f.reason}`).join('\n'));
    expect(failed.filter((result) => result.status === 'error').map(({ id, name, reason }) => `${id} ${name}: ${reason}`)).toEqual([]);
    expect(failed.map((result) => result.id).sort()).toEqual(Object.keys(declined).sort());
  });
});
