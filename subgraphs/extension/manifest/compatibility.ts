import semver from 'semver';
import { subgraphNames } from '../../names.ts';
import type { Manifest, ManifestMethod } from './manifest.ts';
import { findNarrowing } from './schemaComparison.ts';

export const protocolVersion = '1.0.0';

/** What publishers call the platforms and architectures that Node names. */
const platformNames: Readonly<Record<string, readonly string[]>> = {
  linux: ['linux'],
  darwin: ['darwin', 'macos', 'osx'],
  win32: ['win32', 'windows'],
};
const architectureNames: Readonly<Record<string, readonly string[]>> = {
  x64: ['x64', 'x86_64', 'amd64'],
  arm64: ['arm64', 'aarch64'],
  ia32: ['ia32', 'x86', 'i386', 'i686'],
};

/** Optional modules that a tenant has not: those that are none, and those that its manifest disables. */
export const missingOptional = (
  { compatibility }: Pick<Manifest, 'compatibility'>,
  closed: ReadonlySet<string>,
): readonly string[] =>
  compatibility.optional_modules.filter((name) => closed.has(name) || !subgraphNames.some((known) => known === name));

/** Why a release cannot run on this platform; null when it can. */
export function incompatibilityOf({ runtime_requirements, compatibility, dependencies }: Manifest): string | null {
  const node = runtime_requirements?.node_version;
  if (node !== undefined && !semver.satisfies(process.versions.node, node))
    return `it needs node ${node}, here is ${process.versions.node}`;
  for (const range of [runtime_requirements?.mplp_version, compatibility.mplp_version])
    if (range !== undefined && !semver.satisfies(protocolVersion, range))
      return `it needs MPLP ${range}, here is ${protocolVersion}`;
  for (const [what, names, here] of [
    ['platform', runtime_requirements?.platform, platformNames[process.platform] ?? [process.platform]],
    ['architecture', runtime_requirements?.architecture, architectureNames[process.arch] ?? [process.arch]],
  ] as const)
    if (names !== undefined && names.length > 0 && !names.some((name) => here.includes(name.toLowerCase())))
      return `it needs the ${what} ${names.join(' or ')}, here is ${here[0]}`;
  const lacking = compatibility.required_modules.find((name) => !subgraphNames.some((known) => known === name));
  if (lacking !== undefined) return `it needs the module ${lacking}`;
  for (const { name, version, type, optional } of dependencies) {
    if (type !== 'runtime' || optional) continue;
    const here = name === 'node' ? process.versions.node : name === 'mplp' ? protocolVersion : null;
    if (here === null || !semver.satisfies(here, version))
      return `it needs ${name} ${version}, here is ${here ?? 'none'}`;
  }
  return null;
}

/**
 * What callers of one release would miss in another: methods that are gone, inputs that were taken and may be refused,
 * results that may be what none was.
 */
export function breakingChanges(before: Manifest, after: Manifest): readonly string[] {
  const methodsOf = (manifest: Manifest) =>
    new Map(
      manifest.capabilities.flatMap(({ name, interfaces }) =>
        interfaces.flatMap(({ methods }) =>
          methods.map((method) => [`${name}.${method.method_name}`, method] as const),
        ),
      ),
    );
  const next = methodsOf(after);
  return [...methodsOf(before)].flatMap(([name, method]) => {
    const other = next.get(name);
    return other === undefined ? [`${name} is gone`] : narrowed(name, method, other);
  });
}

function narrowed(name: string, before: ManifestMethod, after: ManifestMethod): readonly string[] {
  const required = (schema: Readonly<Record<string, unknown>> | null | undefined): readonly string[] =>
    Array.isArray(schema?.['required']) ? schema['required'].map(String) : [];
  const asked = required(after.input_schema).filter((one) => !required(before.input_schema).includes(one));
  const lost = required(before.output_schema).filter((one) => !required(after.output_schema).includes(one));
  // What is asked for and lost by name says more than that `required` differs.
  const narrower = asked.length > 0 ? null : findNarrowing(before.input_schema, after.input_schema);
  const wider = lost.length > 0 ? null : findNarrowing(after.output_schema, before.output_schema);
  return [
    ...asked.map((one) => `${name} asks for ${one}`),
    ...lost.map((one) => `${name} need not answer ${one} any more`),
    ...(narrower === null ? [] : [`${name} takes less (${narrower})`]),
    ...(wider === null ? [] : [`${name} may answer something else (${wider})`]),
    ...(before.pure && !after.pure ? [`${name} is no longer pure`] : []),
  ];
}
