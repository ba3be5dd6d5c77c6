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

/** By resource, which all spans of one process share. */
const resourceTexts = new WeakMap<SpanDetail['resource'], string>();

function writeResource(resource: SpanDetail['resource']): string {
  const known = resourceTexts.get(resource);
  if (known !== undefined) return known;
  const text = JSON.stringify(resource);
  resourceTexts.set(resource, text);
  return text;
}

/** JSON of a span's detail, in the order of `StoredDetail`; a resource is written once for all spans that share it. */
export function writeDetail(span: SpanDetail): string {
  const { attributes, resource, events, links, droppedAttributes, droppedEvents, droppedLinks } = span;
  let text = `{"attributes":${JSON.stringify(attributes)},"resource":${writeResource(resource)}`;
  if (events.length > 0) text += `,"events":${JSON.stringify(events)}`;
  if (links.length > 0) text += `,"links":${JSON.stringify(links)}`;
  if (droppedAttributes > 0) text += `,"droppedAttributes":${droppedAttributes}`;
  if (droppedEvents > 0) text += `,"droppedEvents":${droppedEvents}`;
  if (droppedLinks > 0) text += `,"droppedLinks":${droppedLinks}`;
  return `${text}}`;
}
