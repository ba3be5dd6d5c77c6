import { expect, it } from 'vitest';
import { startPlatform } from '../support/platform.ts';

/** The samples of a metric: labels and value as they stand in the text. */
const samplesOf = (text: string, name: string) =>
  [...text.matchAll(new RegExp(`^${name}(?:\\{(.*)\\})? (\\S+)$`, 'gm'))].map(([, labels, value]) => ({
    labels: Object.fromEntries([...(labels ?? '').matchAll(/(\w+)="([^"]*)"/g)].map(([, key, text_]) => [key, text_])),
    value: Number(value),
  }));

it('/metrics offers what the requirements guide names, with its labels, and what it says is so', async () => {
  await using platform = await startPlatform();
  const scrape = async () => await (await fetch(`${platform.url}/metrics`)).text();
  await scrape();
  for (let sent = 0; sent < 5; sent++) await platform.query('{ me { subject } }');
  await platform.query('{ nothing }');
  await fetch(`${platform.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"query":',
  });
  for (let sent = 0; sent < 3; sent++) await fetch(`${platform.url}/live`);
  const text = await scrape();

  const keysOf = (name: string) => [
    ...new Set(samplesOf(text, name).map(({ labels }) => Object.keys(labels).sort().join())),
  ];
  expect(keysOf('api_response_time_count')).toEqual(['endpoint,method,status']);
  expect(keysOf('requests_per_second')).toEqual(['endpoint,service']);
  expect(keysOf('error_rate')).toEqual(['error_type,service,severity']);
  expect(keysOf('cpu_usage_percent')).toEqual(['core,instance']);
  expect(keysOf('memory_usage_bytes')).toEqual(['instance,type']);
  const edges = new Set(samplesOf(text, 'api_response_time_bucket').map(({ labels }) => labels['le']));
  for (const edge of [10, 50, 100, 200, 500, 1_000, 2_000, 5_000]) expect(edges).toContain(String(edge));

  const rates = new Map(samplesOf(text, 'requests_per_second').map(({ labels, value }) => [labels['endpoint'], value]));
  expect(rates.get('/graphql')! / rates.get('/live')!).toBeCloseTo(7 / 3);
  expect(rates.get('/metrics')! / rates.get('/live')!).toBeCloseTo(1 / 3);
  expect(
    samplesOf(text, 'error_rate')
      .map(({ labels, value }) => [labels['error_type'], labels['severity'], value])
      .sort(),
  ).toEqual([
    ['BAD_REQUEST', 'warning', 1],
    ['GRAPHQL_VALIDATION_FAILED', 'warning', 1],
  ]);
});
