import { newId } from '#shared/ids.ts';
import { moduleOf } from '../integrations.ts';
import type { Manifest } from '../manifest/manifest.ts';
import type { CapabilityStatusValue, ExtensionCapabilityRow, ExtensionHookRow, ExtensionRow } from '../rows.ts';

/** Capabilities as a manifest declares them; stored ones of the same name keep their ids. */
export function capabilitiesOf(
  { tenantId, id, contextId }: Pick<ExtensionRow, 'tenantId' | 'id' | 'contextId'>,
  manifest: Manifest,
  status: CapabilityStatusValue,
): readonly ExtensionCapabilityRow[] {
  return manifest.capabilities.map(({ name, description, version, type, interfaces }) => ({
    tenantId,
    id: newId(),
    extensionId: id,
    contextId,
    name,
    description: description ?? null,
    version,
    type,
    status,
    interfaces,
  }));
}

/** Points before which the release is to be asked, as the modules they belong to hear of it. */
export const listensBefore = (
  manifest: Manifest,
  extension: Pick<ExtensionRow, 'integrationTargets'>,
): readonly { readonly point: string; readonly required: boolean }[] =>
  heardHooks(manifest, extension)
    .filter(({ phase }) => phase === 'before')
    .map(({ point, required }) => ({ point, required }));

/** Hooks of a release at points of modules that the extension is to work into. */
const heardHooks = ({ hooks }: Manifest, { integrationTargets }: Pick<ExtensionRow, 'integrationTargets'>) =>
  integrationTargets === null
    ? hooks
    : hooks.filter(({ point }) => integrationTargets.some(({ module }) => module === moduleOf(point)));

export function hooksOf(
  extension: Pick<ExtensionRow, 'tenantId' | 'id' | 'contextId' | 'integrationTargets'>,
  manifest: Manifest,
): readonly ExtensionHookRow[] {
  const { tenantId, id, contextId } = extension;
  return heardHooks(manifest, extension).map(({ point, phase, method, priority }) => ({
    tenantId,
    extensionId: id,
    contextId,
    point,
    phase,
    method,
    priority,
  }));
}
