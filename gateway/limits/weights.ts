/**
 * Cost of root fields that do more than fetch an object: searches, whole documents, algorithms. One unit is about what
 * it takes to fetch one entity; a field that is not here costs 1 as a query and 10 as a mutation or subscription.
 */
export const rootWeights: Readonly<Record<string, number>> = {
  searchContexts: 10,
  searchMessages: 10,
  dialogSummary: 20,
  exportProtocolObject: 10,
  exportProtocolBundle: 100,
  importProtocolObject: 20,
  importProtocolBundle: 100,
  createContexts: 50,
  ingestOtlp: 100,
  optimizePlan: 500,
  planAnalysis: 100,
  comparePlans: 100,
  validatePlan: 20,
  traceAnalysis: 100,
  distributedTrace: 50,
  performanceAnalytics: 50,
  roleHierarchy: 20,
  recommendRoles: 50,
  roleAnalytics: 50,
  processEscalations: 100,
};
