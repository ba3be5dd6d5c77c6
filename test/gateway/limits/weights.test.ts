import { readFileSync } from 'node:fs';
import { buildSchema, type GraphQLObjectType } from 'graphql';
import { expect, it } from 'vitest';
import { rootWeights } from '../../../gateway/limits/weights.ts';

const schema = buildSchema(readFileSync(new URL('../../../schema/api.graphql', import.meta.url), 'utf8'));
const fieldsOf = (type: GraphQLObjectType | null | undefined) => Object.values(type?.getFields() ?? {});
const queries = fieldsOf(schema.getQueryType()).map(({ name }) => name);
const mutations = fieldsOf(schema.getMutationType()).map(({ name }) => name);

/** Words that a field which looks at much has in its name. */
const heavyQuery =
  /^(search|discover|verify|analyze|optimization(?!Run)|export|compare|recommend(?!ations)|render|validate(?!Config))|(Analysis|Analytics|Statistics|Aggregation|Forecast|Metrics|Health|Report|Holders|Violations|Anomalies|Paths|Hierarchy|Snapshot)$|^(bottlenecks|anomalies|dependencyGraph)$/;
const heavyMutation =
  /^(optimize|adapt|import|export|erase|verify|replay|analyze|coordinate|detect|bulk|hotReload|rotateEncryption|createReport|executeExtension|ingest)/;

/** Fields of the operations that the performance guide gives 200 ms and more. */
const slowByTheGuide = [
  ...['searchContexts', 'planAnalysis', 'traceAnalysis', 'distributedTrace', 'discoverExtensions', 'networkAnalysis'],
  ...['renderDashboard', 'analyzePerformance', 'optimizationRecommendations', 'optimizePlan', 'executePlan'],
  ...['processEscalations', 'loadExtension', 'executeExtension', 'hotReloadExtension', 'makeDecision'],
  ...[
    'requestRecommendations',
    'createNetwork',
    'optimizeRoutes',
    'executeWorkflow',
    'optimizeSystem',
    'optimizeWorkflow',
  ],
  'decideOrchestration',
];

it('names fields that there are', () => {
  expect(Object.keys(rootWeights).filter((name) => !queries.includes(name) && !mutations.includes(name))).toEqual([]);
});

it('weighs what looks at much by its name', () => {
  const unweighed = [
    ...queries.filter((name) => heavyQuery.test(name) && !(rootWeights[name]! >= 10)),
    ...mutations.filter((name) => heavyMutation.test(name) && !(rootWeights[name]! > 10)),
  ];
  expect(unweighed).toEqual([]);
});

it('weighs what may take long by the guide', () => {
  expect(slowByTheGuide.filter((name) => !(rootWeights[name]! >= (mutations.includes(name) ? 20 : 10)))).toEqual([]);
});

it('weighs nothing less than what a field without a weight costs', () => {
  expect(mutations.filter((name) => rootWeights[name]! < 10)).toEqual([]);
});

it.each([
  ['verifyAuditChain', 'auditEvents'],
  ['performanceReport', 'performanceMetric'],
  ['renderDashboard', 'metricSeries'],
  ['logAggregation', 'metricSeries'],
  ['tracesAnalysis', 'traceAnalysis'],
  ['eraseSubject', 'exportSubject'],
])('%s costs more than %s, of which it does many', (whole, part) => {
  expect(rootWeights[whole]).toBeGreaterThan(rootWeights[part]!);
});
