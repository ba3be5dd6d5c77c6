import { encodeCursor } from '#shared/cursor.ts';
import { sampleObjects } from '../../conformance/sample/objects.ts';
import { findable, secret, secretText } from './marks.ts';
import type { RootField, Values } from './schema.ts';
import type { World } from './seed.ts';
import { releaseInput, walkKey } from './seedExtension.ts';

/** Ids of objects whose modules are not there yet: nobody has any. */
const ofLaterModules = new Set(['ownerRole', 'approvalWorkflowId', 'lastConfirmId']);

/** ID arguments whose name alone does not say whose id they are. */
const idNames: Readonly<Record<string, string>> = {
  'confirm.id': 'confirmId',
  targetId: 'contextId',
  'dialog.id': 'dialogId',
  'exportProtocolObject.id': 'contextId',
  replyTo: 'messageId',
  toParticipantId: 'dialog participantId',
  recipients: 'dialog participantId',
  mentions: 'dialog participantId',
  senderId: 'dialog participantId',
  participantIds: 'participantId',
  'subject.id': 'subjectId',
  'deleteRole.roleId': 'unusedRoleId',
  replacementRoleId: 'roleId',
  conflictingRoles: 'roleId',
  grantingRoleId: 'roleId',
  planIds: 'planId',
  dependsOn: 'stepId',
  'PlanStepInput.id': 'freshId',
  'PlanStepInput.parentId': 'stepId',
  'PlanStepPatch.parentId': 'nextStepId',
  'PlanDependencyInput.id': 'freshId',
  sourceId: 'stepId',
  'PlanDependencyInput.targetId': 'nextStepId',
  agentId: 'subjectId',
  'PlanApprovalInput.approvers': 'subjectId',
  removeStepIds: 'stepId',
  'planSession.sessionId': 'planSessionId',
  'planSessionUpdates.sessionId': 'planSessionId',
  'closePlanSession.sessionId': 'planSessionId',
  'changePlanParticipants.sessionId': 'planSessionId',
  'ContributeToPlanInput.sessionId': 'planSessionId',
  'StartPlanSessionInput.planId': 'planId',
  'PlanParticipantInput.subject': 'subjectId',
  'changePlanParticipants.remove': 'subjectId',
  'PlanChangeInput.removeDependencyIds': 'dependencyId',
  traceIds: 'traceId',
  externalTraceId: 'traceId',
  taskId: 'stepId',
  'collaboration.id': 'collabId',
  'UpdateCollabTaskInput.taskId': 'collabTaskId',
  'CompleteTaskInput.taskId': 'collabTaskId',
  'ReassignCollabTaskInput.taskId': 'collabTaskId',
  'DispatchTurnInput.taskId': 'collabTaskId',
  'CoordinateTaskAssignmentInput.taskIds': 'pendingTaskId',
  'CollabTaskInput.id': 'freshId',
  'ReleaseCollabResourceInput.allocationId': 'collabAllocationId',
  'workflowExecution.executionId': 'workflowExecutionId',
  'workflowProgress.executionId': 'workflowExecutionId',
  'pauseWorkflow.executionId': 'workflowExecutionId',
  'resumeWorkflow.executionId': 'pausedWorkflowExecutionId',
  'cancelWorkflow.executionId': 'workflowExecutionId',
  'signalWorkflow.executionId': 'workflowExecutionId',
  'recoverWorkflow.executionId': 'workflowExecutionId',
  'OptimizeCoreWorkflowInput.workflowId': 'tunedWorkflowId',
  'allocation.allocationId': 'coreAllocationId',
  'renewAllocation.allocationId': 'coreAllocationId',
  'releaseResources.allocationId': 'coreAllocationId',
  'optimizationRun.runId': 'optimizationRunId',
  'deleteOrchestrationRule.ruleId': 'orchestrationRuleId',
  'extension.id': 'extensionId',
  'extensionCapabilities.id': 'extensionId',
  'extensionMetrics.id': 'extensionId',
  'extensionHealth.id': 'extensionId',
  'dependencyGraph.id': 'extensionId',
  'extensionExecution.id': 'extensionExecutionId',
  releaseId: 'nextReleaseId',
  'acknowledgeAlert.alertId': 'platformAlertId',
  'applyRecommendation.recommendationId': 'platformRecommendationId',
};

/** Ids of what the platform itself keeps. */
const platformIdNames: Readonly<Record<string, string>> = {
  'report.id': 'reportId',
  'cancelReport.id': 'reportId',
  'auditExport.id': 'auditExportId',
  'cancelAuditExport.id': 'auditExportId',
  'fileContent.id': 'auditExportId',
  'eventSubscription.id': 'eventSubscriptionId',
  'deliveries.subscriptionId': 'eventSubscriptionId',
  'deadLetters.subscriptionId': 'eventSubscriptionId',
  'eventMetrics.subscriptionId': 'eventSubscriptionId',
  'pauseEventSubscription.subscriptionId': 'eventSubscriptionId',
  'resumeEventSubscription.subscriptionId': 'eventSubscriptionId',
  'deleteEventSubscription.subscriptionId': 'eventSubscriptionId',
  'replayEvents.subscriptionId': 'eventSubscriptionId',
  'eventReceived.subscriptionId': 'eventSubscriptionId',
  'deleteBusinessRule.ruleId': 'businessRuleId',
  'deliveries.eventId': 'publishedEventId',
  'PlatformEventFilter.streamId': 'contextId',
};

/** What the rules of the platform itself ask for. */
const platformValues: Readonly<Record<string, unknown>> = {
  'PlatformAuditFilter.modules': ['context'],
  'PlatformAuditRange.from': '2026-01-01T00:00:00.000Z',
  'PlatformAuditRange.fromBlock': 1,
  'auditTrail.resource': 'Context',
  'fileContent.part': 0,
  'PlatformEventFilter.modules': ['context'],
  'PlatformEventFilter.patterns': ['context.*'],
  'PublishEventInput.type': 'walk.told',
  'PublishEventInput.ttlMs': 86_400_000,
  'CreateEventSubscriptionInput.target': 'PULL',
  'CreateEventSubscriptionInput.patterns': ['walk.*'],
  'CreateEventSubscriptionInput.maxRetry': 3,
  'eventMetrics.from': '2098-12-31T00:00:00.000Z',
  'eventMetrics.to': '2099-01-01T00:00:00.000Z',
  'replayEvents.from': '2026-01-01T00:00:00.000Z',
  'eventReceived.partitions': [0],
  'CreateReportInput.from': new Date(Date.now() - 86_400_000).toISOString(),
  'CreateReportInput.to': new Date(Date.now() + 86_400_000).toISOString(),
  'schema.name': 'walk',
  'schema.version': 1,
  'validateData.name': 'walk',
  'validateData.version': 1,
  'validateData.coerce': true,
  'checkCompatibility.name': 'walk',
  'checkCompatibility.version': 1,
  'checkCompatibility.document': { type: 'object' },
  'validateSchema.document': { type: 'object' },
  'registerSchema.name': 'walk',
  'registerSchema.document': { type: 'object' },
  'BusinessRuleInput.expression': 'walk EXISTS',
  'validateBusinessRules.ruleSet': 'walk',
  'config.key': 'walk.key',
  'configHistory.key': 'walk.key',
  'config.module': 'context',
  'deleteConfig.key': 'walk.key',
  'rollbackConfig.key': 'walk.key',
  'rollbackConfig.version': 1,
  'SetConfigInput.key': 'walk.key',
  'PlatformConfigValueInput.key': 'walk.key',
  'configHistory.scope': 'TENANT',
  'deleteConfig.scope': 'TENANT',
  'rollbackConfig.scope': 'TENANT',
  'SetConfigInput.scope': 'TENANT',
};

/** What the rules of the extension module ask for. */
const extensionValues: Readonly<Record<string, unknown>> = {
  'RegisterPublisherKeyInput.publicKey': walkKey,
  'RegisterExtensionInput.name': 'walk-registered',
  'RegisterExtensionInput.version': '1.0.0',
  'RegisterExtensionInput.release': releaseInput,
  'RegisterExtensionInput.homepage': 'https://walk.example',
  'RegisterExtensionInput.repository': 'https://walk.example/code',
  'PublishVersionInput.version': '9.0.0',
  'PublishVersionInput.release': releaseInput,
  'DiscoverExtensionsInput.versionRange': '*',
  'DiscoverExtensionsInput.text': findable,
  'ExtensionSettingsInput.maxMemoryMb': 8,
  'ExecuteExtensionInput.method': 'work',
  'ExecuteExtensionInput.options': { timeoutMs: 1_000 },
  'RunExtensionHooksInput.point': 'dialog.message_sent',
  'RunExtensionHooksInput.payload': { text: 'walk' },
  'RunExtensionHooksInput.timeoutMs': 1_000,
  'grantPermission.permission': 'state:read',
  'revokePermission.permission': 'state:read',
  'LoadExtensionInput.grants': ['state:read'],
  'HotReloadExtensionInput.drainTimeoutMs': 100,
  'InstallExtensionInput.settings': { operationTimeoutMs: 1_000 },
  'UpdateExtensionConfigInput.settings': { operationTimeoutMs: 1_000 },
};

/** Nodes and links by the names that the network module's arguments have. */
const networkIdNames: Readonly<Record<string, string>> = {
  'networkRoute.source': 'nodeId',
  'networkRoute.target': 'nextNodeId',
  'kShortestPaths.source': 'nodeId',
  'kShortestPaths.target': 'nextNodeId',
  'NetworkDemandInput.source': 'nodeId',
  'NetworkDemandInput.target': 'nextNodeId',
  'NetworkLinkInput.sourceId': 'nodeId',
  'NetworkLinkInput.targetId': 'nextNodeId',
  'NetworkNodeInput.id': 'freshId',
  'NetworkFailoverInput.backupNodes': 'nextNodeId',
  'NetworkChangeInput.removeNodes': 'nodeId',
  'NetworkChangeInput.removeLinks': 'linkId',
  'NetworkServiceQuery.near': 'nodeId',
  'JoinNetworkInput.attachTo': 'nodeId',
  'RegisterServiceInput.providerNodeId': 'nodeId',
  'SendNetworkMessageInput.senderId': 'nextNodeId',
  'SendNetworkMessageInput.recipients': 'nodeId',
  'acknowledgeNetworkMessage.messageId': 'networkMessageId',
};

/** What the rules of the network module ask for. */
const networkValues: Readonly<Record<string, unknown>> = {
  'CreateNetworkInput.topologyType': 'OTHER',
  'CreateNetworkInput.nodes': [{ name: 'walk' }, { name: 'walk on' }],
  'ImportNetworkInput.name': 'walk',
  'ImportNetworkInput.text': 'graph [ node [ id 0 ] node [ id 1 ] edge [ source 0 target 1 ] ]',
  'NetworkClassSharesInput.realTime': 0.25,
  'NetworkClassSharesInput.interactive': 0.25,
  'NetworkClassSharesInput.bulk': 0.25,
  'NetworkClassSharesInput.management': 0.25,
  'NetworkServiceQuery.version': '>=1.0.0',
};

/** What the rules of the role module ask for. */
const roleValues: Readonly<Record<string, unknown>> = {
  'CreateRoleInput.name': 'walk_created',
  'RolePatch.name': 'walk_renamed',
  'RequiredCapabilityInput.name': 'walk skill',
  'roleHierarchy.depth': 3,
  'changeRoleStatus.status': 'SUSPENDED',
  'RolePermissionInput.permissionId': 'walk',
  'RolePermissionInput.resourceType': 'plan',
  'RolePermissionInput.actions': ['read'],
  'RolePermissionInput.conditions': { expression: 'subject.level >= 1' },
  'RolePermissionInput.scope': { relation: 'own' },
  'RolePermissionInput.approvalRequired': { threshold: 1 },
  'RoleInheritanceRulesInput.mergeStrategy': 'INTERSECTION',
  'RoleInheritanceRulesInput.conflictResolution': 'ESCALATE',
  'RoleInheritanceRulesInput.maxDepth': 10,
  'RoleDelegationRulesInput.maxDepth': 2,
  'RoleDelegationRulesInput.maxHours': 24,
  'CreateRoleInput.roleType': 'FUNCTIONAL',
  'CreateRoleInput.constraints': { actions: ['read'] },
  'CreateRoleInput.governance': { truthDomain: 'walk' },
  'CreateRoleInput.effectiveAt': '2098-01-01T00:00:00.000Z',
  'RolePatch.governance': { truthDomain: 'walk' },
  'RolePatch.constraints': { actions: ['read'] },
  'RolePatch.effectiveAt': '2098-01-01T00:00:00.000Z',
  'AssignmentRuleInput.condition': 'subject.level >= 1',
  'AssignRoleInput.constraints': { actions: ['read'] },
  'AssignRoleInput.validFrom': '2026-01-01T00:00:00.000Z',
  'DelegateInput.permissions': ['plan:read'],
  'DelegateInput.endsAt': new Date(Date.now() + 3_600_000).toISOString(),
  'DelegateInput.startsAt': '2026-01-01T00:00:00.000Z',
  'DelegateInput.maxDepth': 1,
  'CheckPermissionInput.environment': { ip: '10.0.0.1' },
  'CheckPermissionInput.action': 'read',
  'CheckPermissionOptions.timeoutMs': 500,
  'PermissionResourceInput.type': 'plan',
  'evaluateExpression.expression': 'subject.level >= 1',
  'roleAnalytics.from': '2026-01-01T00:00:00.000Z',
};

/** What the rules of the collab module ask for. */
const collabValues: Readonly<Record<string, unknown>> = {
  'CollabParticipantInput.participantId': 'newcomer',
  'DispatchTurnInput.participantId': 'ann',
  'CastBallotInput.optionId': 'this',
  'DelegateVoteInput.toParticipantId': 'ann',
  'ProposeDecisionInput.options': [{ label: 'this' }, { label: 'that' }],
  'MakeDecisionInput.options': [{ label: 'this' }, { label: 'that' }],
  'GatheredBallotInput.participantId': 'ann',
  'GatheredBallotInput.optionId': 'option-1',
  'ClaimCollabResourceInput.end': '2099-01-02T00:00:00.000Z',
  'RaiseConflictInput.participants': ['ann'],
  'RequestRecommendationsInput.max': 5,
};
/** What the rules of the platform module ask for. */
const observedValues: Readonly<Record<string, unknown>> = {
  'PlatformLogInput.module': 'walk',
  'PlatformLogInput.traceId': '0af7651916cd43dd8448eb211c80319c',
  'PlatformLogInput.timestamp': new Date().toISOString(),
  'PlatformLogFilter.modules': ['walk'],
  'PlatformLogFilter.traceId': '0af7651916cd43dd8448eb211c80319c',
  'PlatformLogAggregationFilter.modules': ['walk'],
  'PlatformLogTailFilter.modules': ['walk'],
  'setLogLevel.module': 'walk',
  'PlatformMetricQuery.metric': 'walk_metric',
  'PlatformMetricQuery.dividedBy': 'walk_metric',
  'PlatformMetricQuery.by': ['walk'],
  'PlatformMetricLabelInput.name': 'walk',
  'metricDefinitions.name': 'walk_metric',
  'metricSnapshot.names': ['walk_metric'],
  'metricSeries.from': new Date(Date.now() - 3_600_000).toISOString(),
  'metricSeries.stepMs': 600_000,
  'renderDashboard.from': new Date(Date.now() - 3_600_000).toISOString(),
  'renderDashboard.stepMs': 600_000,
  'performanceMetric.from': new Date(Date.now() - 3_600_000).toISOString(),
  'performanceBudgets.from': new Date(Date.now() - 3_600_000).toISOString(),
  'budgetViolations.from': new Date(Date.now() - 3_600_000).toISOString(),
  'performanceReport.from': new Date(Date.now() - 3_600_000).toISOString(),
  'analyzePerformance.from': new Date(Date.now() - 3_600_000).toISOString(),
  'bottlenecks.from': new Date(Date.now() - 3_600_000).toISOString(),
  'optimizationRecommendations.from': new Date(Date.now() - 3_600_000).toISOString(),
  'PlatformMetricSampleInput.name': 'walk_recorded',
  'PlatformMetricSampleInput.value': 1,
  'PlatformMetricSampleInput.timestamp': new Date().toISOString(),
  'PlatformPanelInput.query': { metric: 'walk_metric' },
  'PlatformAlertConditionInput.query': { metric: 'walk_metric' },
  'PlatformAlertRuleInput.channels': ['walk'],
  'PlatformNotificationChannelInput.name': 'walk',
  'PlatformNotificationChannelInput.kind': 'WEBHOOK',
  'PlatformNotificationChannelInput.target': 'https://walk.example/hook',
  'deleteNotificationChannel.name': 'walked',
  'PlatformErrorInput.code': 'UNAVAILABLE',
  'PlatformErrorInput.module': 'walk',
  'PlatformErrorInput.statusCode': 500,
  'PlatformErrorFilter.codes': ['UNAVAILABLE'],
  'PlatformErrorFilter.modules': ['walk'],
  'PlatformErrorNotificationRuleInput.channels': ['walk'],
  'PlatformErrorNotificationRuleInput.modules': ['walk'],
  'deleteNotificationRule.name': 'walked',
};
const walkedDefinition = { steps: [{ stepId: 'walked', kind: 'PASS' }] };

/** Values that a rule beyond the types asks for. */
const overrides: Readonly<Record<string, unknown>> = {
  'CreateApprovalInput.approvers': [{ subject: 'newcomer' }],
  'CreateConsensusProcessInput.options': [{ label: 'this' }, { label: 'that' }],
  'CastVoteInput.optionId': 'this',
  'ConsensusParticipantInput.subject': 'newcomer',
  'delegateConfirm.delegateTo': 'newcomer',
  'approvalMetrics.approverId': 'ann',
  'workflowTemplate.version': 1,
  'extractContext.traceparent': '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  'ConfigureAlertInput.metric': 'walk metric',
  'ConfigureAlertInput.threshold': 1,
  'updateTrace.patch': { tags: ['walk'] },
  // The walk takes codes for those of its own errors.
  'TraceErrorInput.code': 'UNAVAILABLE',
  'TraceEventInput.data': { note: 'walk' },
  'TraceEventInput.occurredAt': '2026-01-01T00:00:00.000Z',
  'TraceErrorInput.occurredAt': '2026-01-01T00:00:00.000Z',
  'TraceDecisionInput.occurredAt': '2026-01-01T00:00:00.000Z',
  'TraceDecisionInput.selected': 'walk option',
  'TraceDecisionInput.confidence': 0.5,
  'TraceDecisionOptionInput.score': 0.5,
  'TraceSnapshotInput.state': { note: 'walk' },
  'TraceCorrelationInput.strength': 0.5,
  'CreateTraceInput.samplingRate': 0.5,
  'TraceMetricInput.at': new Date().toISOString(),
  'TraceMetricInput.dimensions': { host: 'walk' },
  'TraceTimeRangeInput.from': new Date(Date.now() - 3_600_000).toISOString(),
  'TraceTimeRangeInput.to': new Date(Date.now() + 3_600_000).toISOString(),
  'changeContextStatus.status': 'SUSPENDED',
  'SendMessageInput.content': { text: 'walk' },
  'editMessage.content': { text: 'walk again' },
  'reactToMessage.type': 'like',
  'advanceFlow.transition': 'next',
  'dialogInbox.after': 0,
  'ackMessages.upToSequence': 1,
  'SharedStateChangeInput.key': 'variables.walked',
  'SharedStateChangeInput.value': 'walked',
  'UpdateSharedStateInput.baseVersion': 2,
  'ContextPermissionInput.principalType': 'user',
  'ContextPermissionInput.actions': ['read'],
  'ContextPolicyInput.type': 'security',
  'ContextPolicyInput.enforcement': 'strict',
  'MessageAttachmentInput.url': 'https://files.example/walk',
  'DialogParticipantInput.subject': 'newcomer',
  'ContextFilter.namePattern': `${findable}*`,
  'DialogFilter.namePattern': `${findable}*`,
  'contexts.sort': { field: 'CREATED_AT', direction: 'ASC' },
  'importProtocolObject.module': 'CONTEXT',
  'ContributeToPlanInput.change': { addSteps: [{ description: 'walk' }] },
  'rebaseContribution.change': { addSteps: [{ description: 'walk again' }] },
  'StartPlanSessionInput.timeLimitMs': 60_000,
  'StartPlanSessionInput.consensusThreshold': 0.6,
  'StartPlanSessionInput.quorum': 0.6,
  'changePlanParticipants.set': [{ subject: 'newcomer', votingWeight: 2 }],
  'CreatePlanInput.steps': [{ description: 'walk' }],
  'PlanDependencyInput.condition': 'source.failures > 0',
  'PlanConstraintInput.type': 'FINANCIAL',
  'PlanConstraintInput.parameters': { maxCost: 1_000 },
  'PlanTimelineInput.end': '2999-01-01T00:00:00.000Z',
  'CreatePlanMethodInput.task': 'walk_created',
  'CreatePlanMethodInput.parameters': ['site'],
  'PlanMethodBindingInput.in': 'facts.seen',
  'PlanMethodBindingInput.pattern': { site: '?site' },
  'CreatePlanMethodInput.precondition': 'task.site != facts.seen',
  'CreatePlanMethodInput.subtasks': [{ task: 'walk_task', arguments: { site: '$task.site' } }],
  'PlanMethodStepInput.effects': [{ fact: 'seen', value: true }],
  'planMethods.task': 'walk_task',
  'OptimizePlanInput.strategy': 'COST_OPTIMAL',
  'OptimizePlanInput.targetMakespanMs': 1_000,
  'ContextConfigurationInput.maxParticipants': 20,
  'CreateCoreWorkflowInput.definition': walkedDefinition,
  'publishWorkflowVersion.definition': walkedDefinition,
  'validateWorkflow.definition': walkedDefinition,
  'AllocateCoreResourcesInput.requirements': { cpuCores: 1 },
  'AllocateCoreResourcesInput.affinity': {},
  'AllocateCoreGangInput.members': [{ requirements: { cpuCores: 1 } }, { requirements: { cpuCores: 1 } }],
  'AllocateCoreGangInput.durationMs': 60_000,
  'CoreResourceNodeInput.capacity': { cpuCores: 100, memoryMb: 1_000 },
  'CoreResourceNodeInput.labels': { walk: 'walk' },
  'CoreResourceNodeInput.overcommit': 1,
  'CoreQuotaInput.hard': { cpuCores: 50 },
  'AllocateCoreResourcesInput.durationMs': 60_000,
  'CreateCoreManifestInput.modules': [{ moduleId: 'CONTEXT', version: '1.0.0' }],
  'changeManifestStatus.status': 'ACTIVE',
  'CoreOrchestrationRuleInput.trigger': 'walk.begun',
  'CoreOrchestrationRuleInput.condition': 'input.type == "walk.begun"',
  'CoreOrchestrationRuleInput.actions': [
    { module: 'plan', action: 'approvePlan', input: { planId: `\${${'input.planId'}}` } },
  ],
  'DecideCoreOrchestrationInput.eventType': 'walk.begun',
  'CoordinateCoreModulesInput.modules': ['COLLAB', 'CONTEXT'],
  'CoordinateCoreModulesInput.operation': 'statistics',
  'CoordinateCoreModulesInput.parameters': {},
  'CoordinateCoreModulesInput.waitMs': 5_000,
  'PublishSystemEventInput.eventType': 'walk.happened',
  'systemEvents.types': ['walk.*'],
  'OptimizeCoreSystemInput.scope': ['WORKFLOWS'],
  'OptimizeCoreSystemInput.goals': [],
  'OptimizeCoreSystemInput.constraints': {},
  'OptimizeCoreSystemInput.windowMs': 3_600_000,
  'OptimizeCoreSystemInput.judgeAfterMs': 60_000,
  'OptimizeCoreSystemInput.timeBudgetMs': 500,
  'OptimizeCoreWorkflowInput.executions': 20,
  'metricHistory.series': 'execution.failed',
  'metricHistory.since': '2026-01-01T00:00:00Z',
  'metricHistory.until': '2126-01-01T00:00:00Z',
  'metricHistory.stepMs': 60_000,
  'metricHistory.platform': false,
  'DecideCoreOrchestrationInput.depth': 1,
  ...platformValues,
  ...roleValues,
  ...collabValues,
  ...networkValues,
  ...extensionValues,
  ...observedValues,
};

/** Texts by the argument's name. */
const texts: Readonly<Record<string, string>> = {
  language: 'en',
  timezone: 'Europe/Berlin',
  url: 'https://files.example/walk',
  ownerId: 'ann',
  createdBy: 'ann',
  senderSubject: 'ann',
  participant: 'ann',
  agentId: 'newcomer',
  participantId: 'ann',
  toParticipantId: 'ann',
  nodeId: 'walker',
};

/** Values for one field out of a world; `exchange` puts something else in the place of each of its ids. */
export function valuesFor(
  field: RootField,
  world: World,
  cursors: ReadonlyMap<string, string>,
  exchange: (id: string) => string = (id) => id,
): Values {
  const ofDialog = field.args.some((argument) => argument.name === 'dialogId');
  const idOf = (coordinate: string, name: string): string => {
    if (ofLaterModules.has(name)) return '5b1f0c52-91d4-4e0b-8c6a-00000000abcd';
    const key =
      networkIdNames[coordinate] ?? platformIdNames[coordinate] ?? idNames[coordinate] ?? idNames[name] ?? name;
    const found =
      key === 'dialog participantId' || (ofDialog && key === 'participantId')
        ? world.dialogIds['participantId']
        : world.ids[key];
    if (found === undefined)
      throw new Error(`the walk has no id for ${coordinate}: name one in idNames and seed what it belongs to`);
    return exchange(found);
  };
  return {
    id: idOf,
    text: (name) => {
      if (name === 'query') return findable;
      if (name === 'idempotencyKey') return world.idempotencyKey;
      // Of another list or stream it would only be malformed.
      if (name === 'after' || name === 'before')
        return cursors.get(field.name) ?? encodeCursor(exchange(world.ids['contextId']!), 1);
      return texts[name] ?? `walk ${name}`;
    },
    override(coordinate) {
      if (coordinate === 'importProtocolObject.object')
        return { ...sampleObjects.context, context_id: exchange(world.ids['contextId']!) };
      if (coordinate === 'importProtocolBundle.objects')
        return [
          { module: 'CONTEXT', object: { ...sampleObjects.context, context_id: exchange(world.ids['contextId']!) } },
        ];
      if (/ErrorGroup\.fingerprint$|^errorGroup\.fingerprint$|ErrorFilter\.fingerprint$/.test(coordinate))
        return world.ids['errorFingerprint'];
      if (coordinate.endsWith('.parentSpanId')) return '00f067aa0ba902b7';
      if (coordinate.endsWith('.spanId')) return '00000000000000a1';
      if (/[.t]imeUnixNano$/i.test(coordinate)) return `${Date.now()}000000`;
      if (coordinate === 'ExecuteCoreWorkflowInput.workflowId') return exchange(world.ids['workflowId']!);
      if (coordinate === 'AdaptPlanInput.stepId') return exchange(world.ids['stepId']!);
      if (coordinate === 'distributedTrace.traceId') return exchange(world.ids['traceId']!);
      if (coordinate === 'roleHolders.role') return exchange(world.ids['roleId']!);
      if (coordinate === 'contextByName.name') return secretText(`title ${world.serial}`);
      if (coordinate.endsWith('.participantAgentId')) return `${secret}-bob`;
      if (coordinate === 'auditTrail.resourceId') return exchange(world.ids['contextId']!);
      if (coordinate === 'joinContext.joinToken') return world.joinToken;
      return overrides[coordinate];
    },
  };
}
