import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newId } from '#shared/ids.ts';
import { type AuditBlock, blockColumns, hashBlock } from '../../subgraphs/platform/audit/blocks.ts';
import { readChains, writeBlocks } from '../../subgraphs/platform/audit/chain.ts';
import { doubtOf } from '../../subgraphs/platform/audit/pruning.ts';
import { createVerifier } from '../../subgraphs/platform/audit/verify.ts';
import { type Json, openPlatformRig, type PlatformRig, principal, until } from './rig.ts';

let rig: PlatformRig;
beforeAll(async () => {
  rig = await openPlatformRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const verification = `query ($range: PlatformAuditRange) { verifyAuditChain(range: $range) { valid blocks rows prunedRows unsealedRows lastBlock
  prunings { block prunedBy retentionDays before blocks rows } problems { kind block message } } }`;
const verify = async (tenant: string, range: Json = null): Promise<Json> =>
  (await rig.ask(principal('auditor', tenant), verification, { range })).verifyAuditChain;
const problems = async (tenant: string, range: Json = null) =>
  (await verify(tenant, range)).problems.map(({ kind, block, message }: Json) => `${kind} ${block}: ${message}`);
const sealed = (tenant: string) =>
  until(
    () => verify(tenant),
    ({ unsealedRows }) => unsealedRows === 0,
  );

/** A block of the tenant's, of rows so many days old. */
async function block(tenant: string, days: number, rows = 2): Promise<void> {
  await rig.sql`
    INSERT INTO plan.audit (tenant_id, id, action, resource, resource_id, actor, detail, created_at)
    SELECT ${tenant}, gen_random_uuid(), 'plan.old', 'Plan', n::text, 'someone', '{}', now() - ${days} * interval '1 day'
    FROM generate_series(1, ${rows}) AS n`;
  await sealed(tenant);
}

/** Two blocks that retention has dropped, and one that it has not. */
async function pruned(tenant: string): Promise<void> {
  await block(tenant, 2_700);
  await block(tenant, 2_600, 3);
  await block(tenant, 1);
  await rig.run('pruneAudit');
}

/** What only an owner of the database can do: rows of a block go, and it is marked as retention marks it. */
async function hide(tenant: string, number: number, prunedBy: number | null): Promise<void> {
  await rig.sql.begin(async (tx) => {
    await tx`SELECT set_config('mplp.audit_retention', 'on', true)`;
    await tx`
      DELETE FROM plan.audit a USING platform.audit_block b
      WHERE b.tenant_id = ${tenant} AND b.number = ${number} AND a.tenant_id = b.tenant_id
        AND a.position > (b.ranges->'plan'->>0)::bigint AND a.position <= (b.ranges->'plan'->>1)::bigint`;
    await tx`UPDATE platform.audit_block SET pruned_at = now(), pruned_by = ${prunedBy} WHERE tenant_id = ${tenant} AND number = ${number}`;
  });
}

const blocksOf = async (tenant: string) =>
  (await rig.sql.unsafe(`SELECT ${blockColumns} FROM platform.audit_block b WHERE b.tenant_id = $1 ORDER BY b.number`, [
    tenant,
  ])) as unknown as AuditBlock[];

/** Appends a block to the chain as the platform does, whatever it says. */
async function append(
  tenant: string,
  words: Pick<AuditBlock, 'pruning'>,
  sealedAt = new Date().toISOString(),
): Promise<number> {
  const [like] = (await blocksOf(tenant)).filter(({ pruning }) => pruning !== null);
  return (await rig.sql.begin(async (tx) => {
    const { number, hash } = (await readChains(tx, [tenant])).get(tenant)!;
    const made = {
      ...{
        tenantId: tenant,
        number: number + 1,
        previousHash: hash,
        rowsHash: like!.rowsHash,
        rowCount: 0,
        ranges: {},
      },
      ...{ firstAt: sealedAt, lastAt: sealedAt, sealedAt },
      ...words,
    };
    await writeBlocks(tx, [{ ...made, hash: hashBlock(made), prunedAt: null, prunedBy: null }]);
    return number + 1;
  })) as number;
}

describe('rows that retention drops', () => {
  it('are told of by a block of the chain: who, when, which blocks', async () => {
    await pruned('told');
    const found = await verify('told');
    expect(found).toMatchObject({ valid: true, rows: 2, prunedRows: 5, blocks: 4, lastBlock: 4, problems: [] });
    expect(found.prunings).toEqual([
      { block: 4, prunedBy: 'system:platform', retentionDays: 2_555, before: expect.any(String), blocks: 2, rows: 5 },
    ]);
    const [first, second, , telling] = await blocksOf('told');
    expect(telling!.pruning!.blocks).toEqual([
      [1, first!.hash],
      [2, second!.hash],
    ]);
    // Looks that end before that block, or begin behind what it tells of, find the same.
    const old = { to: new Date(Date.now() - 2_000 * 86_400_000).toISOString() };
    expect(await verify('told', old)).toMatchObject({ valid: true, blocks: 2, prunedRows: 5, prunings: [] });
    expect(await verify('told', { fromBlock: 3 })).toMatchObject({ valid: true, blocks: 2, rows: 2, prunedRows: 0 });
    // The chain goes on behind it, and it is never dropped itself.
    await block('told', 0);
    await rig.run('pruneAudit');
    expect(await verify('told')).toMatchObject({ valid: true, blocks: 5, rows: 4, prunedRows: 5 });
  });

  it('are told apart from those that were hidden: marked without a record, or under the record of others', async () => {
    await pruned('hidden');
    await hide('hidden', 3, null);
    expect(await problems('hidden')).toEqual(['PRUNING_UNPROVEN 3: no block tells of its pruning']);
    await hide('hidden', 3, 4);
    expect(await problems('hidden')).toEqual(['PRUNING_UNPROVEN 3: the block that it names tells of others']);
    await hide('hidden', 3, 2);
    expect(await problems('hidden')).toEqual(['PRUNING_UNPROVEN 3: the block that it names tells of no pruning']);
    await hide('hidden', 3, 9);
    expect(await problems('hidden')).toEqual(['PRUNING_UNPROVEN 3: the block that it names is not there']);
    // Also where a look takes no other block.
    const recent = {
      from: new Date(Date.now() - 3 * 86_400_000).toISOString(),
      to: new Date(Date.now() - 43_200_000).toISOString(),
    };
    expect(await problems('hidden', recent)).toEqual(['PRUNING_UNPROVEN 3: the block that it names is not there']);
    // Rows that are gone from a block without the mark are missing, as ever.
    await rig.sql`UPDATE platform.audit_block SET pruned_at = NULL, pruned_by = NULL WHERE tenant_id = 'hidden' AND number = 3`;
    expect(await problems('hidden')).toEqual(['ROWS_CHANGED 3: expected 2 rows, got 0']);
  });

  it('are not believed where their record was changed, or is not in the chain', async () => {
    await pruned('changed');
    await hide('changed', 3, 4);
    const [, , third] = await blocksOf('changed');
    const add = async (hash: string) =>
      rig.sql`
        UPDATE platform.audit_block SET pruning = jsonb_set(pruning, '{blocks}', pruning->'blocks' || ${`[[3, "${hash}"]]`}::text::jsonb)
        WHERE tenant_id = 'changed' AND number = 4`;
    await add(third!.hash);
    const proven = (number: number) => `PRUNING_UNPROVEN ${number}: the block that tells of it is not in the chain`;
    expect(await problems('changed')).toEqual([
      proven(1),
      proven(2),
      proven(3),
      'BLOCK_CHANGED 4: its words do not make its hash',
    ]);
    // With a hash that its new words make, it is no longer the one that was last.
    const changed = (await blocksOf('changed'))[3]!;
    await rig.sql`UPDATE platform.audit_block SET hash = decode(${hashBlock(changed)}, 'hex') WHERE tenant_id = 'changed' AND number = 4`;
    expect(await problems('changed')).toEqual([
      proven(1),
      proven(2),
      proven(3),
      'CHAIN_CUT 4: the last block is another one',
    ]);
    await rig.sql`DELETE FROM platform.audit_block WHERE tenant_id = 'changed' AND number = 4`;
    expect((await problems('changed')).at(-1)).toBe('CHAIN_CUT 4: the chain ends at 3, its last block was 4');
  });

  it('are not believed for a record that somebody appended who has no keys, however well it is chained', async () => {
    await pruned('forged');
    const [, , third, real] = await blocksOf('forged');
    const forge = async (pruning: Partial<NonNullable<AuditBlock['pruning']>>) => {
      const before = new Date(Date.now() - 3_600_000).toISOString();
      const blocks: [number, string][] = [[3, third!.hash]];
      const by = await append('forged', { pruning: { ...real!.pruning!, rows: 2, before, blocks, ...pruning } });
      await hide('forged', 3, by);
      return (await problems('forged')).join('; ');
    };
    // As long a retention as there is: nothing so young had to go.
    expect(await forge({})).toBe('PRUNING_UNPROVEN 3: its record dropped more than its retention allowed');
    expect(await forge({ before: real!.pruning!.before })).toBe(
      'PRUNING_UNPROVEN 3: it is younger than what was dropped',
    );
    const short = { before: new Date(Date.now() - 86_400_000 - 5_000).toISOString(), retentionDays: 1 };
    await block('forged', 2);
    const young = (await blocksOf('forged')).at(-1)!;
    const forgeFor = async (pruning: Partial<NonNullable<AuditBlock['pruning']>>) => {
      const by = await append('forged', {
        pruning: { ...real!.pruning!, rows: 2, blocks: [[young.number, young.hash]], ...short, ...pruning },
      });
      await hide('forged', young.number, by);
      return (await problems('forged'))
        .filter((text: string) => text.startsWith(`PRUNING_UNPROVEN ${young.number}`))
        .join('; ');
    };
    const says = (why: string) => `PRUNING_UNPROVEN ${young.number}: ${why}`;
    expect(await forgeFor({})).toBe(says('the seal of its record is that of another'));
    expect(await forgeFor({ seal: `mplp.v1.1.${newId().replaceAll('-', '').repeat(3)}` })).toBe(
      says('the seal of its record is none'),
    );
    expect(await forgeFor({ seal: null })).toBe(
      says('its record bears no seal, and is of a shorter retention than is configured'),
    );
  });

  it('are not dropped of a block that somebody made older than it is', async () => {
    await block('younger', 1);
    await rig.sql`UPDATE platform.audit_block SET last_at = last_at - interval '2700 days' WHERE tenant_id = 'younger'`;
    await rig.run('pruneAudit');
    expect(await problems('younger')).toEqual(['BLOCK_CHANGED 1: its words do not make its hash']);
    await rig.sql`UPDATE platform.audit_block SET last_at = last_at + interval '2700 days' WHERE tenant_id = 'younger'`;
    expect(await verify('younger')).toMatchObject({ valid: true, rows: 2, prunedRows: 0 });
  });

  it('that were dropped before the chain told of it are told as unproven', async () => {
    await pruned('former');
    // As a former version left them.
    await rig.sql`UPDATE platform.audit_block SET pruned_by = NULL WHERE tenant_id = 'former' AND pruned_by IS NOT NULL`;
    expect(await problems('former')).toEqual([
      'PRUNING_UNPROVEN 1: no block tells of its pruning',
      'PRUNING_UNPROVEN 2: no block tells of its pruning',
    ]);
    expect(await verify('former', { fromBlock: 3 })).toMatchObject({ valid: true, rows: 2 });
    // Nobody tells of them later: that would cover up whatever was hidden.
    await rig.run('pruneAudit');
    expect(await problems('former')).toHaveLength(2);
  });

  it('verify where more is sealed while a look is under way', async () => {
    await block('moving', 1);
    let looks = 0;
    const sql = new Proxy(rig.sql, {
      get(target, key) {
        if (key !== 'unsafe') return Reflect.get(target, key) as unknown;
        // Behind the look at the end of the chain, before that at its blocks.
        return async (...given: Parameters<typeof target.unsafe>) => {
          looks += 1;
          if (looks === 1) await block('moving', 0);
          return target.unsafe(...given);
        };
      },
    });
    const look = createVerifier({ ...rig.runtime, sql, sqlOf: () => rig.sql, keyring: null as never });
    expect(await look('moving', { fromBlock: 1, toBlock: null })).toMatchObject({ blocks: 2, rows: 4, problems: [] });
  });

  it('verify while rows are sealed and dropped', async () => {
    for (let n = 0; n < 6; n += 1) await block('busy', 2_600 + n);
    const looks = Promise.all(
      Array.from({ length: 20 }, async () => {
        const { valid, problems: found } = await verify('busy');
        return valid ? [] : found;
      }),
    );
    await rig.run('pruneAudit');
    expect((await looks).flat()).toEqual([]);
    expect(await verify('busy')).toMatchObject({ valid: true, prunedRows: 12, rows: 0 });
  });
});

describe('a record without a seal', () => {
  it('is believed as far as the configured retention goes', async () => {
    const sealedAt = new Date().toISOString();
    const keyless = { isUsable: () => false, open: () => Promise.reject(new Error('never asked')) };
    const judge = (recordedDays: number, retentionDays: number) => {
      const before = new Date(Date.parse(sealedAt) - recordedDays * 86_400_000).toISOString();
      const pruning = { by: 'system:platform', retentionDays: recordedDays, before, rows: 0, blocks: [], seal: null };
      return doubtOf(pruning, { tenantId: 'bare', sealedAt, retentionDays, keyring: keyless });
    };
    expect(await judge(30, 30)).toBeNull();
    expect(await judge(60, 30)).toBeNull();
    expect(await judge(29, 30)).toContain('bears no seal');
    expect(await judge(0, 30)).toContain('more than its retention allowed');
  });
});
