import semver from 'semver';

export interface Requirement {
  readonly name: string;
  readonly range: string;
  readonly optional: boolean;
}

/** A release that may stand for a name. */
export interface Candidate {
  readonly name: string;
  readonly extensionId: string;
  readonly releaseId: string;
  readonly version: string;
  /** What runs stands for its name alone: nothing is changed under those who use it. */
  readonly running: boolean;
  readonly requires: readonly Requirement[];
}

export type Resolution =
  | { readonly ok: true; readonly order: readonly Candidate[] }
  | { readonly ok: false; readonly kind: 'cycle'; readonly names: readonly string[] }
  | { readonly ok: false; readonly kind: 'conflict'; readonly message: string };

const maxSteps = 20_000;

interface Demand extends Requirement {
  readonly by: string;
}

/**
 * Chooses a release for every name that the root needs, directly or not, the highest that all ranges allow, by
 * backtracking; then orders them so that each comes after what it needs (depth first, Tarjan 1976).
 */
export function resolve(root: Candidate, find: (name: string) => readonly Candidate[]): Resolution {
  const chosen = new Map<string, Candidate>([[root.name, root]]);
  let steps = 0;
  let conflict = '';

  const allowed = (name: string, demands: readonly Demand[]): readonly Candidate[] => {
    const all = find(name);
    const pool = all.some(({ running }) => running) ? all.filter(({ running }) => running) : all;
    return pool
      .filter(({ version }) => demands.every(({ range }) => semver.satisfies(version, range)))
      .sort((a, b) => semver.rcompare(a.version, b.version));
  };

  const explain = (name: string, demands: readonly Demand[]): string => {
    const known = find(name).map(({ version, running }) => (running ? `${version} runs` : version));
    const wanted = demands.map(({ by, range }) => `${by} needs ${range}`).join(', ');
    return `${name}: ${wanted}; there is ${known.length === 0 ? 'none' : known.join(', ')}`;
  };

  /** Demands of everything chosen so far, by name. */
  function demandsOn(name: string): readonly Demand[] {
    return [...chosen.values()].flatMap((candidate) =>
      candidate.requires.filter((one) => one.name === name).map((one) => ({ ...one, by: candidate.name })),
    );
  }

  function choose(): boolean {
    steps += 1;
    if (steps > maxSteps) {
      conflict = 'the versions that might fit are too many to try';
      return false;
    }
    for (const name of chosen.keys()) {
      const demands = demandsOn(name);
      const { version } = chosen.get(name)!;
      if (demands.some(({ range }) => !semver.satisfies(version, range))) {
        conflict ||= explain(name, demands);
        return false;
      }
    }
    const open = new Set(
      [...chosen.values()]
        .flatMap(({ requires }) => requires.map(({ name }) => name))
        .filter((name) => !chosen.has(name)),
    );
    for (const name of open) {
      const demands = demandsOn(name);
      const candidates = allowed(name, demands);
      if (candidates.length === 0) {
        // What is merely useful keeps nothing back.
        if (demands.every(({ optional }) => optional)) continue;
        conflict ||= explain(name, demands);
        return false;
      }
      for (const candidate of candidates) {
        chosen.set(name, candidate);
        if (choose()) return true;
        chosen.delete(name);
      }
      if (demands.every(({ optional }) => optional)) continue;
      return false;
    }
    return true;
  }

  if (!choose()) return { ok: false, kind: 'conflict', message: conflict };
  return order(root, chosen);
}

function order(root: Candidate, chosen: ReadonlyMap<string, Candidate>): Resolution {
  const done = new Set<string>();
  const path: string[] = [];
  const sorted: Candidate[] = [];
  let cycle: readonly string[] | null = null;

  function visit(candidate: Candidate): void {
    if (cycle !== null || done.has(candidate.name)) return;
    const at = path.indexOf(candidate.name);
    if (at >= 0) {
      cycle = [...path.slice(at), candidate.name];
      return;
    }
    path.push(candidate.name);
    for (const { name } of candidate.requires) {
      const next = chosen.get(name);
      if (next) visit(next);
    }
    path.pop();
    done.add(candidate.name);
    sorted.push(candidate);
  }

  visit(root);
  return cycle === null ? { ok: true, order: sorted } : { ok: false, kind: 'cycle', names: cycle };
}
