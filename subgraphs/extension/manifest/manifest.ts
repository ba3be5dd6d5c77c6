import type { z } from 'zod';
import { PlatformError } from '#shared/errors.ts';
import { jsonProblem } from '#shared/validation.ts';
import { pointer } from '../../../schema/protocol/violation.ts';
import { manifestShape, type method } from './shape.ts';
import { unknownKeys, withExtras } from './unknownKeys.ts';

const maxManifestBytes = 262_144;

export type Manifest = z.output<typeof manifestShape>;
export type ManifestMethod = z.output<typeof method>;
export type LifecycleHook = keyof Manifest['lifecycle_hooks'];

/**
 * A manifest as it is published: what it says beside what is known is refused, but for `meta` and what begins with `x-`, which are kept.
 * @throws {MANIFEST_INVALID} with every value that does not fit in `details.issues`.
 */
export function readManifest(raw: unknown, path: readonly string[] = ['input', 'release', 'manifest']): Manifest {
  const problem = jsonProblem(raw, { maxBytes: maxManifestBytes, maxDepth: 24 });
  if (problem !== null) throw invalid(path, [{ path: [], message: problem }]);
  const unknown = unknownKeys(raw);
  const result = manifestShape.safeParse(raw);
  if (!result.success) throw invalid(path, [...result.error.issues, ...unknown]);
  const issues = [...unknown, ...repeats(result.data)];
  if (issues.length > 0) throw invalid(path, issues);
  return withExtras(raw, result.data) as Manifest;
}

/** One that was published once: what was not known then stayed with it. @throws {MANIFEST_INVALID} */
export function requireManifest(stored: unknown, path: readonly string[]): void {
  const result = manifestShape.safeParse(stored);
  if (!result.success) throw invalid(path, result.error.issues);
}

interface Issue {
  readonly path: readonly PropertyKey[];
  readonly message: string;
  readonly keyword?: string;
}

/** Names that stand for two things. */
function repeats(manifest: Manifest): readonly Issue[] {
  const issues: Issue[] = [];
  const once = (names: readonly string[], path: readonly string[]) => {
    const repeated = names.find((name, at) => names.indexOf(name) !== at);
    if (repeated !== undefined) issues.push({ path, message: `${repeated} stands there twice` });
  };
  once(
    manifest.capabilities.map(({ name }) => name),
    ['capabilities'],
  );
  for (const { name, interfaces } of manifest.capabilities)
    once(
      interfaces.flatMap(({ methods }) => methods.map(({ method_name }) => method_name)),
      ['capabilities', name],
    );
  once(
    manifest.dependencies.map(({ name, type }) => `${type} ${name}`),
    ['dependencies'],
  );
  once(
    manifest.hooks.map(({ point, phase }) => `${phase} ${point}`),
    ['hooks'],
  );
  return issues;
}

function invalid(path: readonly string[], issues: readonly Issue[]): PlatformError {
  const shown = issues.slice(0, 20).map(({ path: at, message, keyword }) => ({
    ...{ path: at.map(String), pointer: pointer(at.map(String)), message },
    ...(keyword === undefined ? {} : { keyword, property: String(at.at(-1)) }),
  }));
  const [first] = shown;
  return new PlatformError('MANIFEST_INVALID', `${[...first!.path].join('.') || 'manifest'}: ${first!.message}`, {
    path: [...path, ...first!.path],
    details: { issues: shown },
  });
}

/** All methods that have to be in the bundle: of capabilities, hooks and life cycle. */
export function methodNames(manifest: Manifest): readonly string[] {
  return [
    ...new Set([
      ...manifest.capabilities.flatMap(({ interfaces }) =>
        interfaces.flatMap(({ methods }) => methods.map(({ method_name }) => method_name)),
      ),
      ...manifest.hooks.map(({ method: name }) => name),
      ...Object.values(manifest.lifecycle_hooks).flatMap((hook) => (hook === undefined ? [] : [hook.script])),
    ]),
  ];
}

/** A method of a capability; undefined when it offers none of the name. */
export function findMethod(manifest: Manifest, capabilityName: string, name: string): ManifestMethod | undefined {
  return manifest.capabilities
    .find((one) => one.name === capabilityName)
    ?.interfaces.flatMap(({ methods }) => methods)
    .find(({ method_name }) => method_name === name);
}
