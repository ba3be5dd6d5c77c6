import { newId } from '#shared/ids.ts';
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
export const listensBefore = ({ hooks }: Manifest): readonly { readonly point: string; readonly required: boolean }[] =>
  hooks.filter(({ phase }) => phase === 'before').map(({ point, required }) => ({ point, required }));

export function hooksOf(
  { tenantId, id, contextId }: Pick<ExtensionRow, 'tenantId' | 'id' | 'contextId'>,
  manifest: Manifest,
): readonly ExtensionHookRow[] {
  return manifest.hooks.map(({ point, phase, method, priority }) => ({
    tenantId,
    extensionId: id,
    contextId,
    point,
    phase,
    method,
    priority,
  }));
}
