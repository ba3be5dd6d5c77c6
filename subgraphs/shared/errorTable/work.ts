import type { ErrorEntries } from './entry.ts';

/** Of the governed work: contexts, dialogs, confirms, roles, plans. */
export const workErrors = {
  DUPLICATE_NAME: { status: 409, retryable: false, description: 'The owner already has a context of this name.' },
  CONTEXT_FULL: { status: 409, retryable: false, description: 'The context holds its maximum of participants.' },
  PARTICIPANT_ALREADY_EXISTS: { status: 409, retryable: false, description: 'The agent already takes part.' },
  PARTICIPANT_NOT_FOUND: { status: 404, retryable: false, description: 'No such participant here.' },
  SESSION_LIMIT_REACHED: {
    status: 409,
    retryable: false,
    description: 'The context holds its maximum of open sessions.',
  },
  SYNC_CONFLICT: {
    status: 409,
    retryable: false,
    description: 'Concurrent changes to the same shared-state key under the REJECT policy.',
  },
  CONTEXT_NOT_ACTIVE: {
    status: 409,
    retryable: false,
    description: 'The context does not accept this while it is not active.',
  },
  DIALOG_NOT_ACTIVE: { status: 409, retryable: false, description: 'The dialog is paused or has ended.' },
  NOT_A_PARTICIPANT: {
    status: 403,
    retryable: false,
    description: 'The principal takes no active part in the dialog.',
  },
  NOT_YOUR_TURN: { status: 409, retryable: true, description: 'Another participant holds the turn.' },
  MESSAGE_TOO_LARGE: { status: 413, retryable: false, description: 'The message is over its size limit.' },
  CONTENT_REJECTED: { status: 422, retryable: false, description: 'A content filter refused the message.' },
  REPLY_TARGET_INVALID: { status: 422, retryable: false, description: 'The message replied to is not in this dialog.' },
  DUPLICATE_MESSAGE: {
    status: 409,
    retryable: false,
    description: 'The client message id was used with other content.',
  },
  HISTORY_FORBIDDEN: {
    status: 403,
    retryable: false,
    description: 'The history asked for lies before the principal joined.',
  },
  TARGET_NOT_FOUND: { status: 404, retryable: false, description: 'What is to be confirmed does not exist.' },
  NO_ELIGIBLE_APPROVER: {
    status: 422,
    retryable: false,
    description: 'A step has nobody who may decide it, or names one who may not; `details` says which.',
  },
  DUPLICATE_REQUEST: {
    status: 409,
    retryable: false,
    description: 'The target has an open confirm of the same type.',
  },
  INVALID_WORKFLOW: {
    status: 422,
    retryable: false,
    description: 'The workflow could never run to its end: a cycle, an unknown step, a condition that makes no sense.',
  },
  NOT_AN_APPROVER: { status: 403, retryable: false, description: 'The step does not wait for the principal.' },
  STEP_NOT_ACTIVE: { status: 409, retryable: false, description: 'The step is not open for decisions.' },
  ALREADY_DECIDED: { status: 409, retryable: false, description: 'The principal has decided this step before.' },
  RATIONALE_REQUIRED: {
    status: 422,
    retryable: false,
    description: 'The decision needs a rationale, or a longer one.',
  },
  SELF_APPROVAL_FORBIDDEN: {
    status: 403,
    retryable: false,
    description: 'Who asked for the approval, or did the work, has no part in deciding it.',
  },
  DELEGATION_FORBIDDEN: {
    status: 409,
    retryable: false,
    description: 'The step may not be passed on, was passed on too often, or not to one without the right to decide.',
  },
  CONFIRM_NOT_APPROVED: {
    status: 403,
    retryable: false,
    description: 'The Confirm cited is unknown, not approved, or for another object.',
  },
  DUPLICATE_ROLE: { status: 409, retryable: false, description: 'The scope already has a role of this name.' },
  ROLE_NOT_FOUND: { status: 404, retryable: false, description: 'No such role.' },
  ROLE_NOT_ACTIVE: { status: 409, retryable: false, description: 'The role takes no assignments in its state.' },
  ROLE_IN_USE: { status: 409, retryable: false, description: 'The role is held by somebody or inherited from.' },
  SYSTEM_ROLE_IMMUTABLE: { status: 409, retryable: false, description: 'Roles of the system never change.' },
  CYCLIC_INHERITANCE: { status: 422, retryable: false, description: 'The parents would make a role its own ancestor.' },
  DEPTH_EXCEEDED: { status: 422, retryable: false, description: 'The hierarchy would become deeper than it may.' },
  INVALID_PERMISSION: {
    status: 422,
    retryable: false,
    description: 'A permission or its condition makes no sense; conditions are expressions, never code.',
  },
  SOD_VIOLATION: { status: 409, retryable: false, description: 'Separation of duties forbids the roles together.' },
  CARDINALITY_EXCEEDED: {
    status: 409,
    retryable: false,
    description: 'The subject holds its maximum of roles, or the role has its maximum of holders.',
  },
  INSUFFICIENT_CAPABILITIES: {
    status: 409,
    retryable: false,
    description: 'The subject lacks capabilities that the role asks for.',
  },
  PREREQUISITES_MISSING: {
    status: 422,
    retryable: false,
    description: 'The subject lacks a certification or the clearance that the role asks for; `details` name them.',
  },
  ASSIGNMENT_RULE_DENIED: { status: 409, retryable: false, description: 'A rule of the role forbids the assignment.' },
  ESCALATION_REFUSED: {
    status: 403,
    retryable: false,
    description: 'Nobody may grant what they neither hold nor administer; `details.missing` lists it.',
  },
  DELEGATION_REFUSED: { status: 409, retryable: false, description: 'The delegation is not possible so.' },
  PLAN_CREATION_FAILED: { status: 422, retryable: false, description: 'The plan breaks a rule of its network.' },
  DECOMPOSITION_FAILED: {
    status: 422,
    retryable: false,
    description:
      'No choice of methods does the objectives; `details` names the task, its depth and why each was refused.',
  },
  CYCLIC_DEPENDENCY: {
    status: 422,
    retryable: false,
    description: 'The dependencies form a cycle; `details.cycle` names its steps in order.',
  },
  INFEASIBLE_CONSTRAINTS: {
    status: 422,
    retryable: false,
    description: 'No schedule keeps the constraints; `details` says which cannot be kept.',
  },
  RESOURCE_ALLOCATION_FAILED: {
    status: 422,
    retryable: false,
    description: 'No agent or resource can ever meet what a step requires.',
  },
  SCHEDULING_CONFLICT: {
    status: 409,
    retryable: false,
    description: 'Started now the plan would not keep its own times; `details` says which, and when it would end.',
  },
  PLANNING_ALGORITHM_ERROR: {
    status: 500,
    retryable: true,
    description: 'An algorithm broke off without a result.',
  },
  EXECUTION_MONITORING_FAILED: {
    status: 500,
    retryable: true,
    description: 'How a run stands could not be worked out from what is stored of its plan.',
  },
  PLAN_NOT_EDITABLE: { status: 409, retryable: false, description: 'The plan is no draft any more.' },
  CONFIRM_PENDING: {
    status: 409,
    retryable: false,
    description: 'The outcome of an open Confirm decides, nobody else.',
  },
  EXECUTION_NOT_ACTIVE: { status: 409, retryable: false, description: 'The execution does not run.' },
  ACCEPTANCE_NOT_MET: {
    status: 409,
    retryable: false,
    description: 'An acceptance criterion of the step is not met, or was not judged; the lease goes on.',
  },
  AGENT_NOT_IN_POOL: {
    status: 403,
    retryable: false,
    description: 'The run was started for the agents of a pool, and this is none of them.',
  },
  AGENT_UNAVAILABLE: {
    status: 409,
    retryable: true,
    description: 'By the pool of the run the agent is not there now; `retryAfterMs` says when it comes, if it does.',
  },
  AGENT_AT_CAPACITY: {
    status: 409,
    retryable: true,
    description: 'The agent holds as many steps of the run as its pool gives it at once.',
  },
  LEASE_LOST: {
    status: 409,
    retryable: false,
    description: 'The lease has ended or passed to another: its fencing token is no longer the valid one.',
  },
  UNSUPPORTED_MEDIA_TYPE: {
    status: 415,
    retryable: false,
    description: 'The body has a content type or encoding that this path does not read.',
  },
  ADAPTATION_FAILED: {
    status: 422,
    retryable: false,
    description: 'No option keeps the limits of cost and success; `details.options` has the best that there are.',
  },
} as const satisfies ErrorEntries;
