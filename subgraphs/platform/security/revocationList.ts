import type { Bus } from '#shared/bus.ts';
import type { Principal } from '#shared/principal.ts';
import type { Sql } from '#shared/sql.ts';
import type { SubjectDigest } from '#shared/subjectDigest.ts';
import type { Logger } from '#shared/telemetry.ts';

/** The list is read anew so often, should an event ever not have come. */
const rereadMs = 60_000;

export interface RevocationList {
  /** Whether a token whose signature holds is refused all the same. Costs two looks into a map. */
  isRevoked(principal: Principal): boolean;
  /** Calls back once something more is revoked; answers how to stop. */
  onRevoked(listener: () => void): () => void;
  close(): void;
}

interface Entry {
  readonly notAfterMs: number;
  readonly expiresAtMs: number;
}

interface Told {
  readonly tenantId: string;
  readonly kind: string;
  readonly key: string;
  readonly notAfter: string;
  readonly expiresAt: string;
}

/** Says that digests are worth computing for the tenant. */
const anyErased = (tenantId: string) => place(tenantId, 'erased', '');
const place = (tenantId: string, kind: string, key: string) => `${kind} ${tenantId} ${key}`;

/**
 * Keeps what is revoked in memory and follows it by events, which reach every instance within the poll of the event tables
 * also where no bus connects them. When this resolves the list is whole: nothing revoked before passes.
 */
export async function followRevocations({
  sql,
  bus,
  logger,
  digest,
}: {
  /** Names erased subjects. @default none is known */
  readonly digest?: SubjectDigest;
  /** Database of the platform module. */
  readonly sql: Sql;
  readonly bus: Bus;
  readonly logger: Pick<Logger, 'warn'>;
}): Promise<RevocationList> {
  let entries = new Map<string, Entry>();
  const listeners = new Set<() => void>();
  /** What events said while the list was being read: the reading may not have seen it. */
  let meanwhile: ((list: Map<string, Entry>) => void)[] | null = null;

  const add = ({ tenantId, kind, key, notAfter, expiresAt }: Told) => {
    const entry = { notAfterMs: Date.parse(notAfter), expiresAtMs: Date.parse(expiresAt) };
    return (list: Map<string, Entry>) => {
      list.set(place(tenantId, kind, key), entry);
      if (kind === 'erased') list.set(anyErased(tenantId), entry);
    };
  };

  function apply(change: (list: Map<string, Entry>) => void): void {
    meanwhile?.push(change);
    change(entries);
  }

  const unsubscribe = bus.subscribe('platform', (events) => {
    let more = false;
    for (const { type, tenantId, data } of events) {
      if (type === 'token.revoked') {
        apply(add({ ...(data as Omit<Told, 'tenantId'>), tenantId }));
        more = true;
      } else if (type === 'token.revocation.lifted') {
        apply((list) => void list.delete(place(tenantId, String(data['kind']), String(data['key']))));
      }
    }
    if (more) for (const listener of listeners) listener();
  });

  async function load(): Promise<void> {
    meanwhile = [];
    try {
      const rows = (await sql.unsafe(
        `SELECT tenant_id AS "tenantId", kind, key, not_after AS "notAfter", expires_at AS "expiresAt" FROM platform.revocation
         WHERE expires_at > now()`,
      )) as unknown as (Omit<Told, 'notAfter' | 'expiresAt'> & { notAfter: Date; expiresAt: Date })[];
      const list = new Map<string, Entry>();
      for (const row of rows)
        add({ ...row, notAfter: row.notAfter.toISOString(), expiresAt: row.expiresAt.toISOString() })(list);
      for (const change of meanwhile) change(list);
      const isLonger = [...list.keys()].some((key) => !entries.has(key));
      entries = list;
      if (isLonger) for (const listener of listeners) listener();
    } finally {
      meanwhile = null;
    }
  }

  try {
    await load();
  } catch (error) {
    unsubscribe();
    throw error;
  }
  // One that fails leaves the list as it is; what is revoked stays refused.
  const timer = setInterval(() => {
    load().catch((error: unknown) =>
      logger.warn({ error: String(error) }, 'revocations cannot be read; the last ones hold'),
    );
  }, rereadMs);
  timer.unref();

  return {
    isRevoked({ tenantId, subject, tokenId, issuedAtMs = 0 }) {
      if (entries.size === 0) return false;
      if (tokenId !== undefined && isInForce(entries.get(place(tenantId, 'token', tokenId)))) return true;
      // One that does not say when it was issued may be as old as any.
      const isBefore = (entry: Entry | undefined) =>
        isInForce(entry) && issuedAtMs <= (entry?.notAfterMs ?? Number.NEGATIVE_INFINITY);
      if (isBefore(entries.get(place(tenantId, 'subject', subject)))) return true;
      if (digest === undefined || !entries.has(anyErased(tenantId))) return false;
      return isBefore(entries.get(place(tenantId, 'erased', digest(tenantId, subject))));
    },
    onRevoked(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    close() {
      clearInterval(timer);
      unsubscribe();
      listeners.clear();
    },
  };
}

function isInForce(entry: Entry | undefined): boolean {
  return entry !== undefined && entry.expiresAtMs > Date.now();
}
