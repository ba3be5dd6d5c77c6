/** Database column, name in the row, type in a JSON record set. */
export type ColumnSpec<Row> = readonly [column: string, name: keyof Row & string, type: string];

export interface RecordShape<Row> {
  /** Select list that yields rows, or of them only the properties named. */
  select(alias: string, only?: ReadonlySet<keyof Row & string>): string;
  /** Column list of an insert. */
  readonly names: string;
  /** The same columns of a record set or another alias. */
  from(alias: string): string;
  /** `x(column type, ...)` for json_to_recordset; `ord int` is added. */
  readonly recordset: string;
  /** `column = EXCLUDED.column` for all but the first `keys` columns. */
  assignments(keys: number): string;
  toRecord(row: Row, ord: number): Record<string, unknown>;
}

/** ISO text straight from the database: the row goes into events and answers without a Date in between. */
export function isoText(expression: string): string {
  return `to_char(${expression} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
}

/** One table's columns, written once for reading, writing and the JSON in between. */
export function defineRecord<Row>(columns: readonly ColumnSpec<Row>[]): RecordShape<Row> {
  return {
    select: (alias, only) =>
      columns
        .filter(([, name]) => only?.has(name) ?? true)
        .map(
          ([column, name, type]) =>
            `${type === 'timestamptz' ? isoText(`${alias}.${column}`) : `${alias}.${column}`} AS "${name}"`,
        )
        .join(', '),
    names: columns.map(([column]) => column).join(', '),
    from: (alias) => columns.map(([column]) => `${alias}.${column}`).join(', '),
    recordset: `${columns.map(([column, , type]) => `${column} ${type}`).join(', ')}, ord int`,
    assignments: (keys) =>
      columns
        .slice(keys)
        .map(([column]) => `${column} = EXCLUDED.${column}`)
        .join(', '),
    toRecord(row, ord) {
      const record: Record<string, unknown> = { ord };
      for (const [column, name] of columns) record[column] = row[name];
      return record;
    },
  };
}
