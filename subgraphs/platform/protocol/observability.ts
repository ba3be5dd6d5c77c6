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

interface ObservedBundle {
  readonly contextId: string;
  readonly bundle: Readonly<Record<string, readonly ProtocolDocument[]>>;
}

/** The frozen observability events of a bundle's objects, and what else the context has, oldest first, as the modules' codecs word them. */
export async function readObservabilityEvents(
  { sqlOf, codecs }: ObservabilityDeps,
  tenantId: string,
  { contextId, bundle }: ObservedBundle,
): Promise<ProtocolDocument[]> {
  const found: { readonly at: string; readonly sequence: number; readonly document: ProtocolDocument }[] = [];
  for (const module of protocolModules) {
    const codec = isSubgraphName(module) ? codecs.get(module) : undefined;
    if (!codec?.observe || !isSubgraphName(module)) continue;
    const streamIds = [
      ...(bundle[module] ?? []).flatMap((document) => idOf(module, document) ?? []),
      ...((await codec.observedIn?.(sqlOf(module), tenantId, contextId)) ?? []),
    ];
    if (streamIds.length === 0) continue;
    const rows = (await sqlOf(module).unsafe(
      `SELECT ${eventColumns} FROM ${module}.event WHERE tenant_id = $1 AND stream_id = ANY($2::uuid[]) AND ($3::text[] IS NULL OR type = ANY($3::text[])) ORDER BY created_at, stream_id, sequence LIMIT ${maxEvents}`,
      [tenantId, streamIds, (codec.observes ?? null) as never],
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
