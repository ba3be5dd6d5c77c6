import {
  createNodeIndex,
  limitExceeded,
  malformed,
  maxReadLinks,
  type ReadLink,
  type ReadNode,
  type ReadTopology,
  readPlace,
  requireFileSize,
} from './topology.ts';

type GmlValue = number | string | GmlList;
type GmlList = readonly (readonly [key: string, value: GmlValue])[];

/** Lists in lists at most. */
const maxDepth = 16;

/**
 * Reads GML (Himsolt 1997) as the Topology Zoo writes it: nodes by their numbers, places by Latitude and Longitude, speeds
 * of links by LinkSpeedRaw (bit/s). Everything else is passed over. A link leads both ways unless the graph says
 * `directed 1`; one from a node to itself, as some of these networks have, carries nothing and is counted only.
 * @throws {MALFORMED_TOPOLOGY} {DUPLICATE_NODE} {DANGLING_LINK} {SHAPE_MISMATCH} {LIMIT_EXCEEDED}
 */
export function readGml(text: string): ReadTopology {
  requireFileSize(text);
  const graphs = parseGml(text).filter(([key]) => key.toLowerCase() === 'graph');
  const graph = graphs[0]?.[1];
  if (graphs.length !== 1 || !isList(graph)) throw malformed(`expected one graph, got ${graphs.length}`);
  const directed = findValue(graph, 'directed');
  const index = createNodeIndex();
  const nodes: ReadNode[] = [];
  for (const [key, value] of graph) {
    if (key !== 'node') continue;
    if (!isList(value)) throw malformed('node: expected a list');
    const id = findValue(value, 'id');
    if (typeof id !== 'number' || !Number.isInteger(id)) throw malformed('node: expected a whole number as its id');
    index.add(String(id));
    const label = findValue(value, 'label');
    const place = readPlace(findValue(value, 'Latitude'), findValue(value, 'Longitude'), `node ${id}`);
    nodes.push({ key: String(id), label: String(label ?? id), place });
  }
  const links: ReadLink[] = [];
  let loops = 0;
  for (const [key, value] of graph) {
    if (key !== 'edge') continue;
    if (!isList(value)) throw malformed('edge: expected a list');
    if (links.length >= maxReadLinks) throw limitExceeded(`expected at most ${maxReadLinks} links`);
    const what = `edge ${links.length + loops + 1}`;
    const [source, target] = ['source', 'target'].map((end) => {
      const id = findValue(value, end);
      if (typeof id !== 'number') throw malformed(`${what}: expected the number of a node as its ${end}`);
      return index.require(String(id), what);
    }) as [number, number];
    if (source === target) {
      loops += 1;
      continue;
    }
    const speed = findValue(value, 'LinkSpeedRaw');
    links.push({
      ...{ source, target, isTwoWay: directed !== 1, costPerGb: null },
      capacityMbps: typeof speed === 'number' && speed > 0 ? speed / 1e6 : null,
    });
  }
  if (nodes.length === 0) throw malformed('expected at least one node');
  const name = findValue(graph, 'Network') ?? findValue(graph, 'label');
  return { name: typeof name === 'string' && name !== '' ? name : null, nodes, links, demands: [], loops };
}

function isList(value: unknown): value is GmlList {
  return Array.isArray(value);
}

function findValue(list: GmlList, key: string): GmlValue | undefined {
  return list.find(([own]) => own === key)?.[1];
}

const token = /\s+|#[^\n]*|(\[)|(\])|"([^"]*)"|([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?![\w.])|([A-Za-z]\w*)/y;

/** Keys with numbers, texts or lists. @throws {MALFORMED_TOPOLOGY} naming the line */
function parseGml(text: string): GmlList {
  const root: [string, GmlValue][] = [];
  const open: [string, GmlValue][][] = [root];
  let key: string | null = null;
  token.lastIndex = 0;
  let at = 0;
  const fail = (message: string) => malformed(`line ${text.slice(0, at).split('\n').length}: ${message}`);
  while (at < text.length) {
    token.lastIndex = at;
    const found = token.exec(text);
    if (found === null) throw fail(`unexpected ${JSON.stringify(text.slice(at, at + 20))}`);
    const [, begin, end, quoted, number, word] = found;
    const list = open.at(-1)!;
    if (begin !== undefined) {
      if (key === null) throw fail('a list without a key');
      if (open.length > maxDepth) throw fail(`expected at most ${maxDepth} lists in each other`);
      const inner: [string, GmlValue][] = [];
      list.push([key, inner]);
      open.push(inner);
      key = null;
    } else if (end !== undefined) {
      if (key !== null || open.length === 1) throw fail('unexpected ]');
      open.pop();
    } else if (quoted !== undefined || number !== undefined) {
      if (key === null) throw fail('a value without a key');
      list.push([key, quoted === undefined ? Number(number) : decodeText(quoted)]);
      key = null;
    } else if (word !== undefined) {
      if (key !== null) throw fail(`expected a value for ${key}`);
      key = word;
    }
    at = token.lastIndex;
  }
  if (key !== null || open.length > 1) throw fail('the text ends in the middle');
  return root;
}

/** GML is ASCII: other characters are entities. */
function decodeText(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|(amp|lt|gt|quot|apos));/g, (whole, code: string | undefined, name: string) => {
    if (code === undefined) return { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }[name] ?? whole;
    const point = Number(code);
    const isStorable = point > 0 && point <= 0x10_ff_ff && !(point >= 0xd8_00 && point <= 0xdf_ff);
    return isStorable ? String.fromCodePoint(point) : whole;
  });
}
