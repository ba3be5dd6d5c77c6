import semver from 'semver';
import type { Engine } from './engine.ts';
import type { Dependencies } from './registry/dependencies.ts';
import { requirementsOf } from './registry/dependencies.ts';
import type { ExtensionRow } from './rows.ts';

export interface DependencyGraph {
  readonly extensionId: string;
  readonly nodes: readonly {
    readonly name: string;
    readonly extensionId: string | null;
    readonly version: string | null;
    readonly runtimeState: string | null;
  }[];
  readonly edges: readonly {
    readonly from: string;
    readonly to: string;
    readonly range: string;
    readonly optional: boolean;
    readonly satisfied: boolean;
  }[];
  readonly loadOrder: readonly string[];
  readonly cycles: readonly (readonly string[])[];
  readonly conflict: string | null;
}

/** What an extension needs, directly or not, and whether it could start. */
export async function readDependencyGraph(
  { engine, dependencies }: { readonly engine: Engine; readonly dependencies: Dependencies },
  extension: ExtensionRow,
): Promise<DependencyGraph> {
  if (extension.currentReleaseId === null)
    return {
      extensionId: extension.id,
      nodes: [
        {
          name: extension.name,
          extensionId: extension.id,
          version: extension.version,
          runtimeState: extension.runtimeState.toUpperCase(),
        },
      ],
      edges: [],
      loadOrder: [extension.id],
      cycles: [],
      conflict: null,
    };
  const release = await engine.runnable(extension.tenantId, extension.currentReleaseId);
  const { resolution, known } = await dependencies.resolve(extension, release);
  const chosen = new Map(resolution.ok ? resolution.order.map((one) => [one.name, one]) : []);
  const shown = new Map<
    string,
    {
      extensionId: string | null;
      version: string | null;
      runtimeState: string | null;
      requires: ReturnType<typeof requirementsOf>;
    }
  >();
  shown.set(extension.name, {
    extensionId: extension.id,
    version: release.version,
    runtimeState: extension.runtimeState,
    requires: requirementsOf(release.manifest),
  });
  const open = [...shown.get(extension.name)!.requires.map(({ name }) => name)];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (shown.has(name)) continue;
    const candidates = known.get(name) ?? [];
    const picked =
      candidates.find(({ releaseId }) => releaseId === chosen.get(name)?.releaseId) ??
      candidates.find(({ isCurrent }) => isCurrent) ??
      null;
    shown.set(name, {
      extensionId: picked?.extensionId ?? null,
      version: picked?.version ?? null,
      runtimeState: picked?.runtimeState ?? null,
      requires: picked?.requires ?? [],
    });
    open.push(...(picked?.requires ?? []).map((one) => one.name));
  }
  return {
    extensionId: extension.id,
    nodes: [...shown].map(([name, { requires: _requires, runtimeState, ...node }]) => ({
      name,
      ...node,
      runtimeState: runtimeState?.toUpperCase() ?? null,
    })),
    edges: [...shown].flatMap(([from, { requires }]) =>
      requires.map(({ name: to, range, optional }) => {
        const version = shown.get(to)?.version ?? null;
        return { from, to, range, optional, satisfied: version !== null && semver.satisfies(version, range) };
      }),
    ),
    loadOrder: resolution.ok ? resolution.order.map(({ extensionId }) => extensionId) : [],
    cycles: !resolution.ok && resolution.kind === 'cycle' ? [resolution.names] : [],
    conflict: resolution.ok
      ? null
      : resolution.kind === 'cycle'
        ? `the extensions need each other: ${resolution.names.join(' -> ')}`
        : resolution.message,
  };
}
