import type { SubgraphName } from '../names.ts';
import type { EventRow } from './events.ts';
import type { Graph } from './graph.ts';
import type { Principal } from './principal.ts';
import type { Sql, SqlTransaction } from './sql.ts';

export interface ReplicaEntry {
  readonly id: string;
  readonly status: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

export interface ReplicaChange extends ReplicaEntry {
  readonly tenantId: string;
  /** Sequence of the event it comes from; an older one never overwrites a newer, the same one writes nothing anew. */
  readonly sequence: number;
}

export interface ReplicaOptions {
  readonly sql: Sql;
  /** Module that keeps the replica. */
  readonly module: SubgraphName;
  /** Type of the foreign object: `Context`. */
  readonly type: string;
  /** Asks the graph on a miss; null when the object is unknown there too. */
  readonly ask: (graph: Graph, id: string, principal: Principal) => Promise<ReplicaEntry | null>;
  readonly graph: Graph;
}

export interface Replica {
  /** The foreign object as last heard of; asks the graph before it says null. */
  find(principal: Principal, id: string): Promise<ReplicaEntry | null>;
  /** Takes changes over from the owner's events. */
  apply(tx: Sql | SqlTransaction, changes: readonly ReplicaChange[]): Promise<void>;
}

/** Keeps what a module must know of another module's objects, fed by events, filled from the graph on a miss. */
export function createReplica(options: ReplicaOptions): Replica {
  const { sql, module, type, graph } = options;

  async function apply(tx: Sql | SqlTransaction, changes: readonly ReplicaChange[]): Promise<void> {
    const newest = new Map<string, ReplicaChange>();
    for (const change of changes) {
      const key = `${change.tenantId}/${change.id}`;
      const known = newest.get(key);
      if (!known || known.sequence <= change.sequence) newest.set(key, change);
    }
    if (newest.size === 0) return;
    const rows = [...newest.values()]
      .sort((a, b) => (a.id < b.id ? -1 : 1))
      .map((change) => ({
        tenant_id: change.tenantId,
        id: change.id,
        status: change.status,
        detail: change.detail,
        sequence: change.sequence,
      }));
    await tx.unsafe(
      `INSERT INTO ${module}.replica AS r (tenant_id, type, id, status, detail, sequence)
       SELECT tenant_id, $2, id, status, detail, sequence FROM json_to_recordset($1::text::json) AS x(tenant_id text, id uuid, status text, detail jsonb, sequence bigint)
       ON CONFLICT (tenant_id, type, id) DO UPDATE SET status = EXCLUDED.status, detail = EXCLUDED.detail, sequence = EXCLUDED.sequence, updated_at = now()
       WHERE r.sequence < EXCLUDED.sequence OR (r.sequence = 0 AND EXCLUDED.sequence = 0)`,
      [JSON.stringify(rows), type],
      { prepare: true },
    );
  }

  return {
    apply,
    async find(principal, id) {
      const [row] = (await sql.unsafe(
        `SELECT id, status, detail FROM ${module}.replica WHERE tenant_id = $1 AND type = $2 AND id = $3`,
        [principal.tenantId, type, id],
        { prepare: true },
      )) as unknown as ReplicaEntry[];
      if (row) return row;
      const asked = await options.ask(graph, id, principal);
      // Sequence 0: whatever event arrives knows better.
      if (asked) await apply(sql, [{ ...asked, tenantId: principal.tenantId, sequence: 0 }]);
      return asked;
    },
  };
}

/** For consumers: the changes in a page of events that concern a replica. */
export function replicaChanges(
  events: readonly EventRow[],
  read: (event: EventRow) => ReplicaEntry | null,
): readonly ReplicaChange[] {
  return events.flatMap((event) => {
    const entry = read(event);
    return entry ? [{ ...entry, tenantId: event.tenantId, sequence: event.sequence }] : [];
  });
}
