import type { ManifestRow } from './rows.ts';

/** Modules without which another cannot work: rights come from roles, and all that is kept lies in contexts. */
const needs: Readonly<Record<string, readonly string[]>> = {
  context: ['core', 'role'],
  role: ['core'],
  plan: ['context', 'core', 'role'],
  confirm: ['context', 'core', 'role'],
  trace: ['context', 'core', 'role'],
  extension: ['context', 'core', 'role'],
  dialog: ['context', 'core', 'role'],
  collab: ['context', 'core', 'role'],
  network: ['context', 'core', 'role'],
  core: [],
};

export interface Lack {
  readonly module: string;
  /** Modules that are on and need it. */
  readonly neededBy: readonly string[];
}

/** Modules that are off though others need them, and those that are off though they are required. */
export function findLacks(modules: ManifestRow['modules']): readonly Lack[] {
  const on = modules.filter(({ status }) => status !== 'disabled').map(({ module_id }) => module_id);
  return modules
    .filter(({ status }) => status === 'disabled')
    .map(({ module_id: module }) => ({ module, neededBy: on.filter((one) => needs[one]?.includes(module)) }))
    .filter(({ neededBy }) => neededBy.length > 0);
}

/** Modules that the manifest closes to its tenant: those of an active one. */
export function disabledIn(manifest: Pick<ManifestRow, 'status' | 'modules'> | null): ReadonlySet<string> {
  if (manifest?.status !== 'active') return new Set();
  return new Set(manifest.modules.filter(({ status }) => status === 'disabled').map(({ module_id }) => module_id));
}
