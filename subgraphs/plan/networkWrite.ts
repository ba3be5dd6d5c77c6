import { PlatformError } from '#shared/errors.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import { rollUpSteps } from './composites.ts';
import { requireNetwork, summarize } from './network.ts';
import { compareNetworks, type Network, type ToldNetworkChange, tellChange } from './networkChange.ts';
import { type Author, touch } from './planChanges.ts';
import type { PlanRow } from './rows.ts';
import { changeNetwork, findDependencies, findSteps } from './store.ts';

/** @throws {PLAN_NOT_EDITABLE} */
export function requireDraft(plan: PlanRow): void {
  if (plan.status !== 'draft')
    throw new PlatformError('PLAN_NOT_EDITABLE', `expected a draft, the plan is ${plan.status.toUpperCase()}`, {
      path: ['planId'],
    });
}

export async function readNetwork(
  db: Parameters<typeof findSteps>[0],
  { tenantId, id }: Pick<PlanRow, 'tenantId' | 'id'>,
): Promise<Network> {
  const [steps, dependencies] = await Promise.all([
    findSteps(db, tenantId, [id]),
    findDependencies(db, tenantId, [id]),
  ]);
  return { steps, dependencies };
}

/**
 * Writes the network of a draft, checked as a whole; what stays as it was is not touched. The row it answers is still to
 * be written.
 * @throws {CYCLIC_DEPENDENCY} {PLAN_CREATION_FAILED}
 */
export async function writeNetwork(
  tx: SqlTransaction,
  plan: PlanRow,
  { before, after }: { readonly before: Network; readonly after: Network },
  { author, fields = {} }: { readonly author: Author; readonly fields?: Partial<PlanRow> },
): Promise<{ readonly row: PlanRow; readonly network: ToldNetworkChange }> {
  requireNetwork(after.steps, after.dependencies, ['planId']);
  const steps = rollUpSteps(after.steps);
  const row = touch(plan, author, {
    ...fields,
    stepCount: steps.length,
    summary: summarize(fields.definition ?? plan.definition, steps, after.dependencies),
    schedule: null,
  });
  const difference = compareNetworks(before, { steps, dependencies: after.dependencies });
  await changeNetwork(tx, row, difference);
  return { row, network: tellChange(difference) };
}
