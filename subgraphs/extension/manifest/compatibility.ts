import semver from 'semver';
import { subgraphNames } from '../../names.ts';
import type { Manifest, ManifestMethod } from './manifest.ts';

export const protocolVersion = '1.0.0';

/** Why a release cannot run on this platform; null when it can. */
export function incompatibilityOf({ runtime_requirements, compatibility, dependencies }: Manifest): string | null {
  const node = runtime_requirements?.node_version;
  if (node !== undefined && !semver.satisfies(process.versions.node, node))
    return `it needs node ${node}, here is ${process.versions.node}`;
  for (const range of [runtime_requirements?.mplp_version, compatibility.mplp_version])
    if (range !== undefined && !semver.satisfies(protocolVersion, range))
      return `it needs MPLP ${range}, here is ${protocolVersion}`;
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

/** What callers of one release would miss in another: methods that are gone, inputs that are refused, results without a part. */
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
  const types = [before.input_schema?.['type'], after.input_schema?.['type']];
  return [
    ...asked.map((one) => `${name} asks for ${one}`),
    ...lost.map((one) => `${name} need not answer ${one} any more`),
    ...(types[1] !== undefined && types[0] !== types[1] ? [`${name} takes ${String(types[1])} alone`] : []),
    ...(before.pure && !after.pure ? [`${name} is no longer pure`] : []),
  ];
}
