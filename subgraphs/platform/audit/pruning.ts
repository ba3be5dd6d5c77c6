import { createHash } from 'node:crypto';
import type { Keyring } from '../security/keyring.ts';

/** What a block says of rows that were dropped by age. */
export interface Pruning {
  readonly by: string;
  /** AUDIT_RETENTION_DAYS as it was. */
  readonly retentionDays: number;
  /** ISO 8601; all rows of the blocks are older. */
  readonly before: string;
  readonly rows: number;
  /** Those whose rows were dropped, each with the hash it has. */
  readonly blocks: readonly (readonly [number: number, hash: string])[];
  /** The digest of all this, sealed by the tenant's data key; null where no master key is configured. */
  readonly seal: string | null;
}

const dayMs = 86_400_000;
const placeOf = (tenantId: string) => ({ tenantId, purpose: 'audit pruning' });

function digestOf(tenantId: string, { by, retentionDays, before, rows, blocks }: Omit<Pruning, 'seal'>): string {
  return createHash('sha256')
    .update(JSON.stringify([tenantId, by, retentionDays, before, rows, blocks]))
    .digest('hex');
}

/** As it stands in the words of its block, whatever order the database keeps its members in. */
export function pruningWords({ by, retentionDays, before, rows, blocks, seal }: Pruning): readonly unknown[] {
  return [by, retentionDays, before, rows, blocks, seal];
}

/** Only who has the master keys can seal it: writing to the tables is not enough. */
export async function sealPruning(
  keyring: Pick<Keyring, 'isUsable' | 'seal'>,
  tenantId: string,
  pruning: Omit<Pruning, 'seal'>,
): Promise<Pruning> {
  const seal = keyring.isUsable() ? await keyring.seal(placeOf(tenantId), digestOf(tenantId, pruning)) : null;
  return { ...pruning, seal };
}

/**
 * Why a pruning is to be believed by nobody; null where it is. One that bears no seal is believed as far as the retention
 * that is configured now goes: it can hide nothing that would not be dropped anyway.
 * @throws {UNAVAILABLE} where the keys cannot be asked.
 */
export async function doubtOf(
  pruning: Pruning,
  {
    tenantId,
    sealedAt,
    retentionDays,
    keyring,
  }: {
    readonly tenantId: string;
    /** Of its block. */
    readonly sealedAt: string;
    /** AUDIT_RETENTION_DAYS as it is. */
    readonly retentionDays: number;
    readonly keyring: Pick<Keyring, 'isUsable' | 'open'>;
  },
): Promise<string | null> {
  if (
    !(pruning.retentionDays >= 1 && Date.parse(pruning.before) <= Date.parse(sealedAt) - pruning.retentionDays * dayMs)
  )
    return 'its record dropped more than its retention allowed';
  if (pruning.seal === null)
    return pruning.retentionDays >= retentionDays
      ? null
      : 'its record bears no seal, and is of a shorter retention than is configured';
  if (!keyring.isUsable()) return 'the seal of its record cannot be opened: no master key is configured';
  try {
    const opened = await keyring.open(placeOf(tenantId), pruning.seal);
    return opened === digestOf(tenantId, pruning) ? null : 'the seal of its record is that of another';
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'VALIDATION_FAILED') throw error;
    return 'the seal of its record is none';
  }
}
