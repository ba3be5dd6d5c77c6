import { defineRecord, isoText } from '#shared/record.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import type {
  ExtensionCapabilityRow,
  ExtensionExecutionRow,
  ExtensionHookRow,
  ExtensionReleaseRow,
  ExtensionRow,
  ExtensionSandboxRow,
  RunnableRelease,
} from './rows.ts';

export type Db = Pick<Sql | SqlTransaction, 'unsafe'>;

export const extensionRecord = defineRecord<ExtensionRow>([
  ['tenant_id', 'tenantId', 'text'],
  ['id', 'id', 'uuid'],
  ['context_id', 'contextId', 'uuid'],
  ['name', 'name', 'text'],
  ['extension_type', 'extensionType', 'text'],
  ['version', 'version', 'text'],
  ['status', 'status', 'text'],
  ['runtime_state', 'runtimeState', 'text'],
  ['display_name', 'displayName', 'text'],
  ['description', 'description', 'text'],
  ['category', 'category', 'text'],
  ['keywords', 'keywords', 'text[]'],
  ['license', 'license', 'text'],
  ['homepage', 'homepage', 'text'],
  ['repository', 'repository', 'text'],
  ['publisher', 'publisher', 'jsonb'],
  ['trust_level', 'trustLevel', 'int'],
  ['config', 'config', 'jsonb'],
  ['settings', 'settings', 'jsonb'],
  ['integration_targets', 'integrationTargets', 'jsonb'],
  ['grants', 'grants', 'jsonb'],
  ['current_release_id', 'currentReleaseId', 'uuid'],
  ['previous_release_id', 'previousReleaseId', 'uuid'],
  ['reloaded_at', 'reloadedAt', 'timestamptz'],
  ['deprecated_at', 'deprecatedAt', 'timestamptz'],
  ['installed_at', 'installedAt', 'timestamptz'],
  ['activated_at', 'activatedAt', 'timestamptz'],
  ['deactivated_at', 'deactivatedAt', 'timestamptz'],
  ['activation_count', 'activationCount', 'int'],
  ['error_count', 'errorCount', 'int'],
  ['last_error', 'lastError', 'jsonb'],
  ['quarantine', 'quarantine', 'jsonb'],
  ['governance', 'governance', 'jsonb'],
  ['protocol', 'protocol', 'jsonb'],
  ['revision', 'revision', 'int'],
  ['created_at', 'createdAt', 'timestamptz'],
  ['created_by', 'createdBy', 'text'],
  ['updated_at', 'updatedAt', 'timestamptz'],
  ['updated_by', 'updatedBy', 'text'],
]);

export const releaseRecord = defineRecord<ExtensionReleaseRow>([
  ['tenant_id', 'tenantId', 'text'],
  ['id', 'id', 'uuid'],
  ['extension_id', 'extensionId', 'uuid'],
  ['context_id', 'contextId', 'uuid'],
  ['version', 'version', 'text'],
  ['manifest', 'manifest', 'jsonb'],
  ['checksum', 'checksum', 'text'],
  ['size_bytes', 'sizeBytes', 'int'],
  ['package', 'package', 'jsonb'],
  ['signature', 'signature', 'text'],
  ['key_id', 'keyId', 'uuid'],
  ['trust_level', 'trustLevel', 'int'],
  ['validation', 'validation', 'jsonb'],
  ['quality_score', 'qualityScore', 'float8'],
  ['approved_by', 'approvedBy', 'uuid'],
  ['created_at', 'createdAt', 'timestamptz'],
  ['created_by', 'createdBy', 'text'],
]);

export const capabilityRecord = defineRecord<ExtensionCapabilityRow>([
  ['tenant_id', 'tenantId', 'text'],
  ['id', 'id', 'uuid'],
  ['extension_id', 'extensionId', 'uuid'],
  ['context_id', 'contextId', 'uuid'],
  ['name', 'name', 'text'],
  ['description', 'description', 'text'],
  ['version', 'version', 'text'],
  ['type', 'type', 'text'],
  ['status', 'status', 'text'],
  ['interfaces', 'interfaces', 'jsonb'],
]);

export const sandboxRecord = defineRecord<ExtensionSandboxRow>([
  ['tenant_id', 'tenantId', 'text'],
  ['id', 'id', 'uuid'],
  ['extension_id', 'extensionId', 'uuid'],
  ['context_id', 'contextId', 'uuid'],
  ['release_id', 'releaseId', 'uuid'],
  ['status', 'status', 'text'],
  ['limits', 'limits', 'jsonb'],
  ['errors', 'errors', 'jsonb'],
  ['recovery_attempts', 'recoveryAttempts', 'int'],
  ['health_failures', 'healthFailures', 'int'],
  ['health_checked_at', 'healthCheckedAt', 'timestamptz'],
  ['started_at', 'startedAt', 'timestamptz'],
]);

const hookRecord = defineRecord<ExtensionHookRow>([
  ['tenant_id', 'tenantId', 'text'],
  ['extension_id', 'extensionId', 'uuid'],
  ['context_id', 'contextId', 'uuid'],
  ['point', 'point', 'text'],
  ['phase', 'phase', 'text'],
  ['method', 'method', 'text'],
  ['priority', 'priority', 'int'],
]);

export const executionRecord = defineRecord<ExtensionExecutionRow>([
  ['tenant_id', 'tenantId', 'text'],
  ['id', 'id', 'uuid'],
  ['extension_id', 'extensionId', 'uuid'],
  ['context_id', 'contextId', 'uuid'],
  ['capability_id', 'capabilityId', 'uuid'],
  ['release_id', 'releaseId', 'uuid'],
  ['method', 'method', 'text'],
  ['caller', 'caller', 'text'],
  ['status', 'status', 'text'],
  ['crashed', 'crashed', 'boolean'],
  ['duration_ms', 'durationMs', 'float8'],
  ['cpu_ms', 'cpuMs', 'float8'],
  ['memory_bytes', 'memoryBytes', 'bigint'],
  ['host_calls', 'hostCalls', 'int'],
  ['cache_hit', 'cacheHit', 'boolean'],
  ['error', 'error', 'jsonb'],
  ['logs', 'logs', 'jsonb'],
  ['host_operations', 'hostOperations', 'jsonb'],
  ['traceparent', 'traceparent', 'text'],
  ['created_at', 'createdAt', 'timestamptz'],
]);

export const extensionColumns = extensionRecord.select('e');
export const releaseColumns = releaseRecord.select('r');

const read = async <Row>(db: Db, text: string, parameters: unknown[]) =>
  (await db.unsafe(text, parameters as never[], { prepare: true })) as unknown as readonly Row[];

export const findExtensions = (db: Db, tenantId: string, ids: readonly string[]) =>
  read<ExtensionRow>(
    db,
    `SELECT ${extensionColumns} FROM extension.extension e WHERE e.tenant_id = $1 AND e.id = ANY($2::uuid[])`,
    [tenantId, ids],
  );

export async function lockExtension(tx: Db, tenantId: string, id: string): Promise<ExtensionRow | null> {
  const [row] = await read<ExtensionRow>(
    tx,
    `SELECT ${extensionColumns} FROM extension.extension e WHERE e.tenant_id = $1 AND e.id = $2 FOR UPDATE`,
    [tenantId, id],
  );
  return row ?? null;
}

/** What the search finds a row by; computed where the row is written. */
export const searchOf = (row: string) =>
  `setweight(to_tsvector('simple', coalesce(${row}.name, '') || ' ' || translate(coalesce(${row}.name, ''), '-_.', '   ') || ' ' || coalesce(${row}.display_name, '')), 'A')
   || setweight(to_tsvector('simple', array_to_string(${row}.keywords, ' ') || ' ' || coalesce(${row}.category, '')), 'B')
   || setweight(to_tsvector('simple', left(coalesce(${row}.description, ''), 20000)), 'C')`;

/** Inserts or replaces rows whole. */
export async function putExtensions(tx: Db, rows: readonly ExtensionRow[], mode: 'insert' | 'upsert'): Promise<void> {
  await tx.unsafe(
    `INSERT INTO extension.extension (${extensionRecord.names}, search) SELECT ${extensionRecord.from('x')}, ${searchOf('x')}
     FROM json_to_recordset($1::text::json) AS x(${extensionRecord.recordset}) ORDER BY x.ord${
       mode === 'insert'
         ? ''
         : ` ON CONFLICT (tenant_id, id) DO UPDATE SET ${extensionRecord.assignments(2)}, search = EXCLUDED.search`
     }`,
    [JSON.stringify(rows.map(extensionRecord.toRecord))],
    { prepare: true },
  );
}

export async function insertRelease(tx: Db, row: ExtensionReleaseRow, bundle: string): Promise<void> {
  await tx.unsafe(
    `INSERT INTO extension.release (${releaseRecord.names}, bundle) SELECT ${releaseRecord.from('x')}, $2
     FROM json_to_recordset($1::text::json) AS x(${releaseRecord.recordset})`,
    [JSON.stringify([releaseRecord.toRecord(row, 0)]), bundle],
    { prepare: true },
  );
}

export const findReleases = (db: Db, tenantId: string, ids: readonly string[]) =>
  read<ExtensionReleaseRow>(
    db,
    `SELECT ${releaseColumns} FROM extension.release r WHERE r.tenant_id = $1 AND r.id = ANY($2::uuid[])`,
    [tenantId, ids],
  );

export async function findRunnable(db: Db, tenantId: string, id: string): Promise<RunnableRelease | null> {
  const [row] = await read<RunnableRelease>(
    db,
    `SELECT ${releaseColumns}, r.bundle FROM extension.release r WHERE r.tenant_id = $1 AND r.id = $2`,
    [tenantId, id],
  );
  return row ?? null;
}

/** Releases of extensions, the newest first. */
export const findReleasesOf = (db: Db, tenantId: string, extensionIds: readonly string[]) =>
  read<ExtensionReleaseRow>(
    db,
    `SELECT ${releaseColumns} FROM extension.release r WHERE r.tenant_id = $1 AND r.extension_id = ANY($2::uuid[])
     ORDER BY r.extension_id, r.created_at DESC, r.id`,
    [tenantId, extensionIds],
  );

export const findCapabilitiesOf = (db: Db, tenantId: string, extensionIds: readonly string[]) =>
  read<ExtensionCapabilityRow>(
    db,
    `SELECT ${capabilityRecord.select('c')} FROM extension.capability c WHERE c.tenant_id = $1 AND c.extension_id = ANY($2::uuid[])
     ORDER BY c.extension_id, c.name`,
    [tenantId, extensionIds],
  );

export const findCapabilities = (db: Db, tenantId: string, ids: readonly string[]) =>
  read<ExtensionCapabilityRow>(
    db,
    `SELECT ${capabilityRecord.select('c')} FROM extension.capability c WHERE c.tenant_id = $1 AND c.id = ANY($2::uuid[])`,
    [tenantId, ids],
  );

/** Puts the capabilities in the place of those an extension had; one of the same name keeps its id. */
export async function replaceCapabilities(
  tx: Db,
  { tenantId, id }: Pick<ExtensionRow, 'tenantId' | 'id'>,
  rows: readonly ExtensionCapabilityRow[],
): Promise<readonly ExtensionCapabilityRow[]> {
  await tx.unsafe(
    'DELETE FROM extension.capability WHERE tenant_id = $1 AND extension_id = $2 AND NOT (name = ANY($3::text[]))',
    [tenantId, id, rows.map(({ name }) => name)],
    { prepare: true },
  );
  return read<ExtensionCapabilityRow>(
    tx,
    `INSERT INTO extension.capability AS c (${capabilityRecord.names}) SELECT ${capabilityRecord.from('x')}
     FROM json_to_recordset($1::text::json) AS x(${capabilityRecord.recordset}) ORDER BY x.ord
     ON CONFLICT (tenant_id, extension_id, name) DO UPDATE SET description = EXCLUDED.description, version = EXCLUDED.version,
       type = EXCLUDED.type, status = EXCLUDED.status, interfaces = EXCLUDED.interfaces
     RETURNING ${capabilityRecord.select('c')}`,
    [JSON.stringify(rows.map(capabilityRecord.toRecord))],
  );
}

export async function setCapabilityStatus(
  tx: Db,
  { tenantId, id }: Pick<ExtensionRow, 'tenantId' | 'id'>,
  status: string,
): Promise<void> {
  await tx.unsafe(
    'UPDATE extension.capability SET status = $3 WHERE tenant_id = $1 AND extension_id = $2',
    [tenantId, id, status],
    { prepare: true },
  );
}

export async function replaceHooks(
  tx: Db,
  { tenantId, id }: Pick<ExtensionRow, 'tenantId' | 'id'>,
  rows: readonly ExtensionHookRow[],
): Promise<void> {
  await tx.unsafe('DELETE FROM extension.hook WHERE tenant_id = $1 AND extension_id = $2', [tenantId, id], {
    prepare: true,
  });
  if (rows.length === 0) return;
  await tx.unsafe(
    `INSERT INTO extension.hook (${hookRecord.names}) SELECT ${hookRecord.from('x')} FROM json_to_recordset($1::text::json) AS x(${hookRecord.recordset})`,
    [JSON.stringify(rows.map(hookRecord.toRecord))],
  );
}

export const findHooksOf = (db: Db, tenantId: string, extensionIds: readonly string[]) =>
  read<ExtensionHookRow>(
    db,
    `SELECT ${hookRecord.select('h')} FROM extension.hook h WHERE h.tenant_id = $1 AND h.extension_id = ANY($2::uuid[]) ORDER BY h.extension_id, h.point, h.phase`,
    [tenantId, extensionIds],
  );

/** Hooks of running extensions at points, by place: those of lower priority first. */
export const findHooksAt = (
  db: Db,
  tenantId: string,
  { contextId, point, phase }: Pick<ExtensionHookRow, 'contextId' | 'point' | 'phase'>,
) =>
  read<ExtensionHookRow>(
    db,
    `SELECT ${hookRecord.select('h')} FROM extension.hook h JOIN extension.extension e ON e.tenant_id = h.tenant_id AND e.id = h.extension_id
     WHERE h.tenant_id = $1 AND h.context_id = $2 AND h.point = $3 AND h.phase = $4 AND e.runtime_state IN ('active', 'reloading')
     ORDER BY h.priority, e.created_at, h.extension_id`,
    [tenantId, contextId, point, phase],
  );

export const findSandboxesOf = (db: Db, tenantId: string, extensionIds: readonly string[]) =>
  read<ExtensionSandboxRow>(
    db,
    `SELECT ${sandboxRecord.select('s')} FROM extension.sandbox s WHERE s.tenant_id = $1 AND s.extension_id = ANY($2::uuid[])`,
    [tenantId, extensionIds],
  );

export const findSandboxes = (db: Db, tenantId: string, ids: readonly string[]) =>
  read<ExtensionSandboxRow>(
    db,
    `SELECT ${sandboxRecord.select('s')} FROM extension.sandbox s WHERE s.tenant_id = $1 AND s.id = ANY($2::uuid[])`,
    [tenantId, ids],
  );

/** One sandbox an extension: it keeps its id and what it has been through. */
export async function putSandbox(tx: Db, row: ExtensionSandboxRow): Promise<ExtensionSandboxRow> {
  const [stored] = await read<ExtensionSandboxRow>(
    tx,
    `INSERT INTO extension.sandbox AS s (${sandboxRecord.names}) SELECT ${sandboxRecord.from('x')} FROM json_to_recordset($1::text::json) AS x(${sandboxRecord.recordset})
     ON CONFLICT (tenant_id, extension_id) DO UPDATE SET release_id = EXCLUDED.release_id, status = EXCLUDED.status, limits = EXCLUDED.limits,
       recovery_attempts = s.recovery_attempts + CASE WHEN s.status = 'error' THEN 1 ELSE 0 END, health_failures = 0,
       started_at = EXCLUDED.started_at, updated_at = now()
     RETURNING ${sandboxRecord.select('s')}`,
    [JSON.stringify([sandboxRecord.toRecord(row, 0)])],
  );
  return stored!;
}

export async function setSandboxStatus(
  tx: Db,
  { tenantId, id }: Pick<ExtensionRow, 'tenantId' | 'id'>,
  status: string,
  error: object | null = null,
): Promise<void> {
  await tx.unsafe(
    `UPDATE extension.sandbox SET status = $3, updated_at = now(), errors = CASE WHEN $4::text IS NULL THEN errors ELSE
       (SELECT jsonb_agg(x) FROM (SELECT x FROM jsonb_array_elements($4::text::jsonb || errors) WITH ORDINALITY AS l(x, n) ORDER BY n LIMIT 20) kept) END
     WHERE tenant_id = $1 AND extension_id = $2`,
    [tenantId, id, status, error === null ? null : JSON.stringify([error])],
    { prepare: true },
  );
}

export const findExecutions = (db: Db, tenantId: string, ids: readonly string[]) =>
  read<ExtensionExecutionRow>(
    db,
    `SELECT ${executionRecord.select('x')} FROM extension.execution x WHERE x.tenant_id = $1 AND x.id = ANY($2::uuid[])`,
    [tenantId, ids],
  );

export const capabilityColumns = capabilityRecord.select('c');
export const executionColumns = executionRecord.select('x');
export const nowText = isoText('now()');

/** Counts of a tenant's extensions stay what they are until the end of the transaction. */
export async function lockRoom(tx: SqlTransaction, tenantId: string): Promise<void> {
  await tx.unsafe(`SELECT pg_advisory_xact_lock(hashtextextended('extension.room/' || $1, 0))`, [tenantId], {
    prepare: true,
  });
}
