/** What the frozen form says of an object's governance, as the API tells it. */
export interface GovernanceShape {
  readonly lifecyclePhase: string | null;
  readonly truthDomain: string | null;
  readonly locked: boolean;
  readonly lastConfirmId: string | null;
  readonly lastConfirmReason: string | null;
}

/** @param governance the frozen form's, whose keys are camelCase. */
export function shapeGovernance(governance: Readonly<Record<string, unknown>> | null): GovernanceShape | null {
  if (governance === null) return null;
  const { lifecyclePhase, truthDomain, locked, lastConfirmRef } = governance;
  const text = (value: unknown) => (typeof value === 'string' ? value : null);
  const last = (lastConfirmRef ?? {}) as { readonly id?: unknown; readonly description?: unknown };
  return {
    lifecyclePhase: text(lifecyclePhase),
    truthDomain: text(truthDomain),
    locked: locked === true,
    lastConfirmId: text(last.id),
    lastConfirmReason: text(last.description),
  };
}
