import { encodeCursor } from '#shared/cursor.ts';
import { sampleObjects } from '../../conformance/sample/objects.ts';
import { findable, secret, secretText } from './marks.ts';
import {
  collabValues,
  extensionValues,
  networkIdNames,
  networkValues,
  observedValues,
  platformIdNames,
  platformValues,
  roleValues,
} from './moduleValues.ts';
import type { RootField, Values } from './schema.ts';
import type { World } from './seed.ts';

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
  subjectIds: 'subjectId',
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
  'council.id': 'councilId',
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
  'heartbeatWorkflowStep.executionId': 'workflowExecutionId',
  'recoverWorkflow.executionId': 'workflowExecutionId',
  'OptimizeCoreWorkflowInput.workflowId': 'tunedWorkflowId',
  'allocation.allocationId': 'coreAllocationId',
  'renewAllocation.allocationId': 'coreAllocationId',
  'releaseResources.allocationId': 'coreAllocationId',
  'ReportCoreResourceUsageInput.allocationId': 'coreAllocationId',
  'CoreAllocationFilter.executionId': 'workflowExecutionId',
  'DecideCoreOrchestrationInput.executionId': 'pausedWorkflowExecutionId',
  'optimizationRun.runId': 'optimizationRunId',
  'deleteOrchestrationRule.ruleId': 'orchestrationRuleId',
  'CoreDecisionFilter.ruleId': 'orchestrationRuleId',
  'orchestrationDecision.decisionId': 'orchestrationDecisionId',
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

const walkedDefinition = { steps: [{ stepId: 'walked', kind: 'PASS' }] };

/** Values that a rule beyond the types asks for. */
const overrides: Readonly<Record<string, unknown>> = {
  // Of a version that is gone: what the writer held then is not compared.
  'contextEvents.types': ['context.*'],
  'UpdateSharedStateInput.baseChecksum': 'a'.repeat(64),
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
  'TraceMetricInput.windowMs': 1_000,
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
  'deleteMetadata.expectedVersions': [{ key: 'walk keys', expectedVersion: 0 }],
  'MessageAttachmentInput.url': 'https://files.example/walk',
  'MessageAttachmentInput.accessPermissions': ['READ'],
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
  'PlanObjectiveInput.description': 'walk',
  'PlanConstraintInput.type': 'FINANCIAL',
  'PlanConstraintInput.parameters': { maxCost: 1_000 },
  'PlanTimelineInput.end': '2999-01-01T00:00:00.000Z',
  // A resource is there by a calendar or by weeks.
  'PlanResourceInput.calendar': [],
  'PlanResourceCalendarInput.calendar': [],
  'PlanResourceLimitInput.calendar': [],
  'PlanWorkHoursInput.start': '09:00',
  'PlanWorkHoursInput.end': '17:00',
  'PlanDayHoursInput.start': '10:00',
  'PlanDayHoursInput.end': '12:00',
  'PlanWorkExceptionInput.date': '2099-01-01',
  'PlanWorkExceptionInput.until': '2099-01-02',
  'CreatePlanMethodInput.task': 'walk_created',
  'CreatePlanMethodInput.parameters': ['site'],
  'PlanMethodBindingInput.in': 'facts.seen',
  'PlanMethodBindingInput.pattern': { site: '?site' },
  'CreatePlanMethodInput.precondition': 'task.site != facts.seen',
  'CreatePlanMethodInput.subtasks': [{ task: 'walk_task', arguments: { site: '$task.site' } }],
  'PlanMethodStepInput.effects': [{ fact: 'seen', value: true }],
  'planMethods.task': 'walk_task',
  'OptimizePlanInput.strategy': 'COST_OPTIMAL',
  'heartbeatWorkflowStep.stepId': 'wait',
  'OptimizePlanInput.targetMakespanMs': 1_000,
  'ContextConfigurationInput.maxParticipants': 20,
  'ContextConfigurationInput.persistenceLevel': 'DURABLE',
  'ContextConfigurationInput.isolationLevel': 'SHARED',
  'CreateSessionInput.isolationLevel': 'SHARED',
  'CreateSessionInput.persistState': true,
  'CreateSessionInput.autoSave': true,
  'CreateSessionInput.compression': false,
  'DialogWorkflowInput.traceEnabled': true,
  'CreateCoreWorkflowInput.definition': walkedDefinition,
  'publishWorkflowVersion.definition': walkedDefinition,
  'validateWorkflow.definition': walkedDefinition,
  'AllocateCoreResourcesInput.requirements': { cpuCores: 1 },
  'AllocateCoreResourcesInput.affinity': [],
  'AllocateCoreGangInput.members': [{ requirements: { cpuCores: 1 } }, { requirements: { cpuCores: 1 } }],
  'AllocateCoreGangInput.durationMs': 60_000,
  'CoreResourceNodeInput.capacity': { cpuCores: 100, memoryMb: 1_000 },
  'CoreResourceNodeInput.labels': [{ name: 'walk', value: 'walk' }],
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
  'CoreDecisionFilter.eventType': 'walk.begun',
  'CoordinateCoreModulesInput.modules': ['COLLAB', 'CONTEXT'],
  'CoordinateCoreModulesInput.operation': 'statistics',
  'CoordinateCoreModulesInput.parameters': {},
  'CoordinateCoreModulesInput.waitMs': 5_000,
  'PublishSystemEventInput.eventType': 'walk.happened',
  'systemEvents.types': ['walk.*'],
  'unregisterAgent.agentId': 'leaver',
  'RegisterCoreAgentInput.attributes': { note: 'walk' },
  'RegisterCoreAgentInput.capacity': 4,
  'RegisterCoreAgentInput.ttlMs': 600_000,
  'CoreAgentHeartbeatInput.load': 0.5,
  'CoreAgentHeartbeatInput.activeTasks': 1,
  'CoreAgentQuery.capabilities': ['walk capability'],
  'CoreAgentQuery.free': 1,
  'CoreAgentFilter.namePattern': findable,
  'OptimizeCoreSystemInput.scope': ['WORKFLOWS'],
  'OptimizeCoreSystemInput.goals': [],
  'OptimizeCoreSystemInput.constraints': {},
  'OptimizeCoreSystemInput.windowMs': 3_600_000,
  'OptimizeCoreSystemInput.judgeAfterMs': 60_000,
  'OptimizeCoreSystemInput.timeBudgetMs': 500,
  'OptimizeCoreWorkflowInput.executions': 20,
  'OptimizeCoreWorkflowInput.timeBudgetMs': 500,
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
      if (coordinate === 'decrypt.ciphertext') return world.ids['sealedText'];
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
