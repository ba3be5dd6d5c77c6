import { PlatformError } from '#shared/errors.ts';
import { parseJson } from '#shared/json.ts';
import { type ImportLine, maxLineBytes } from './lines.ts';

/** Cells of a record; null where the form has a null of its own. */
type Cells = readonly (string | null)[];

/** Takes a text apart that comes in pieces. */
interface Splitter {
  /** Records that the piece ends. */
  push(piece: string): Cells[];
  /** The last record, where no line end follows it. */
  end(): Cells | null;
  /** Characters of the record under way. */
  readonly pending: number;
}

/** CSV (RFC 4180): quoted fields hold anything, a quote in them is doubled; lines end in CRLF or LF. */
function createCsvSplitter(): Splitter {
  let cells: string[] = [];
  let cell = '';
  let [quoted, afterQuote, begun] = [false, false, false];
  const endCell = () => {
    cells.push(cell);
    cell = '';
    afterQuote = false;
  };
  const endRecord = (): Cells => {
    endCell();
    const record = cells;
    cells = [];
    begun = false;
    return record;
  };
  return {
    push(piece) {
      const records: Cells[] = [];
      for (const character of piece) {
        begun = true;
        if (quoted) {
          if (character === '"') [quoted, afterQuote] = [false, true];
          else cell += character;
        } else if (character === '"' && (afterQuote || cell === '')) {
          if (afterQuote) cell += '"';
          [quoted, afterQuote] = [true, false];
        } else if (character === ',') endCell();
        else if (character === '\n') records.push(endRecord());
        // The first half of a line end; elsewhere it would have to be quoted.
        else if (character !== '\r') cell += character;
      }
      return records;
    },
    end: () => (begun ? endRecord() : null),
    get pending() {
      return cell.length + cells.reduce((sum, { length }) => sum + length, 0);
    },
  };
}

const copyEscapes: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };

/** COPY's text form: tabs between, `\\N` is null, what would be taken for something else is escaped. */
function createCopySplitter(): Splitter {
  let rest = '';
  const read = (line: string): Cells =>
    line
      .split('\t')
      .map((cell) =>
        cell === '\\N' ? null : cell.replace(/\\(.)/g, (_all, letter: string) => copyEscapes[letter] ?? letter),
      );
  return {
    push(piece) {
      const lines = (rest + piece).split('\n');
      rest = lines.pop()!;
      return lines.map((line) => read(line));
    },
    end() {
      const last = rest;
      rest = '';
      return last === '' ? null : read(last);
    },
    get pending() {
      return rest.length;
    },
  };
}

export type TableFormat = 'csv' | 'copy';

/**
 * Records of a table as they arrive, its first line naming the fields. An empty cell of CSV and a null of COPY leave the
 * field out; fields of `jsonFields` hold JSON.
 * @throws {BAD_REQUEST} where the text is not UTF-8 or has no names, {BODY_TOO_LARGE} where a record is over 1 MiB
 */
export async function* readTable(
  chunks: AsyncIterable<Buffer>,
  format: TableFormat,
  jsonFields: ReadonlySet<string>,
): AsyncGenerator<ImportLine> {
  const splitter = format === 'csv' ? createCsvSplitter() : createCopySplitter();
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let names: readonly string[] | null = null;
  let line = 0;

  function read(cells: Cells): ImportLine | null {
    line += 1;
    if (names === null) {
      names = requireNames(cells);
      return null;
    }
    if (cells.length !== names.length) return { line, problem: `expected ${names.length} fields, got ${cells.length}` };
    const value: Record<string, unknown> = {};
    for (const [at, name] of names.entries()) {
      const cell = cells[at]!;
      if (cell === null || (cell === '' && format === 'csv')) continue;
      if (!jsonFields.has(name)) value[name] = cell;
      else
        try {
          value[name] = parseJson(cell);
        } catch {
          return { line, problem: `${name}: expected JSON` };
        }
    }
    return { line, value };
  }

  const decode = (chunk?: Buffer): string => {
    try {
      return chunk === undefined ? decoder.decode() : decoder.decode(chunk, { stream: true });
    } catch (error) {
      throw new PlatformError('BAD_REQUEST', 'the body is not UTF-8', { cause: error });
    }
  };
  for await (const chunk of chunks) {
    for (const cells of splitter.push(decode(chunk))) {
      const found = read(cells);
      if (found !== null) yield found;
    }
    if (splitter.pending > maxLineBytes)
      throw new PlatformError('BODY_TOO_LARGE', `expected at most ${maxLineBytes} characters in a record`);
  }
  decode();
  const last = splitter.end();
  const found = last === null ? null : read(last);
  if (found !== null) yield found;
}

function requireNames(cells: Cells): readonly string[] {
  const names = cells.map((cell) => cell ?? '');
  if (
    names.every((name) => /^[A-Za-z]\w{0,99}$/.test(name) && name !== '__proto__') &&
    new Set(names).size === names.length
  )
    return names;
  throw new PlatformError('BAD_REQUEST', 'expected the names of the fields in the first line, each once');
}
