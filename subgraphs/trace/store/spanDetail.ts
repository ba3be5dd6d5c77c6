import type { ReportedSpan } from '../otlp/span.ts';

/** What of a span no column holds. */
export type SpanDetail = Pick<
  ReportedSpan,
  'attributes' | 'resource' | 'events' | 'links' | 'droppedAttributes' | 'droppedEvents' | 'droppedLinks'
>;

/** As it is stored: without what most spans have none of. */
export type StoredDetail = Pick<SpanDetail, 'attributes' | 'resource'> & Partial<SpanDetail>;

const nothing = { events: [], links: [], droppedAttributes: 0, droppedEvents: 0, droppedLinks: 0 } as const;

export function readDetail(stored: StoredDetail): SpanDetail {
  return { ...nothing, ...stored };
}

/** JSON of a span's detail. */
export function writeDetail(span: SpanDetail): string {
  const { attributes, resource, events, links, droppedAttributes, droppedEvents, droppedLinks } = span;
  const stored: Record<string, unknown> = { attributes, resource };
  if (events.length > 0) stored['events'] = events;
  if (links.length > 0) stored['links'] = links;
  if (droppedAttributes > 0) stored['droppedAttributes'] = droppedAttributes;
  if (droppedEvents > 0) stored['droppedEvents'] = droppedEvents;
  if (droppedLinks > 0) stored['droppedLinks'] = droppedLinks;
  return JSON.stringify(stored);
}
