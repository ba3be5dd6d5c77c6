import { loadavg } from 'node:os';

/** A figure that is no budget row. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** The figure must stay below it; absent where none is stated. */
  readonly below?: number;
  /** The figure must reach it; absent where none is stated. */
  readonly atLeast?: number;
  readonly note?: string;
  /** Load average of the last minute at the time. */
  readonly loadAverage: number;
}

export function figure(
  name: string,
  value: number,
  unit: string,
  more: Pick<Figure, 'below' | 'atLeast' | 'note'> = {},
): Figure {
  return { name, value, unit, ...more, loadAverage: Math.round((loadavg()[0] ?? 0) * 100) / 100 };
}

function boundOf({ value, below, atLeast }: Figure): string {
  if (below !== undefined) return `${value < below ? 'holds' : 'missed'} (< ${below})`;
  if (atLeast !== undefined) return `${value >= atLeast ? 'holds' : 'missed'} (>= ${atLeast})`;
  return '';
}

export function figuresMarkdown(figures: readonly Figure[]): string {
  const rows = figures.map((found) => {
    const { name, value, unit, note, loadAverage } = found;
    return `| ${name} | ${value.toFixed(value < 100 ? 1 : 0)} ${unit} | ${boundOf(found)} | ${loadAverage} | ${note ?? ''} |`;
  });
  return ['| figure | measured | bound | load average | |', '| --- | ---: | --- | ---: | --- |', ...rows, ''].join(
    '\n',
  );
}
