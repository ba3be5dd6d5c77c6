import { PlatformError } from '#shared/errors.ts';
import { withDescendants } from '../composites.ts';
import { toDependency, toStep } from '../network.ts';
import type { Network } from '../networkChange.ts';
import { patchStep } from '../stepPatch.ts';
import type { PlanChange } from './inputs.ts';

const maxSteps = 10_000;

/**
 * A network with a change made: removed first, then changed, then added. Rows left alone stay the same objects.
 * @throws {NOT_FOUND} {CONFLICT} {VALIDATION_FAILED}
 */
export function changeByContribution(
  { steps, dependencies }: Network,
  change: PlanChange,
  of: { readonly tenantId: string; readonly planId: string },
): Network {
  requireKnown(steps, change.removeStepIds, 'removeStepIds');
  requireKnown(dependencies, change.removeDependencyIds, 'removeDependencyIds');
  requireUnknown(steps, change.addSteps, 'addSteps');
  requireUnknown(dependencies, change.addDependencies, 'addDependencies');
  const gone = withDescendants(steps, change.removeStepIds);
  const goneLinks = new Set(change.removeDependencyIds);
  const patches = new Map(change.updateSteps.map(({ stepId, patch }) => [stepId, patch]));
  const kept = steps.filter(({ id }) => !gone.has(id));
  requireKnown(
    kept,
    change.updateSteps.map(({ stepId }) => stepId),
    'updateSteps',
  );
  const place = (steps.at(-1)?.place ?? -1) + 1;
  const next = (dependencies.at(-1)?.place ?? -1) + 1;
  const changed = [
    ...kept.map((step) => (patches.has(step.id) ? patchStep(step, patches.get(step.id)!) : step)),
    ...change.addSteps.map((step, at) => toStep(step, { ...of, place: place + at })),
  ];
  if (changed.length < 1 || changed.length > maxSteps)
    throw new PlatformError('VALIDATION_FAILED', `expected 1 to ${maxSteps} steps, got ${changed.length}`, {
      path: ['change'],
    });
  return {
    steps: changed,
    dependencies: [
      ...dependencies.filter(
        ({ id, sourceId, targetId }) => !goneLinks.has(id) && !gone.has(sourceId) && !gone.has(targetId),
      ),
      ...change.addDependencies.map((link, at) => toDependency(link, { ...of, place: next + at })),
    ],
  };
}

function requireKnown(rows: readonly { readonly id: string }[], ids: readonly string[], field: string): void {
  const known = new Set(rows.map(({ id }) => id));
  const missing = ids.find((id) => !known.has(id));
  if (missing !== undefined)
    throw new PlatformError('NOT_FOUND', `${field}: ${missing} is not in this plan`, { path: ['change', field] });
}

function requireUnknown(
  rows: readonly { readonly id: string }[],
  added: readonly { readonly id: string }[],
  field: string,
): void {
  const known = new Set(rows.map(({ id }) => id));
  const taken = added.find(({ id }) => known.has(id));
  if (taken)
    throw new PlatformError('CONFLICT', `${field}: ${taken.id} is in this plan already`, { path: ['change', field] });
}
