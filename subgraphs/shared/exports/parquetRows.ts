import { Readable } from 'node:stream';
import { type BasicType, ByteWriter, ParquetWriter, schemaFromColumnData } from 'hyparquet-writer';
import type { DescribedColumn } from './copyStream.ts';

/** Rows of a group: what stands in memory at a time. */
const groupRows = 5_000;
const lineFeed = 0x0a;

interface ParquetColumn {
  readonly name: string;
  readonly type: BasicType;
  read(value: unknown): unknown;
}

const asIs = (value: unknown) => value;
const asText = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value));

/** Types of PostgreSQL by oid; all others, and whatever is JSON, become the text of their JSON. */
const kinds: ReadonlyMap<number, Omit<ParquetColumn, 'name'>> = new Map<number, Omit<ParquetColumn, 'name'>>([
  [16, { type: 'BOOLEAN', read: asIs }],
  [20, { type: 'INT64', read: (value) => BigInt(value as string) }],
  [21, { type: 'INT32', read: asIs }],
  [23, { type: 'INT32', read: asIs }],
  [701, { type: 'DOUBLE', read: asIs }],
  [1184, { type: 'TIMESTAMP', read: (value) => new Date(value as string) }],
]);

const int8 = 20;
export const isWide = ({ typeId }: DescribedColumn): boolean => typeId === int8;

/** Keeps what was written until it is taken; offsets go on counting. */
class ChunkWriter extends ByteWriter {
  take(): Buffer {
    const bytes = Buffer.from(this.getBytes().slice());
    this.index = 0;
    return bytes;
  }
}

/** Lines of NDJSON as objects, in groups. */
async function* groupsOf(lines: AsyncIterable<Buffer>): AsyncGenerator<Record<string, unknown>[]> {
  let rows: Record<string, unknown>[] = [];
  let rest: Buffer[] = [];
  for await (const chunk of lines) {
    let begin = 0;
    for (let end = chunk.indexOf(lineFeed); end >= 0; end = chunk.indexOf(lineFeed, begin)) {
      const line =
        rest.length === 0 ? chunk.subarray(begin, end) : Buffer.concat([...rest, chunk.subarray(begin, end)]);
      rest = [];
      begin = end + 1;
      rows.push(JSON.parse(line.toString('utf8')) as Record<string, unknown>);
      if (rows.length < groupRows) continue;
      yield rows;
      rows = [];
    }
    if (begin < chunk.length) rest.push(chunk.subarray(begin));
  }
  if (rows.length > 0) yield rows;
}

/**
 * Parquet of lines of NDJSON: a row group of 5,000 rows at a time, snappy. 64-bit integers have to come as texts, which
 * JSON numbers would round.
 */
export function createParquet(lines: Readable, described: readonly DescribedColumn[]): Readable {
  const columns = described.map(({ name, typeId }): ParquetColumn => {
    return { name, ...(kinds.get(typeId) ?? { type: 'STRING', read: asText }) };
  });
  const columnData = (rows: readonly Record<string, unknown>[]) =>
    columns.map(({ name, type, read }) => ({
      name,
      type,
      nullable: true,
      data: rows.map((row) => (row[name] === null || row[name] === undefined ? null : read(row[name]))),
    }));

  async function* write(): AsyncGenerator<Buffer> {
    const writer = new ChunkWriter();
    const parquet = new ParquetWriter({
      writer,
      schema: schemaFromColumnData({ columnData: columnData([]) }),
      createdBy: 'mplp-graph',
    });
    for await (const rows of groupsOf(lines as AsyncIterable<Buffer>)) {
      await parquet.write({ columnData: columnData(rows), rowGroupSize: groupRows });
      yield writer.take();
    }
    await parquet.finish();
    yield writer.take();
  }
  return Readable.from(write(), { objectMode: false, highWaterMark: 1 });
}
