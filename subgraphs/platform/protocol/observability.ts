import type { ProtocolCodec, ProtocolDocument } from '#shared/codec.ts';
import { eventColumns, toEventRow } from '#shared/eventSource.ts';
import type { Sql } from '#shared/sql.ts';
import { idOf, protocolModules } from '../../../schema/protocol/index.ts';
import { isSubgraphName, type SubgraphName } from '../../names.ts';

const maxEvents = 10_000;

export interface ObservabilityDeps {
  readonly sqlOf: (module: SubgraphName) => Sql;
  readonly codecs: ReadonlyMap<SubgraphName, ProtocolCodec>;
}

/** The frozen observability events of a bundle's objects, oldest first, as their modules' codecs word them. */
export async function readObservabilityEvents(
  { sqlOf, codecs }: ObservabilityDeps,
  tenantId: string,
  bundle: Readonly<Record<string, readonly ProtocolDocument[]>>,
): Promise<ProtocolDocument[]> {
  const found: { readonly at: string; readonly sequence: number; readonly document: ProtocolDocument }[] = [];
  for (const module of protocolModules) {
    const codec = isSubgraphName(module) ? codecs.get(module) : undefined;
    const streamIds = (bundle[module] ?? []).flatMap((document) => idOf(module, document) ?? []);
    if (!codec?.observe || !isSubgraphName(module) || streamIds.length === 0) continue;
    const rows = (await sqlOf(module).unsafe(
      `SELECT ${eventColumns} FROM ${module}.event WHERE tenant_id = $1 AND stream_id = ANY($2::uuid[]) ORDER BY created_at, stream_id, sequence LIMIT ${maxEvents}`,
      [tenantId, streamIds],
      { prepare: true },
    )) as unknown as Parameters<typeof toEventRow>[1][];
    for (const row of rows) {
      const event = toEventRow(module, row);
      for (const document of codec.observe(event))
        found.push({ at: event.createdAt, sequence: event.sequence, document });
    }
  }
  return found
    .sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : a.sequence - b.sequence))
    .map((entry) => entry.document);
}
