import { PlatformError } from '#shared/errors.ts';

/** What a file of either format says of a network. */
export interface ReadTopology {
  readonly name: string | null;
  readonly nodes: readonly ReadNode[];
  readonly links: readonly ReadLink[];
  readonly demands: readonly ReadDemand[];
  /** Links from a node to itself that were passed over. */
  readonly loops: number;
}

export interface ReadNode {
  /** Its id in the file. */
  readonly key: string;
  readonly label: string;
  readonly place: { readonly lat: number; readonly lon: number } | null;
}

export interface ReadLink {
  /** Places in the list of nodes. */
  readonly source: number;
  readonly target: number;
  readonly isTwoWay: boolean;
  readonly capacityMbps: number | null;
  readonly costPerGb: number | null;
}

export interface ReadDemand {
  readonly source: number;
  readonly target: number;
  readonly mbps: number;
}

export const maxReadNodes = 10_000;
export const maxReadLinks = 100_000;
export const maxReadDemands = 100_000;
/** Bytes of a file at most. */
export const maxFileBytes = 8_388_608;

/** @throws {LIMIT_EXCEEDED} for a file that is too long. */
export function requireFileSize(text: string): void {
  const bytes = Buffer.byteLength(text);
  if (bytes > maxFileBytes) throw limitExceeded(`expected at most ${maxFileBytes} bytes, got ${bytes}`);
}

export function limitExceeded(message: string): PlatformError {
  return new PlatformError('LIMIT_EXCEEDED', message, { path: ['input', 'text'] });
}

export function malformed(message: string): PlatformError {
  return new PlatformError('MALFORMED_TOPOLOGY', message, { path: ['input', 'text'] });
}

/** Collects nodes and finds them again by their id. */
export function createNodeIndex() {
  const places = new Map<string, number>();
  return {
    /** @throws {DUPLICATE_NODE} {LIMIT_EXCEEDED} */
    add(key: string): void {
      if (places.has(key))
        throw new PlatformError('DUPLICATE_NODE', `two nodes have the id ${shown(key)}`, { path: ['input', 'text'] });
      if (places.size >= maxReadNodes) throw limitExceeded(`expected at most ${maxReadNodes} nodes`);
      places.set(key, places.size);
    },
    /** @throws {DANGLING_LINK} */
    require(key: string, what: string): number {
      const place = places.get(key);
      if (place !== undefined) return place;
      throw new PlatformError('DANGLING_LINK', `${what} names a node ${shown(key)} that is not there`, {
        path: ['input', 'text'],
      });
    },
  };
}

/** @throws {SHAPE_MISMATCH} for a link from a node to itself. */
export function requireTwoEnds(source: number, target: number, what: string): void {
  if (source === target)
    throw new PlatformError('SHAPE_MISMATCH', `${what} leads from a node to itself`, { path: ['input', 'text'] });
}

/** Coordinates on the globe, or none where one is missing. @throws {MALFORMED_TOPOLOGY} for others. */
export function readPlace(lat: unknown, lon: unknown, what: string): ReadNode['place'] {
  if (lat === undefined || lon === undefined) return null;
  if (typeof lat !== 'number' || typeof lon !== 'number' || !(Math.abs(lat) <= 90) || !(Math.abs(lon) <= 180))
    throw malformed(`${what}: expected a latitude within 90 and a longitude within 180 degrees`);
  return { lat, lon };
}

function shown(key: string): string {
  return JSON.stringify(key.slice(0, 60));
}
