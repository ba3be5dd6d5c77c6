/**
 * `PERF_CPU_PROFILE=<folder>`: the measured server writes a V8 CPU profile there as it stops. Its figures are then a
 * little worse than without.
 */
export function profilingEnvironment(): Readonly<Record<string, string>> {
  // biome-ignore lint/suspicious/noUndeclaredEnvVars: a switch for one's own hand, no input of a cached task
  const folder = process.env['PERF_CPU_PROFILE'];
  return folder === undefined ? {} : { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${folder} --cpu-prof-interval=500` };
}
