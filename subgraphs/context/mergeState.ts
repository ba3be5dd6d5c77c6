import canonicalize from 'canonicalize';

/** What is known of one key of a shared state. */
export interface SharedKeyState {
  readonly key: string;
  readonly value: unknown;
  readonly deleted: boolean;
  /** State version at which it was last changed. */
  readonly version: number;
  /** Epoch ms of the change; with the node id and the value it orders concurrent writes. */
  readonly changedAtMs: number;
  readonly nodeId: string;
}

export interface StateWrite {
  readonly key: string;
  readonly value: unknown;
  readonly deleted: boolean;
  readonly timestampMs: number;
}

export interface StateConflict {
  readonly key: string;
  readonly baseVersion: number;
  readonly headVersion: number;
  readonly resolution: 'APPLIED' | 'KEPT' | 'REJECTED';
  readonly ours: unknown;
  readonly theirs: unknown;
}

export interface MergeInput {
  readonly head: number;
  readonly base: number;
  readonly nodeId: string;
  readonly policy: 'LAST_WRITE_WINS' | 'REJECT';
  readonly writes: readonly StateWrite[];
  readonly find: (key: string) => SharedKeyState | undefined;
}

export interface MergeResult {
  /** Version after the merge; the head again when nothing came through. */
  readonly version: number;
  readonly applied: readonly SharedKeyState[];
  readonly conflicts: readonly StateConflict[];
}

/**
 * Merges writes made on `base` into the state at `head`, key by key.
 *
 * A key that has not changed since `base` was seen by the writer: the write follows it and is dated after it (hybrid
 * logical clock, Kulkarni et al. 2014), so that a slow clock cannot undo what was knowingly replaced. A key that has
 * changed was written concurrently: the greater of (timestamp, node id, canonical value) stays, a total order, so that
 * every order of arrival ends in the same state (last-writer-wins register, Shapiro et al. 2011). Deletions are
 * writes like any other.
 */
export function mergeState({ head, base, nodeId, policy, writes, find }: MergeInput): MergeResult {
  const applied: SharedKeyState[] = [];
  const conflicts: StateConflict[] = [];
  for (const write of writes) {
    const stored = find(write.key);
    const concurrent = stored !== undefined && stored.version > base;
    if (!concurrent) {
      const changedAtMs =
        stored === undefined ? write.timestampMs : Math.max(write.timestampMs, stored.changedAtMs + 1);
      applied.push({
        key: write.key,
        value: write.value,
        deleted: write.deleted,
        version: head + 1,
        changedAtMs,
        nodeId,
      });
      continue;
    }
    const wins =
      policy === 'LAST_WRITE_WINS' && compareWrites({ ...write, changedAtMs: write.timestampMs, nodeId }, stored) > 0;
    conflicts.push({
      key: write.key,
      baseVersion: base,
      headVersion: stored.version,
      resolution: policy === 'REJECT' ? 'REJECTED' : wins ? 'APPLIED' : 'KEPT',
      ours: write.deleted ? null : write.value,
      theirs: stored.deleted ? null : stored.value,
    });
    if (wins)
      applied.push({
        key: write.key,
        value: write.value,
        deleted: write.deleted,
        version: head + 1,
        changedAtMs: write.timestampMs,
        nodeId,
      });
  }
  if (policy === 'REJECT' && conflicts.length > 0) return { version: head, applied: [], conflicts };
  return { version: applied.length > 0 ? head + 1 : head, applied, conflicts };
}

type Dated = Pick<SharedKeyState, 'changedAtMs' | 'nodeId' | 'value' | 'deleted'>;

function compareWrites(a: Dated, b: Dated): number {
  return (
    a.changedAtMs - b.changedAtMs ||
    compareText(a.nodeId, b.nodeId) ||
    Number(a.deleted) - Number(b.deleted) ||
    compareText(canonicalize(a.value) ?? '', canonicalize(b.value) ?? '')
  );
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
