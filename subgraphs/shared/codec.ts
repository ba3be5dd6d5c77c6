import type { Config } from './config.ts';
import type { EventRow } from './events.ts';
import type { Change } from './outbox.ts';
import type { Principal } from './principal.ts';
import type { Sql, SqlTransaction } from './sql.ts';

export type ProtocolDocument = Readonly<Record<string, unknown>>;

/** How a module stores and gives back the frozen protocol objects of its kind. */
export interface ProtocolCodec {
  /** Documents of these ids as they would be exported, by id; unknown and foreign ids are left out. */
  read(
    sql: Sql | SqlTransaction,
    tenantId: string,
    ids: readonly string[],
  ): Promise<ReadonlyMap<string, ProtocolDocument>>;
  /**
   * Stores validated documents under their own ids, within the caller's transaction, and answers the changes to append
   * to the module's events. Ids that `read` finds have been refused before; the configuration says what else is.
   * @throws {ConcurrentInsert} when one of them has appeared since.
   */
  write(
    tx: SqlTransaction,
    principal: Principal,
    documents: readonly ProtocolDocument[],
    config?: Config,
  ): Promise<readonly Change[]>;
  /** Ids of the module's objects that belong to a context, in import order, else creation order. */
  idsOfContext(sql: Sql | SqlTransaction, tenantId: string, contextId: string): Promise<readonly string[]>;
  /** Those of the ids that the principal may read; without it all that `read` finds. */
  visibleTo?(sql: Sql | SqlTransaction, principal: Principal, ids: readonly string[]): Promise<ReadonlySet<string>>;
  /** What the frozen observability envelopes say of one of the module's events; nothing for most. */
  observe?(event: EventRow): readonly ProtocolDocument[];
  /** Types of events that `observe` says something of. @default all are read */
  readonly observes?: readonly string[];
  /** Streams of a context that `observe` reads beside those of the objects: of what has no frozen form. */
  observedIn?(sql: Sql | SqlTransaction, tenantId: string, contextId: string): Promise<readonly string[]>;
}

/** Another transaction stored one of these ids first: read again and compare. */
export class ConcurrentInsert extends Error {
  constructor() {
    super('another import stored one of these ids meanwhile');
    this.name = 'ConcurrentInsert';
  }
}
