/**
 * Cost of root fields that do more than fetch an object: searches, whole documents, aggregates, algorithms. One unit is
 * about what it takes to fetch one entity; a field that is not here costs 1 as a query and 10 as a mutation or subscription.
 */
export const rootWeights: Readonly<Record<string, number>> = {
  // Words over an index, or a merge of what several tables hold.
  ...weighing(10, [
    ...['searchContexts', 'searchMessages', 'searchDecisions', 'dialogInbox', 'dialogInboxes', 'networkRoute'],
    ...['discoverServices', 'discoverAgents', 'discoverExtensions', 'traceDecisions', 'traceErrors', 'approvalsInbox'],
    ...['auditEvents', 'auditTrail', 'metricSeries', 'validateSchema', 'validateData', 'exportProtocolObject'],
    ...['decisionTally', 'effectivePermissions', 'permissionAuditLog', 'performanceMetric', 'cacheStats', 'deliveries'],
  ]),
  // Counts over the newest of a tenant, or one object in the light of all that hang on it.
  ...weighing(20, [
    ...['dialogSummary', 'dialogMetrics', 'contextHealth', 'collabMetrics', 'collabHealth', 'extensionMetrics'],
    ...['extensionHealth', 'networkStatistics', 'networkHealth', 'roleHierarchy', 'roleHolders', 'permissionStandings'],
    ...['systemHealth', 'systemStatus', 'resourceUsage', 'metricHistory', 'validatePlan', 'validateWorkflow'],
    ...['metricSnapshot', 'errorStatistics', 'eventMetrics', 'validateBusinessRules', 'checkCompatibility'],
    ...[
      'findAgentsWithCapabilities',
      'traceHealth',
      'importProtocolObject',
      'allocateResourceGang',
      'decideOrchestration',
    ],
  ]),
  // Aggregates over times and tables.
  ...weighing(50, [
    ...[
      'logAggregation',
      'budgetViolations',
      'bottlenecks',
      'contextStatistics',
      'collabStatistics',
      'confirmStatistics',
    ],
    ...['approvalMetrics', 'dependencyGraph', 'permissionHolders', 'traceStatistics', 'anomalies', 'executionTrace'],
    ...[
      'exportTrace',
      'distributedTrace',
      'performanceAnalytics',
      'networkForecast',
      'kShortestPaths',
      'roleAnalytics',
    ],
    ...['recommendRoles', 'createNetwork', 'createContexts', 'executePlan', 'executeWorkflow', 'coordinateModules'],
    ...['generateSummary', 'makeDecision', 'installExtension', 'runExtensionHooks', 'warmCache', 'seekServices'],
  ]),
  // Analyses, code of others, and work that goes on in the background.
  ...weighing(100, [
    ...['renderDashboard', 'performanceReport', 'analyzePerformance', 'optimizationRecommendations', 'profile'],
    ...['applyRecommendation', 'startProfiling', 'planAnalysis', 'comparePlans', 'networkAnalysis', 'traceAnalysis'],
    ...['analyzeTrace', 'exportProtocolBundle', 'importProtocolBundle', 'ingestOtlp', 'processEscalations'],
    ...['verifyDecisions', 'detectConflicts', 'executeExtension', 'loadExtension', 'bulkChangeWorkflows'],
    ...['replayEvents', 'createReport', 'exportAudit'],
  ]),
  ...weighing(200, [
    ...['tracesAnalysis', 'importNetwork', 'coordinateTaskAssignment', 'requestRecommendations', 'hotReloadExtension'],
    ...['adaptPlan', 'optimizeWorkflow', 'exportSubject'],
  ]),
  // Searches of optima, and passes over all that a tenant or a subject has.
  ...weighing(500, ['optimizePlan', 'optimizeRoutes', 'optimizeSystem', 'rotateEncryptionKey', 'eraseSubject']),
  // Reads up to 20,000 blocks of the chain with all their rows.
  verifyAuditChain: 1_000,
};

function weighing(weight: number, fields: readonly string[]): Record<string, number> {
  return Object.fromEntries(fields.map((field) => [field, weight]));
}
