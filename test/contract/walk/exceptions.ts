/** Root fields that need no permission, and why. */
export const open: Readonly<Record<string, string>> = {
  logout: 'ends the caller’s own token',
  platform: 'what serves the graph is no secret',
  me: 'says who the caller is',
};
/** Edges that lead nowhere in the seeded world, and why. */
export const emptyEdges: Readonly<Record<string, string>> = {
  'Confirm.resubmissionOf': 'nothing seeded was asked for again: covered by test/confirm/revisions',
  'Plan.confirms': 'no confirm targets the plan that is seeded: covered by test/plan/approval',
  'Subject.pendingApprovals': 'nothing waits for the subject that is seeded: covered by test/confirm',
  'Subject.assignedSteps': 'the seeded run has handed nothing out: covered by test/plan/roles',
  'PlanStep.agents': 'the seeded steps are assigned to nobody: covered by test/plan/roles',
  'Confirm.plan': 'no confirm that is seeded bears upon a plan: covered by test/plan/approval',
  'PlanStep.role': 'the seeded steps name no role: covered by test/plan/roles',
  'Trace.confirms': 'no confirm targets the trace that is seeded: covered by test/confirm/withdrawals',
  'Plan.traces': 'comes of the history of events, which is off here: covered by test/trace/history',
  'Trace.plan': 'as Plan.traces',
  'Trace.task': 'the seeded trace is about no step: covered by test/trace/states',
  'CoreOrchestrationDecision.execution': 'the seeded decision is not carried out: covered by test/core/decisions',
  'CoreWorkflowExecution.allocation':
    'no seeded run holds resources, whose lease would be extended meanwhile: covered by test/core/runResources',
  'CollabCouncil.conflict': 'the seeded council judges none: covered by test/collab/councils',
  'CollabDecision.confirm': 'nothing seeded was decided with an approval: covered by test/collab/votes',
};
/** Fields that tell what a tenant has asked itself, the walk’s foreign ids included. */
export const ownRecords = new Set([
  'permissionAuditLog',
  'roleAnalytics',
  'auditEvents',
  'verifyAuditChain',
  'auditExports',
  'events',
  'deliveries',
  'eventMetrics',
  'apiTokens',
  'cacheStats',
]);
/** It would end the token the walk goes by, and has no argument that could lead elsewhere: test/platform/security/tokens. */
export const endsOwnToken: ReadonlySet<string> = new Set(['logout']);
/** What the operators' tenant alone may do, which none of the walk's is: test/platform/performance/profiling. */
export const operatorsOnly: ReadonlySet<string> = new Set(['startProfiling', 'stopProfiling']);
/** Fields that answer with text or counts alone: the owner’s own answer shows nothing to recognise. */
export const plainAnswers = new Set([
  'platform',
  'me',
  'contextStatistics',
  'dialogMetrics',
  'validatePlan',
  'validateWorkflow',
  'systemHealth',
  'systemStatus',
  'resourceUsage',
  'metricHistory',
  'tracesAnalysis',
  'performanceAnalytics',
  'anomalies',
  'traceHealth',
  'traceStatistics',
  'injectContext',
  'extractContext',
  'collabStatistics',
  'collabHealth',
  'confirmStatistics',
  'approvalMetrics',
  'checkPermission',
  'checkPermissions',
  'permissionStandings',
  'evaluateExpression',
  'roleAnalytics',
  'permissionAuditLog',
  'networkForecast',
  'networkStatistics',
  'extensionHookPoints',
  'verifyAuditChain',
  'deadLetters',
  'eventMetrics',
  'validateConfig',
  'validateSchema',
  'checkCompatibility',
  'validateData',
  'platformVariables',
  'logAggregation',
  'logLevels',
  'errorStatistics',
  'errorNotificationRules',
  'notifications',
  'performanceMetric',
  'profile',
  'performanceBudgets',
  'budgetViolations',
  'performanceReport',
  'analyzePerformance',
  'bottlenecks',
  'optimizationRecommendations',
  'encryptionKeys',
  'revocations',
  'cacheStats',
]);
/** A cursor is a place in the order: what follows it in one's own list differs from tenant to tenant. */
export const placed: ReadonlySet<string> = new Set(['after', 'before']);
/** As answers to the owner these would mean that the arguments never reached the object. */
export const missed = new Set([
  'NOT_FOUND',
  'VALIDATION_FAILED',
  'BAD_USER_INPUT',
  'CURSOR_INVALID',
  'INTERNAL_ERROR',
  'GRAPHQL_VALIDATION_FAILED',
  'GRAPHQL_PARSE_FAILED',
]);
/** Streams of the caller’s own or of its tenant’s, open to everyone there: there is nothing to be refused. */
export const ownStreams: ReadonlySet<string> = new Set([
  'approvalsWaiting',
  'anomalyAlerts',
  'realtimeMetrics',
  'allocationChanged',
  'systemEvents',
  'healthChanged',
  'modulesChanged',
  'agentsChanged',
  'configChanged',
  'logTail',
  'metricUpdated',
  'alertFired',
  'performanceAlert',
  'errorCaptured',
]);
/** Arguments of such streams that choose among what is one's own: they too have nothing to be refused for. */
export const ownChoices: ReadonlySet<string> = new Set([
  'configChanged.prefix',
  'agentsChanged.capability',
  // By whatever name a subject is asked for: what is decided about it in the caller's own tenant.
  'accessDecisions.',
]);
