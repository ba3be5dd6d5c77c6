import type { NewAudit, NewEvent, NewJob } from '#shared/outbox.ts';
import type { Principal } from '#shared/principal.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import {
  applyChange,
  carryPermissionSets,
  type Change as DecisionChange,
  type PermissionSets,
  type Snapshot,
} from './decision/index.ts';
import { toApprovalChange, toAssignment, toChange, toDelegation, toSubject } from './decisionRows.ts';
import type { PermissionRequestRow, RoleAssignmentRow, RoleDelegationRow, RoleRow, SubjectRow } from './rows.ts';
import {
  findAssignments,
  findRoles,
  upsertAssignments,
  upsertDelegations,
  upsertPermissionRequests,
  upsertRoles,
  upsertSubject,
} from './store.ts';

/** What a command works with: its tenant as the commands before it have left it, and what it leaves behind itself. */
export interface RoleWork {
  /** Assignments that were saved in it may still be on their way: `storeAssignments` before reading them by SQL. */
  readonly tx: SqlTransaction;
  readonly principal: Principal;
  readonly tenantId: string;
  /** Of the command. */
  readonly timeMs: number;
  readonly now: string;
  readonly snapshot: Snapshot;
  sets(): PermissionSets;
  findRole(id: string): Promise<RoleRow | undefined>;
  findAssignment(id: string): Promise<RoleAssignmentRow | undefined>;
  saveRoles(rows: readonly RoleRow[]): Promise<void>;
  saveAssignments(rows: readonly RoleAssignmentRow[]): void;
  saveDelegations(rows: readonly RoleDelegationRow[]): Promise<void>;
  savePermissionRequests(rows: readonly PermissionRequestRow[]): Promise<void>;
  saveSubject(row: SubjectRow): Promise<void>;
  storeAssignments(): Promise<void>;
  tell(...events: readonly NewEvent[]): void;
  note(entry: NewAudit): void;
  schedule(job: NewJob): void;
}

export interface Traces {
  readonly events: NewEvent[];
  readonly audit: NewAudit[];
  readonly jobs: NewJob[];
}

/** One tenant, locked, within a transaction: what its commands pass on from one to the next. */
export interface TenantDraft {
  readonly tenantId: string;
  /** What its rows bear that change now. */
  readonly revision: number;
  readonly snapshot: Snapshot;
  readonly isChanged: boolean;
  /** Reads roles that commands are going to ask for, in one statement. */
  readRoles(ids: readonly string[]): Promise<void>;
  openWork(principal: Principal, traces: Traces): OpenWork;
  /** Writes what is not written yet. */
  store(): Promise<void>;
}

export interface OpenWork {
  readonly work: RoleWork;
  /** Takes back what the command has done; false where some of it was written already. */
  undo(): boolean;
}

export interface TenantDraftStart {
  readonly tenantId: string;
  readonly revision: number;
  /** Of the rows as they are under the lock. */
  readonly snapshot: Snapshot;
  /** Computed for an earlier version. */
  readonly sets: PermissionSets;
}

/** Assignments, of which there may be a batch full, are written once, at its end; everything else at once. */
export function openTenantDraft(tx: SqlTransaction, start: TenantDraftStart): TenantDraft {
  const { tenantId, revision } = start;
  let { snapshot, sets } = start;
  let isChanged = false;
  /** By id, as it will stand. */
  let unstored = new Map<string, RoleAssignmentRow>();
  const roles = new Map<string, RoleRow>();

  const apply = (changes: Iterable<DecisionChange>) => {
    isChanged = true;
    for (const change of changes) snapshot = applyChange(snapshot, change);
  };
  const revised = <Row extends { readonly revision: number }>(rows: readonly Row[]): Row[] =>
    rows.map((row) => ({ ...row, revision }));

  async function store(): Promise<void> {
    if (unstored.size === 0) return;
    // One may take the place of another that ends: it ends first.
    const rows = [...unstored.values()].sort((left, right) => Number(isOver(right)) - Number(isOver(left)));
    unstored = new Map();
    await upsertAssignments(tx, rows);
  }

  async function readRoles(ids: readonly string[]): Promise<void> {
    const unread = [...new Set(ids)].filter((id) => !roles.has(id));
    if (unread.length === 0) return;
    for (const row of await findRoles(tx, tenantId, unread)) roles.set(row.id, row);
  }

  function openWork(principal: Principal, traces: Traces): OpenWork {
    const timeMs = Date.now();
    const before = { snapshot, isChanged };
    let unstoredBefore: typeof unstored | undefined;
    let isWritten = false;
    const work: RoleWork = {
      tx,
      principal,
      tenantId,
      timeMs,
      now: new Date(timeMs).toISOString(),
      get snapshot() {
        return snapshot;
      },
      sets() {
        sets = carryPermissionSets(sets, snapshot);
        return sets;
      },
      async findRole(id) {
        await readRoles([id]);
        return roles.get(id);
      },
      async findAssignment(id) {
        return unstored.get(id) ?? (await findAssignments(tx, tenantId, [id]))[0];
      },
      async saveRoles(rows) {
        isWritten = true;
        apply(rows.map(toChange));
        for (const { id } of rows) roles.delete(id);
        await upsertRoles(tx, revised(rows));
      },
      saveAssignments(rows) {
        unstoredBefore ??= new Map(unstored);
        apply(rows.map((row) => ({ kind: 'assignment.saved', assignment: toAssignment(row) })));
        for (const row of revised(rows)) unstored.set(row.id, row);
      },
      async saveDelegations(rows) {
        isWritten = true;
        apply(rows.map((row) => ({ kind: 'delegation.saved', delegation: toDelegation(row) })));
        await upsertDelegations(tx, revised(rows));
      },
      async savePermissionRequests(rows) {
        isWritten = true;
        apply(rows.map(toApprovalChange));
        await upsertPermissionRequests(tx, revised(rows));
      },
      async saveSubject(row) {
        isWritten = true;
        apply([{ kind: 'subject.saved', subject: toSubject(row) }]);
        await upsertSubject(tx, { ...row, revision }, principal.subject);
      },
      async storeAssignments() {
        if (unstoredBefore !== undefined) isWritten = true;
        await store();
      },
      tell: (...events) => void traces.events.push(...events),
      note: (entry) => void traces.audit.push(entry),
      schedule: (job) => void traces.jobs.push(job),
    };
    return {
      work,
      undo() {
        if (isWritten) return false;
        ({ snapshot, isChanged } = before);
        unstored = unstoredBefore ?? unstored;
        return true;
      },
    };
  }

  return {
    tenantId,
    revision,
    get snapshot() {
      return snapshot;
    },
    get isChanged() {
      return isChanged;
    },
    readRoles,
    openWork,
    store,
  };
}

function isOver({ status }: RoleAssignmentRow): boolean {
  return status === 'revoked' || status === 'expired';
}
