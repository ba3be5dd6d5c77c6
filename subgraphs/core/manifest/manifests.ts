import type { Approvers } from '#shared/approvers.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EventRow } from '#shared/events.ts';
import { newId, requireId } from '#shared/ids.ts';
import type { NewEvent } from '#shared/outbox.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput, requireVersion } from '#shared/validation.ts';
import type { BaseEventDocument } from '../../../schema/protocol/index.ts';
import { manifestColumns } from '../codec.ts';
import type { CallOptions, Commands } from '../commands.ts';
import { systemEvent } from '../systemEvents.ts';
import { manifestApproval, readOutcome } from './confirms.ts';
import { happened, withTold } from './happened.ts';
import * as inputs from './inputs.ts';
import { type Changed, type Move, makeMove, planMove } from './moves.ts';
import type { ManifestChange, ManifestRow } from './rows.ts';

interface Options extends CallOptions {
  readonly expectedVersion?: number | null | undefined;
}

const event = (type: string, row: ManifestRow, told: readonly BaseEventDocument[] = []): NewEvent => ({
  streamId: row.id,
  type,
  data: { manifest: row, ...(told.length === 0 ? {} : { told }) },
  tags: [`CoreManifest:${row.id}`, 'manifests'],
});

const changedModules = (before: ManifestRow, after: ManifestRow) =>
  after.modules.filter((one) =>
    before.modules.some((was) => was.module_id === one.module_id && was.status !== one.status),
  );

export type Manifests = ReturnType<typeof createManifests>;

/** Manifests of protocol instances: which modules are on, in which version. */
export function createManifests({ sql, authorizer }: Pick<ModuleRuntime, 'sql' | 'authorizer'>, commands: Commands) {
  async function lock(tx: SqlTransaction, tenantId: string, id: string): Promise<ManifestRow | undefined> {
    const [row] = (await tx.unsafe(
      `SELECT ${manifestColumns} FROM core.manifest m WHERE m.tenant_id = $1 AND m.id = $2 FOR UPDATE`,
      [tenantId, id],
      { prepare: true },
    )) as unknown as ManifestRow[];
    return row;
  }

  /** Stores what was changed, and what all who keep manifests or follow the system hear of it. */
  async function store(
    tx: SqlTransaction,
    before: ManifestRow,
    { actor, changed }: { readonly actor: string; readonly changed: Changed },
  ): Promise<{ readonly row: ManifestRow; readonly events: readonly NewEvent[] }> {
    const { tenantId, id } = before;
    const { status, modules, pending, refusal, replaced = [] } = { ...before, ...changed };
    const told = happened(before, { status, modules });
    const protocol = withTold(before.protocol, told);
    const [row] = (await tx.unsafe(
      `UPDATE core.manifest m SET status = $3, modules = $4::text::jsonb, pending = $6::text::jsonb, refusal = $7, protocol = $8::text::jsonb, version = version + 1, updated_at = now(), updated_by = $5
       WHERE m.tenant_id = $1 AND m.id = $2 RETURNING ${manifestColumns}`,
      [
        tenantId,
        id,
        status,
        JSON.stringify(modules),
        actor,
        pending === null ? null : JSON.stringify(pending),
        refusal,
        protocol === null ? null : JSON.stringify(protocol),
      ],
      { prepare: true },
    )) as unknown as ManifestRow[];
    return {
      row: row!,
      events: [
        event('manifest.changed', row!, told),
        // Whoever keeps the one before hears that it is no longer the active one.
        ...replaced.map((other) => event('manifest.changed', other)),
        ...replaced.map((other) =>
          systemEvent(tenantId, 'manifest.changed', { manifestId: other.id, status: other.status }),
        ),
        systemEvent(tenantId, 'manifest.changed', { manifestId: id, status }),
        ...changedModules(before, row!).map((module) =>
          systemEvent(tenantId, `module.${module.status}`, { manifestId: id, moduleId: module.module_id }),
        ),
      ],
    };
  }

  /** Who is asked before a move: as the manifest says, or the active one whose place it takes. Drafts are edited freely. */
  async function approvalOf(tx: SqlTransaction, row: ManifestRow, { status }: Move): Promise<Approvers | null> {
    if (row.status === 'draft' && status !== 'active') return null;
    if (status !== 'active') return row.approval;
    const [other] = (await tx.unsafe(
      `SELECT m.approval FROM core.manifest m WHERE m.tenant_id = $1 AND m.status = 'active' AND m.approval IS NOT NULL AND m.id <> $2 LIMIT 1`,
      [row.tenantId, row.id],
      { prepare: true },
    )) as unknown as { approval: Approvers }[];
    // The one in force decides who may take its place.
    return other?.approval ?? row.approval;
  }

  async function change(
    scope: RequestScope,
    manifestId: string,
    { operation, move, options }: { readonly operation: string; readonly move: Move; readonly options: Options },
  ): Promise<string> {
    const id = requireId(manifestId, ['manifestId']);
    const { tenantId, subject, roles } = scope.principal;
    return commands.run(
      scope,
      {
        operation,
        input: { id, ...move, expectedVersion: options.expectedVersion ?? null },
        idempotencyKey: options.idempotencyKey,
      },
      async (tx) => {
        const before = await lock(tx, tenantId, id);
        if (!before) throw new PlatformError('NOT_FOUND', 'no such manifest', { path: ['manifestId'] });
        requireVersion(options.expectedVersion, before.version);
        const isLocked = (before.protocol?.governance as { locked?: boolean } | undefined)?.locked === true;
        if (isLocked && !(await authorizer.allows(scope.principal, 'governance:override')))
          throw new PlatformError('GOVERNANCE_LOCKED', 'the manifest is locked', { path: ['manifestId'] });
        if (before.pending !== null)
          throw new PlatformError('INVALID_STATE', 'a change of the manifest waits for its Confirm', {
            path: ['manifestId'],
            details: { confirmId: before.pending.confirmId },
          });
        const approval = await approvalOf(tx, before, move);
        if (approval === null) {
          const changed = await makeMove(tx, before, { ...move, actor: subject });
          const { events } = await store(tx, before, { actor: subject, changed: { ...changed, refusal: null } });
          return {
            response: id,
            events,
            audit: [{ action: `manifest.${operation}`, resource: 'CoreManifest', resourceId: id }],
          };
        }
        // What could not be made is not asked about.
        planMove(before, move);
        const pending: ManifestChange = {
          ...{ id: newId(), ...move, requestedBy: subject, requestedAt: new Date().toISOString(), confirmId: null },
        };
        const { row, events } = await store(tx, before, { actor: subject, changed: { pending, refusal: null } });
        return {
          response: id,
          events: [...events, manifestApproval(row, pending, { approval, role: roles[0] ?? 'agent' })],
          audit: [{ action: `manifest.${operation}.request`, resource: 'CoreManifest', resourceId: id }],
        };
      },
    );
  }

  return {
    /** The active manifest that changed last, else the newest one. */
    async current(tenantId: string): Promise<ManifestRow | null> {
      const [row] = (await sql.unsafe(
        `SELECT ${manifestColumns} FROM core.manifest m WHERE m.tenant_id = $1 ORDER BY (m.status = 'active') DESC, m.updated_at DESC, m.id LIMIT 1`,
        [tenantId],
        { prepare: true },
      )) as unknown as ManifestRow[];
      return row ?? null;
    },

    create(scope: RequestScope, raw: unknown): Promise<string> {
      const { idempotencyKey, ...input } = parseInput(inputs.createManifest, raw);
      const { tenantId, subject } = scope.principal;
      return commands.run(scope, { operation: 'createManifest', input, idempotencyKey }, async (tx) => {
        const [row] = (await tx.unsafe(
          `INSERT INTO core.manifest AS m (tenant_id, id, protocol_version, status, modules, created_by, updated_by, approval) VALUES ($1, $2, $3, 'draft', $4::text::jsonb, $5, $5, $6::text::jsonb) RETURNING ${manifestColumns}`,
          [
            ...[tenantId, newId(), input.protocolVersion, JSON.stringify(input.modules), subject],
            input.approval === null ? null : JSON.stringify(input.approval),
          ],
          { prepare: true },
        )) as unknown as ManifestRow[];
        return {
          response: row!.id,
          events: [event('manifest.created', row!)],
          audit: [{ action: 'manifest.create', resource: 'CoreManifest', resourceId: row!.id }],
        };
      });
    },

    /** At once, or when the Confirm it asks for is approved. @throws {INVALID_STATE_TRANSITION} {INVALID_STATE} */
    setStatus: (
      scope: RequestScope,
      manifestId: string,
      status: ManifestRow['status'],
      options: Options,
    ): Promise<string> =>
      change(scope, manifestId, {
        ...{ operation: 'changeManifestStatus', move: { status, moduleId: null, moduleStatus: null }, options },
      }),

    /** The same. @throws {INVALID_STATE} for a module that is required or that others need, {NOT_FOUND} for one it does not list */
    setModule: (
      scope: RequestScope,
      manifestId: string,
      moduleId: string,
      moduleStatus: ManifestRow['modules'][number]['status'],
      options: Options,
    ): Promise<string> =>
      change(scope, manifestId, {
        ...{ operation: 'setModuleStatus', move: { status: null, moduleId, moduleStatus }, options },
      }),

    /** What the confirm module tells about a change that waits. Told twice it changes nothing: then nothing waits any more. */
    async heard(confirmEvent: EventRow): Promise<void> {
      const outcome = readOutcome(confirmEvent);
      if (outcome === null) return;
      const { tenantId, actor } = confirmEvent;
      await commands.runAs(tenantId, actor, async (tx) => {
        const row = await lock(tx, tenantId, outcome.manifestId);
        if (!row?.pending || row.pending.id !== outcome.changeId) return { response: null };
        let changed: Changed;
        if (outcome.kind === 'opened') changed = { pending: { ...row.pending, confirmId: outcome.confirmId } };
        else if (outcome.kind === 'refused') changed = { pending: null, refusal: outcome.reason };
        else
          try {
            changed = { ...(await makeMove(tx, row, { ...row.pending, actor })), pending: null };
          } catch (error) {
            // The manifest has changed meanwhile: what was approved can no longer be made.
            if (!(error instanceof PlatformError)) throw error;
            changed = { pending: null, refusal: error.message };
          }
        const { events } = await store(tx, row, { actor, changed });
        const audit = [
          { action: `manifest.change.${outcome.kind}`, resource: 'CoreManifest', resourceId: outcome.manifestId },
        ];
        return { response: null, events, audit };
      });
    },
  };
}
