import { isDeepStrictEqual } from 'node:util';
import { PlatformError } from '#shared/errors.ts';
import { isComposite } from '../composites.ts';
import { findFaults } from '../network.ts';
import type { Network } from '../networkChange.ts';
import type { PlanDependencyRow, PlanStepRow } from '../rows.ts';

interface Touched<Row> {
  readonly id: string;
  /** Null for what was not there. */
  readonly before: Row | null;
  readonly after: Row | null;
}

/** The rows that a change touched, as they were and as it left them: all that its reverse needs. */
export interface Trail {
  readonly steps: readonly Touched<PlanStepRow>[];
  readonly dependencies: readonly Touched<PlanDependencyRow>[];
}

/** Rows left alone are the same objects before and after. */
export function trailOf(before: Network, after: Network): Trail {
  return {
    steps: touchedRows(before.steps, after.steps),
    dependencies: touchedRows(before.dependencies, after.dependencies),
  };
}

function touchedRows<Row extends { readonly id: string }>(before: readonly Row[], after: readonly Row[]) {
  const [was, is] = [byId(before), byId(after)];
  return [...new Set([...was.keys(), ...is.keys()])]
    .filter((id) => was.get(id) !== is.get(id))
    .map((id): Touched<Row> => ({ id, before: was.get(id) ?? null, after: is.get(id) ?? null }));
}

const byId = <Row extends { readonly id: string }>(rows: readonly Row[]) => new Map(rows.map((row) => [row.id, row]));

/** @throws {VERSION_CONFLICT} naming what was changed since, or what has come to hang on it. */
export function undoTrail(network: Network, trail: Trail): Network {
  const changed = [
    ...findChanged(network.steps, trail.steps, toPlannedStep),
    ...findChanged(network.dependencies, trail.dependencies, ({ place: _place, ...dependency }) => dependency),
  ];
  if (changed.length > 0)
    throw new PlatformError('VERSION_CONFLICT', `expected what it touched as it left it, ${changed[0]} is another`, {
      path: ['contributionId'],
      details: { changedIds: changed.slice(0, 20) },
    });
  const undone = {
    steps: restore(network.steps, trail.steps),
    dependencies: restore(network.dependencies, trail.dependencies),
  };
  const [fault] = findFaults(undone.steps, undone.dependencies);
  if (fault)
    throw new PlatformError('VERSION_CONFLICT', `what came later needs it: ${fault.message}`, {
      path: ['contributionId'],
      details: { changedIds: fault.stepIds.slice(0, 20) },
    });
  return undone;
}

/** A step as it is planned; what a composite one rolls up from its sub-tasks is not its own. */
function toPlannedStep(step: PlanStepRow) {
  const { place, status, progress, result, error, retryCount, startedAt, completedAt, durationMs, ...planned } = step;
  return isComposite(step) ? planned : { ...planned, durationMs };
}

function findChanged<Row extends { readonly id: string }>(
  rows: readonly Row[],
  touched: readonly Touched<Row>[],
  compare: (row: Row) => object,
): string[] {
  const now = byId(rows);
  return touched.flatMap(({ id, after }) => {
    const row = now.get(id) ?? null;
    const isSame = row === null || after === null ? row === after : isDeepStrictEqual(compare(row), compare(after));
    return isSame ? [] : [id];
  });
}

/** Rows as they were; what comes back takes its place, or the last where another has it by now. */
function restore<Row extends { readonly id: string; readonly place: number }>(
  rows: readonly Row[],
  touched: readonly Touched<Row>[],
): Row[] {
  const was = new Map(touched.map(({ id, before }) => [id, before]));
  const kept = rows.flatMap((row) => {
    const before = was.get(row.id);
    return before === undefined ? [row] : before === null ? [] : [{ ...before, place: row.place }];
  });
  const places = new Set(kept.map(({ place }) => place));
  let last = Math.max(-1, ...places);
  const there = new Set(rows.map(({ id }) => id));
  const back = touched.flatMap(({ id, before }) => {
    if (before === null || there.has(id)) return [];
    if (!places.has(before.place)) return [before];
    last += 1;
    return [{ ...before, place: last }];
  });
  return [...kept, ...back].sort((one, other) => one.place - other.place);
}
