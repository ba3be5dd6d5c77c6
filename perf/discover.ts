import { readdir } from 'node:fs/promises';
import { allRows, type Budgets } from './budgets.ts';
import type { Scenario } from './scenario.ts';

export interface DiscoveredScenario extends Scenario {
  /** Name of the module it stands in. */
  readonly file: string;
}

/**
 * Loads every module directly in the folder that exports `scenarios`.
 * @throws {Error} when one names a row the budgets do not have, or two measure the same row
 */
export async function discoverScenarios(
  budgets: Budgets,
  folder: URL = new URL('./scenarios/', import.meta.url),
): Promise<DiscoveredScenario[]> {
  const known = new Set(allRows(budgets).map((row) => row.id));
  const owner = new Map<string, string>();
  const found: DiscoveredScenario[] = [];
  const files = (await readdir(folder)).filter((name) => name.endsWith('.ts')).sort();
  for (const file of files) {
    const module: { scenarios?: readonly Scenario[] } = await import(new URL(file, folder).href);
    for (const scenario of module.scenarios ?? []) {
      for (const row of scenario.rows) {
        if (!known.has(row)) throw new Error(`${file}: "${scenario.title}" measures ${row}, which is no budget row`);
        const other = owner.get(row);
        if (other !== undefined) throw new Error(`${file}: ${row} is measured by "${other}" and "${scenario.title}"`);
        owner.set(row, scenario.title);
      }
      found.push({ ...scenario, file });
    }
  }
  return found;
}
