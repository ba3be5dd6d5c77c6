import type { CpuPerOperation, Measurement } from '../measurement.ts';

/** Three significant digits, no exponent. */
export function formatNumber(value: number): string {
  if (value === 0) return '0';
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en-US');
  return String(Number(value.toPrecision(3)));
}

export function formatMs(ms: number | undefined): string {
  return ms === undefined ? '' : formatNumber(ms);
}

export function formatCpu(cpu: CpuPerOperation | undefined): string {
  if (!cpu) return '';
  const part = (name: string, us: number | null): string[] => (us === null ? [] : [`${name} ${formatNumber(us)}`]);
  return [...part('server', cpu.serverUs), ...part('database', cpu.databaseUs), ...part('clients', cpu.clientUs)].join(
    ' · ',
  );
}

export function formatErrors(measurement: Measurement): string {
  return Object.entries(measurement.errors)
    .map(([code, times]) => `${code} ${times}`)
    .join(', ');
}

/** Everything that explains a figure, one sentence each. */
export function notesOf(measurement: Measurement): string[] {
  const { targetPerSecond, achievedPerSecond, clientLag } = measurement;
  const rate = typeof targetPerSecond === 'number' && achievedPerSecond !== undefined;
  const errors = formatErrors(measurement);
  return [
    measurement.load,
    ...(rate ? [`answered ${formatNumber(achievedPerSecond)} of ${formatNumber(targetPerSecond)} a second`] : []),
    ...(clientLag === undefined
      ? []
      : [
          `of each time the clients’ own lateness: p50 ${formatNumber(clientLag.p50Ms)}, p99 ${formatNumber(clientLag.p99Ms)} ms`,
        ]),
    ...(measurement.boundBy === undefined ? [] : [`bound by ${measurement.boundBy}`]),
    ...(measurement.invalid === undefined ? [] : [`clients: ${measurement.invalid}`]),
    ...(errors === '' ? [] : [`errors: ${errors}`]),
    ...(measurement.wrong === 0 ? [] : [`wrong answers: ${measurement.wrong}`]),
    ...(measurement.notes ?? []),
  ];
}
