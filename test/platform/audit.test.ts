import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newId } from '#shared/ids.ts';
import { appendChange } from '#shared/outbox.ts';
import type { SubgraphName } from '../../subgraphs/names.ts';
import { createSealer } from '../../subgraphs/platform/audit/sealer.ts';
import { type Json, openPlatformRig, type PlatformRig, principal, until } from './rig.ts';

let rig: PlatformRig;
beforeAll(async () => {
  rig = await openPlatformRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const verification = `{ verifyAuditChain { valid blocks rows prunedRows unsealedRows headHash lastBlock problems { kind block } } }`;
const verify = async (tenant: string): Promise<Json> =>
  (await rig.ask(principal('auditor', tenant), verification)).verifyAuditChain;
const sealed = (tenant: string) =>
  until(
    () => verify(tenant),
    ({ unsealedRows }) => unsealedRows === 0,
  );
const record = (module: SubgraphName, tenant: string, count = 1, resourceId = newId()) =>
  rig.change(module, tenant, {
    audit: Array.from({ length: count }, (_none, n) => ({
      action: `${module}.update`,
      resource: 'Thing',
      resourceId,
      detail: { n, text: `was "ä" ${n}`, exact: 12345678901234567n.toString() },
    })),
  });
/** Changes what only an owner of the database can change. */
const tamper = (table: string, statement: string, values: (string | number)[]) =>
  rig.sql.begin(async (tx) => {
    await tx.unsafe(`ALTER TABLE ${table} DISABLE TRIGGER audit_append_only`);
    await tx.unsafe(statement, values);
    await tx.unsafe(`ALTER TABLE ${table} ENABLE TRIGGER audit_append_only`);
  });

describe('the chain of the audit', () => {
  it('seals what every module committed within a second or so, in blocks that verify', async () => {
    for (const module of ['context', 'plan', 'role'] as const) await record(module, 'sealed', 3);
    expect(await sealed('sealed')).toMatchObject({ valid: true, rows: 9, problems: [] });
    await record('context', 'sealed');
    const after = await sealed('sealed');
    expect(after).toMatchObject({ valid: true, rows: 10, headHash: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect(after.blocks).toBeGreaterThanOrEqual(2);
    expect(await verify('another')).toMatchObject({ valid: true, blocks: 0, rows: 0, lastBlock: null });
  });

  it('shows one flipped byte, wherever it is', async () => {
    await record('plan', 'flipped', 4);
    await sealed('flipped');
    await record('plan', 'flipped', 4);
    await sealed('flipped');
    const flips = [
      [`detail = replace(detail::text, 'was', 'wes')::jsonb`, `detail = replace(detail::text, 'wes', 'was')::jsonb`],
      [
        `detail = replace(detail::text, '901234567', '901234568')::jsonb`,
        `detail = replace(detail::text, '901234568', '901234567')::jsonb`,
      ],
      [`actor = 'testes'`, `actor = 'tester'`],
      [`created_at = created_at + interval '1 ms'`, `created_at = created_at - interval '1 ms'`],
    ];
    const [row] = await rig.sql<{ id: string }[]>`
      SELECT id FROM plan.audit WHERE tenant_id = 'flipped' ORDER BY position LIMIT 1`;
    for (const [there, back] of flips) {
      await tamper('plan.audit', `UPDATE plan.audit SET ${there} WHERE id = $1`, [row!.id]);
      expect(await verify('flipped')).toMatchObject({ valid: false, problems: [{ kind: 'ROWS_CHANGED', block: 1 }] });
      await tamper('plan.audit', `UPDATE plan.audit SET ${back} WHERE id = $1`, [row!.id]);
      expect(await verify('flipped')).toMatchObject({ valid: true });
    }
  });

  it('shows rows that were taken away or put between', async () => {
    await record('role', 'rows', 3);
    await sealed('rows');
    const [row] = await rig.sql<{ position: number }[]>`
      SELECT position FROM role.audit WHERE tenant_id = 'rows' ORDER BY position LIMIT 1`;
    await tamper(
      'role.audit',
      `INSERT INTO role.audit SELECT tenant_id, gen_random_uuid(), action, resource, resource_id, actor, detail, traceparent, created_at, position
       FROM role.audit WHERE tenant_id = 'rows' AND position = $1`,
      [row!.position],
    );
    expect((await verify('rows')).problems).toEqual([{ kind: 'ROWS_CHANGED', block: 1 }]);
    await tamper('role.audit', `DELETE FROM role.audit WHERE tenant_id = 'rows' AND position = $1`, [row!.position]);
    expect((await verify('rows')).problems).toEqual([{ kind: 'ROWS_CHANGED', block: 1 }]);
  });

  it('shows a missing block in the middle, at the beginning and at the end, and a block that was rewritten', async () => {
    for (let n = 0; n < 3; n += 1) {
      await record('context', 'blocks');
      await sealed('blocks');
    }
    const kinds = async () => (await verify('blocks')).problems.map(({ kind, block }: Json) => `${kind} ${block}`);
    expect(await kinds()).toEqual([]);
    const without = async (number: number) => {
      await rig.sql`CREATE TABLE IF NOT EXISTS public.kept AS SELECT * FROM platform.audit_block WHERE false`;
      await rig.sql`
        WITH gone AS (DELETE FROM platform.audit_block WHERE tenant_id = 'blocks' AND number = ${number} RETURNING *)
        INSERT INTO public.kept SELECT * FROM gone`;
      const found = await kinds();
      await rig.sql`WITH back AS (DELETE FROM public.kept RETURNING *) INSERT INTO platform.audit_block SELECT * FROM back`;
      return found;
    };
    expect(await without(2)).toEqual(['BLOCK_MISSING 2']);
    expect(await without(1)).toEqual(['BLOCK_MISSING 1']);
    expect(await without(3)).toEqual(['CHAIN_CUT 3']);
    expect(await kinds()).toEqual([]);
    await rig.sql`UPDATE platform.audit_block SET row_count = 0 WHERE tenant_id = 'blocks' AND number = 2`;
    expect(await kinds()).toEqual(['BLOCK_CHANGED 2', 'ROWS_CHANGED 2']);
  });

  it('loses no row that commits after later ones were sealed', async () => {
    const tenant = 'late';
    let commit = () => {};
    const held = new Promise<void>((resolve) => {
      commit = resolve;
    });
    let written = () => {};
    const isWritten = new Promise<void>((resolve) => {
      written = resolve;
    });
    const audit = [{ action: 'dialog.late', resource: 'Dialog', resourceId: newId() }];
    const late = rig.sql.begin(async (tx) => {
      await appendChange(tx, 'dialog', [{ tenantId: tenant, actor: 'slow', events: [], audit }]);
      written();
      await held;
    });
    await isWritten;
    await record('dialog', tenant, 2);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    // Nothing after the open transaction is sealed yet, and it is told that it is not.
    expect(await verify(tenant)).toMatchObject({ valid: true, rows: 0, unsealedRows: 2 });
    commit();
    await late;
    expect(await sealed(tenant)).toMatchObject({ valid: true, rows: 3 });
  });

  it('has one chain however many instances seal under load', async () => {
    const others = [1, 2].map(() => createSealer(rig.runtime));
    const modules = ['context', 'plan', 'dialog', 'core'] as const;
    await Promise.all(
      Array.from({ length: 120 }, async (_none, n) => {
        await record(modules[n % 4]!, `many-${n % 3}`);
        if (n % 20 === 0) await others[n % 2]!.seal();
      }),
    );
    for (const tenant of ['many-0', 'many-1', 'many-2'])
      expect(await sealed(tenant)).toMatchObject({ valid: true, rows: 40, problems: [] });
    for (const other of others) await other.close();
  });

  it('refuses to change or delete rows', async () => {
    await record('plan', 'kept');
    await expect(rig.sql`UPDATE plan.audit SET actor = 'nobody' WHERE tenant_id = 'kept'`).rejects.toThrow(
      'append-only',
    );
    await expect(rig.sql`DELETE FROM plan.audit WHERE tenant_id = 'kept'`).rejects.toThrow('append-only');
  });

  it('is verified over rows that retention has dropped', async () => {
    await rig.sql`
      INSERT INTO plan.audit (tenant_id, id, action, resource, resource_id, actor, detail, created_at)
      SELECT 'aged', gen_random_uuid(), 'plan.old', 'Plan', n::text, 'someone', '{}', now() - interval '2600 days'
      FROM generate_series(1, 5) AS n`;
    await sealed('aged');
    await record('plan', 'aged', 2);
    await sealed('aged');
    await rig.run('pruneAudit');
    // The third one tells of the first.
    expect(await verify('aged')).toMatchObject({ valid: true, rows: 2, prunedRows: 5, blocks: 3 });
    const [left] = await rig.sql<{ n: number }[]>`SELECT count(*) AS n FROM plan.audit WHERE tenant_id = 'aged'`;
    expect(left!.n).toBe(2);
  });
});

describe('reading the audit', () => {
  it('pages through all modules by filter, newest first', async () => {
    const who = principal('auditor', 'listed');
    const resourceId = newId();
    for (const module of ['context', 'plan', 'role', 'context'] as const) await record(module, 'listed', 3, resourceId);
    // In a millisecond of its own: what shares one is ordered by id.
    await sleep(2);
    await record('trace', 'listed', 1);
    const list = async (variables: Json) =>
      (
        await rig.ask(
          who,
          `query ($filter: PlatformAuditFilter, $first: Int, $after: String) { auditEvents(filter: $filter, first: $first, after: $after) {
             nodes { id module action actor timestamp detail sealed } pageInfo { hasNextPage endCursor } } }`,
          variables,
        )
      ).auditEvents;
    const whole = await list({ first: 100 });
    expect(whole.nodes).toHaveLength(13);
    expect(whole.nodes[0]).toMatchObject({ module: 'trace', actor: 'tester', detail: { text: 'was "ä" 0' } });
    const times = whole.nodes.map(({ timestamp }: Json) => timestamp);
    expect(times).toEqual(times.toSorted().toReversed());
    const paged: Json[] = [];
    for (let after: string | null = null; ; ) {
      const page: Json = await list({ first: 4, after });
      paged.push(...page.nodes);
      if (!page.pageInfo.hasNextPage) break;
      after = page.pageInfo.endCursor;
    }
    expect(paged.map(({ id }) => id)).toEqual(whole.nodes.map(({ id }: Json) => id));
    const of = async (filter: Json) => (await list({ filter, first: 100 })).nodes.length;
    expect(await of({ modules: ['context'] })).toBe(6);
    expect(await of({ actions: ['context.*', 'role.update'] })).toBe(9);
    expect(await of({ actions: ['con%'] })).toBe(0);
    expect(await of({ actor: 'nobody' })).toBe(0);
    expect(await of({ to: '2020-01-01T00:00:00.000Z' })).toBe(0);
    const { auditTrail } = await rig.ask(
      who,
      `query ($id: String!) { auditTrail(resource: "Thing", resourceId: $id, first: 100) { nodes { module } } }`,
      { id: resourceId },
    );
    expect(auditTrail.nodes).toHaveLength(12);
    const foreign = await rig.ask(principal('auditor', 'foreign'), '{ auditEvents { nodes { id } } }');
    expect(foreign.auditEvents.nodes).toEqual([]);
  });

  it('refuses what is no filter, no cursor of its own, and who has no right', async () => {
    const code = async (who: ReturnType<typeof principal>, source: string) =>
      (await rig.answer(who, source)).errors[0]?.extensions.code;
    const admin = principal('auditor', 'listed');
    expect(await code(admin, '{ auditEvents(filter: { modules: ["nowhere"] }) { nodes { id } } }')).toBe(
      'VALIDATION_FAILED',
    );
    expect(await code(admin, '{ auditEvents(first: 0) { nodes { id } } }')).toBe('VALIDATION_FAILED');
    expect(await code(admin, '{ auditEvents(after: "bm8") { nodes { id } } }')).toBe('CURSOR_INVALID');
    expect(await code(admin, '{ verifyAuditChain(range: { fromBlock: 0 }) { valid } }')).toBe('VALIDATION_FAILED');
    const member = principal('member', 'listed', ['context:read']);
    expect(await code(member, '{ auditEvents { nodes { id } } }')).toBe('PERMISSION_DENIED');
    const reader = principal('reader', 'listed', ['audit:read']);
    expect(await code(reader, '{ auditEvents { nodes { id } } }')).toBeUndefined();
    expect(await code(reader, '{ auditEvents { nodes { detail } } }')).toBe('PERMISSION_DENIED');
  });
});

describe('exports of the audit', () => {
  const exporting = `mutation ($input: PlatformAuditExportInput!, $key: String) { exportAudit(input: $input, idempotencyKey: $key) {
    file { id status progress name } userErrors { code path } } }`;
  const contentOf = async (who: ReturnType<typeof principal>, id: string): Promise<string> => {
    let content = '';
    for (let part = 0; ; part += 1) {
      const { fileContent } = await rig.ask(
        who,
        'query ($id: ID!, $part: Int!) { fileContent(id: $id, part: $part) { base64 } }',
        { id, part },
      );
      if (fileContent === null) return content;
      content += Buffer.from(fileContent.base64, 'base64').toString('utf8');
    }
  };

  it('in NDJSON are the texts that the blocks hash', async () => {
    const who = principal('auditor', 'exported');
    await record('plan', 'exported', 700);
    await sealed('exported');
    const { exportAudit } = await rig.ask(who, exporting, { input: { format: 'NDJSON' }, key: 'one' });
    expect(exportAudit).toMatchObject({
      file: { status: 'QUEUED', progress: 0, name: 'audit.ndjson' },
      userErrors: [],
    });
    const again = await rig.ask(who, exporting, { input: { format: 'NDJSON' }, key: 'one' });
    expect(again.exportAudit.file.id).toBe(exportAudit.file.id);
    const other = await rig.ask(who, exporting, { input: { format: 'CSV' }, key: 'one' });
    expect(other.exportAudit.userErrors).toEqual([{ code: 'IDEMPOTENCY_MISMATCH', path: ['idempotencyKey'] }]);
    const { id } = exportAudit.file;
    const early = await rig.answer(who, `{ fileContent(id: "${id}") { base64 } }`);
    expect(early.errors[0].extensions.code).toBe('INVALID_STATE');
    const payload = { tenantId: 'exported', fileId: id };
    const [job] = await rig.sql`SELECT payload FROM graphile_worker._private_jobs WHERE payload->>'fileId' = ${id}`;
    expect(job!['payload']).toEqual(payload);
    await rig.run('writeFile', payload);
    const { auditExport } = await rig.ask(
      who,
      `{ auditExport(id: "${id}") { status progress rowCount byteCount partCount sha256 downloadPath } }`,
    );
    const content = await contentOf(who, id);
    // Its own row is as old as it is: what is written from then on is not in it.
    const lines = content.split('\n').slice(0, -1);
    expect(auditExport).toMatchObject({
      status: 'READY',
      progress: 1,
      rowCount: 700,
      byteCount: Buffer.byteLength(content),
      sha256: createHash('sha256').update(content).digest('hex'),
      downloadPath: `/v1/files/${id}`,
    });
    expect(lines.every((line) => JSON.parse(line).tenantId === 'exported')).toBe(true);
    const plan = lines.filter((line) => JSON.parse(line).module === 'plan').toReversed();
    // A look of the sealer in the middle of the insertion parts the rows.
    const blocks = await rig.sql<{ rows_hash: Buffer; row_count: number }[]>`
      SELECT rows_hash, row_count FROM platform.audit_block WHERE tenant_id = 'exported' AND ranges ? 'plan' ORDER BY number`;
    let sealedLines = 0;
    for (const block of blocks) {
      const own = plan.slice(sealedLines, sealedLines + block.row_count);
      const leaves = Buffer.concat(own.map((line) => createHash('sha256').update(line).digest()));
      expect(createHash('sha256').update(leaves).digest('hex')).toBe(block.rows_hash.toString('hex'));
      sealedLines += block.row_count;
    }
    expect(sealedLines).toBe(700);
    const stranger = await rig.ask(
      principal('auditor', 'stranger'),
      `{ auditExport(id: "${id}") { id } fileContent(id: "${id}") { base64 } }`,
    );
    expect(stranger).toEqual({ auditExport: null, fileContent: null });
    const reader = principal('reader', 'exported', ['file:read', 'audit:read']);
    expect((await rig.answer(reader, `{ fileContent(id: "${id}") { base64 } }`)).errors[0].extensions.code).toBe(
      'PERMISSION_DENIED',
    );
  });

  it('in CSV keep each row on its line and make no formula', async () => {
    const who = principal('auditor', 'csv');
    await rig.change('plan', 'csv', {
      audit: [{ action: '=cmd()', resource: 'a,"b"', resourceId: 'one\nline', detail: { x: 1 } }],
    });
    const { exportAudit } = await rig.ask(who, exporting, { input: { format: 'CSV', filter: { modules: ['plan'] } } });
    await rig.run('writeFile', { tenantId: 'csv', fileId: exportAudit.file.id });
    const content = await contentOf(who, exportAudit.file.id);
    expect(content).toMatch(/^createdAt,module,.*,detail,origin\r\n/);
    expect(content).toContain(`,'=cmd(),"a,""b""","one\nline",tester,,"{""x"": 1}",\r\n`);
  });

  it('are cancelled, refused beyond ten at a time, and forgotten', async () => {
    const who = principal('auditor', 'cancelled');
    const start = async () => (await rig.ask(who, exporting, { input: { format: 'CSV' } })).exportAudit;
    const first = await start();
    for (let n = 1; n < 10; n += 1) await start();
    expect((await start()).userErrors).toMatchObject([{ code: 'QUOTA_EXCEEDED' }]);
    const cancel = async (id: string) =>
      (await rig.ask(who, `mutation { cancelAuditExport(id: "${id}") { file { status } userErrors { code } } }`))
        .cancelAuditExport;
    expect(await cancel(first.file.id)).toEqual({ file: { status: 'CANCELLED' }, userErrors: [] });
    await rig.run('writeFile', { tenantId: 'cancelled', fileId: first.file.id });
    const { auditExports } = await rig.ask(who, '{ auditExports(first: 100) { nodes { id status } } }');
    expect(auditExports.nodes.filter(({ status }: Json) => status === 'CANCELLED')).toEqual([
      { id: first.file.id, status: 'CANCELLED' },
    ]);
    const second = await start();
    await rig.run('writeFile', { tenantId: 'cancelled', fileId: second.file.id });
    expect((await cancel(second.file.id)).userErrors).toEqual([{ code: 'INVALID_STATE' }]);
    expect((await cancel(newId())).userErrors).toEqual([{ code: 'NOT_FOUND' }]);
    await rig.sql`UPDATE platform.file SET expires_at = now() WHERE tenant_id = 'cancelled'`;
    expect((await rig.ask(who, '{ auditExports { nodes { id } } }')).auditExports.nodes).toEqual([]);
    await rig.run('sweepFiles');
    const [left] = await rig.sql<
      { n: number }[]
    >`SELECT count(*) AS n FROM platform.file_part WHERE tenant_id = 'cancelled'`;
    expect(left!.n).toBe(0);
  });
});
