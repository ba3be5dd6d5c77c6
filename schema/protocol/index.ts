export { type BundleObject, checkInvariants, type InvariantOptions, type InvariantViolation } from './bundle.ts';
export type { CollabDocument, CollabParticipantDocument } from './collab.ts';
export {
  type BaseEventDocument,
  type GovernanceDocument,
  type MetaDocument,
  type ProtocolModule,
  protocolModules,
  type ReferenceDocument,
  type SpanDocument,
} from './common.ts';
export type { ConfirmDecisionDocument, ConfirmDocument } from './confirm.ts';
export type { ContextDocument } from './context.ts';
export type { CoreDocument, CoreModuleDocument } from './core.ts';
export type { DialogDocument, DialogMessageDocument } from './dialog.ts';
export {
  type CoreEventDocument,
  type EventEnvelope,
  type EventFamily,
  envelopeOf,
  eventFamilies,
  eventShapes,
  type GraphUpdateEventDocument,
  type MultiAgentEventDocument,
  type PipelineStageEventDocument,
  type RuntimeExecutionEventDocument,
  type SingleAgentEventDocument,
  type StreamEventDocument,
} from './events.ts';
export type { ExtensionDocument } from './extension.ts';
export { type IntegrationKind, integrationShapes } from './integration.ts';
export { type Evidence, type Invariant, type InvariantRule, type InvariantSet, invariants } from './invariants.ts';
export { type LearningKind, learningKindOf, learningShapes } from './learning.ts';
export type { NetworkDocument, NetworkNodeDocument } from './network.ts';
export { type ProtocolDocuments, protocolShapes } from './objects.ts';
export type { PlanDocument, PlanStepDocument } from './plan.ts';
export { contextIdOf, idOf, type ProtocolReference, refsOf } from './references.ts';
export type { RoleDocument } from './role.ts';
export { sameDocument } from './sameDocument.ts';
export type { JsonObject, JsonSchema } from './shape.ts';
export { type DocumentBounds, defaultBounds } from './storable.ts';
export type { TraceDocument, TraceSegmentDocument } from './trace.ts';
export {
  maxValuesJudgedWhole,
  maxViolations,
  validateEvent,
  validateIntegrationEvent,
  validateLearningSample,
  validateProtocolObject,
} from './validate.ts';
export type { ProtocolViolation } from './violation.ts';
