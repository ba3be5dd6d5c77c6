import { createRequire, Module } from 'node:module';

/**
 * What @apollo/gateway reports to its vendor with, if it is let: packages that it loads at once and, since we never let
 * it, never calls. Loading them is a twentieth of a start.
 */
const unused = [
  '@opentelemetry/sdk-metrics',
  '@opentelemetry/exporter-metrics-otlp-http',
  '@opentelemetry/resources',
  '@opentelemetry/resource-detector-alibaba-cloud',
  '@opentelemetry/resource-detector-aws',
  '@opentelemetry/resource-detector-azure',
  '@opentelemetry/resource-detector-gcp',
];

// The gateway would start an exporter of its own otherwise.
process.env['APOLLO_TELEMETRY_DISABLED'] = 'true';
const require = createRequire(createRequire(import.meta.url).resolve('@apollo/gateway'));
for (const name of unused) {
  const file = require.resolve(name);
  // Whoever has loaded the real one keeps it.
  if (require.cache[file]) continue;
  const empty = new Module(file);
  empty.loaded = true;
  require.cache[file] = empty;
}
