import { newId } from '#shared/ids.ts';
import type { BaseEventDocument } from '../../../schema/protocol/index.ts';
import type { ManifestProtocol, ManifestRow } from './rows.ts';

/** Of one manifest at most: the row bears them, and with it all who are told of it. */
const maxTold = 100;

const isOn = ({ status }: ManifestRow['modules'][number]) => status !== 'disabled';

/** What of a change stands among the events of the frozen form. Drafts are edited freely: nothing has happened yet. */
export function happened(before: ManifestRow, after: Pick<ManifestRow, 'status' | 'modules'>): BaseEventDocument[] {
  if (after.status === 'draft') return [];
  const timestamp = new Date().toISOString();
  const told = (type: string, data: Readonly<Record<string, unknown>>): BaseEventDocument => ({
    ...{ event_id: newId(), event_type: type, source: 'core', timestamp, data },
  });
  const initialized = told('protocol.initialized', {
    protocol_version: before.protocolVersion,
    modules: after.modules.filter(isOn).map(({ module_id }) => module_id),
  });
  const modules = after.modules.flatMap((module) => {
    const was = before.modules.find(({ module_id }) => module_id === module.module_id);
    if (was === undefined || isOn(was) === isOn(module)) return [];
    const { module_id, version, status } = module;
    return [told(isOn(module) ? 'module.enabled' : 'module.disabled', { module_id, version, status })];
  });
  return [...(before.status === 'draft' && after.status === 'active' ? [initialized] : []), ...modules];
}

/** The last of them are kept, and the first: how it began. */
export function withTold(
  protocol: ManifestProtocol | null,
  more: readonly BaseEventDocument[],
): ManifestProtocol | null {
  if (more.length === 0) return protocol;
  const told = [...(protocol?.told ?? []), ...more];
  return { ...protocol, told: told.length <= maxTold ? told : [...told.slice(0, 1), ...told.slice(1 - maxTold)] };
}
