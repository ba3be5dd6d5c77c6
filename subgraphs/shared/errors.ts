/**
 * The one table of errors. Codes are never reused; `status` is what a plain HTTP answer carries, `retryable` whether
 * the same call may succeed later without a change of the caller's.
 */
export const errorTable = {
  BAD_USER_INPUT: { status: 400, retryable: false, description: 'A variable or argument does not fit the schema.' },
  GRAPHQL_PARSE_FAILED: { status: 400, retryable: false, description: 'The document is not GraphQL.' },
  GRAPHQL_VALIDATION_FAILED: { status: 400, retryable: false, description: 'The document does not fit the schema.' },
  OPERATION_RESOLUTION_FAILURE: {
    status: 400,
    retryable: false,
    description: 'No single operation could be chosen from the document.',
  },
  PERSISTED_QUERY_NOT_FOUND: {
    status: 200,
    retryable: true,
    description: 'Unknown hash: send the document once with it.',
  },
  PERSISTED_QUERY_NOT_SUPPORTED: { status: 200, retryable: false, description: 'Persisted queries are off.' },
  PERSISTED_QUERY_MISMATCH: {
    status: 400,
    retryable: false,
    description: 'The document does not have the hash sent with it.',
  },
  BAD_REQUEST: {
    status: 400,
    retryable: false,
    description: 'The HTTP request itself is malformed: truncated JSON, wrong content type, missing preflight header.',
  },
  BODY_TOO_LARGE: { status: 413, retryable: false, description: 'The request body is over its limit.' },
  HEADERS_TOO_LARGE: { status: 431, retryable: false, description: 'The request headers are over their limit.' },
  REQUEST_TIMEOUT: { status: 408, retryable: true, description: 'The request did not arrive in time.' },
  METHOD_NOT_ALLOWED: {
    status: 405,
    retryable: false,
    description: 'The operation cannot be sent with this HTTP method.',
  },
  SUBSCRIPTION_TRANSPORT_REQUIRED: {
    status: 400,
    retryable: false,
    description: 'A subscription needs WebSocket, server-sent events or multipart.',
  },
  NOT_ROUTED: { status: 404, retryable: false, description: 'No such path.' },
  UNAUTHENTICATED: {
    status: 401,
    retryable: false,
    description: 'The token is missing, malformed, expired or not trusted.',
  },
  PERMISSION_DENIED: { status: 403, retryable: false, description: 'The principal may not do this.' },
  NOT_FOUND: {
    status: 404,
    retryable: false,
    description: 'Nothing of this id is visible to the principal; foreign and unknown are answered alike.',
  },
  VALIDATION_FAILED: {
    status: 422,
    retryable: false,
    description: 'An input value breaks its rule; `path` says which.',
  },
  INVALID_STATE: { status: 409, retryable: false, description: 'The object is not in a state that allows this.' },
  INVALID_STATE_TRANSITION: { status: 409, retryable: false, description: 'The state machine has no such transition.' },
  GOVERNANCE_LOCKED: {
    status: 409,
    retryable: false,
    description: 'The object is locked; only a governance override that cites an approved Confirm changes it.',
  },
  VERSION_CONFLICT: { status: 409, retryable: false, description: 'The object changed since it was read; read again.' },
  CONFLICT: { status: 409, retryable: false, description: 'Something with this identity exists with other content.' },
  IDEMPOTENCY_MISMATCH: {
    status: 409,
    retryable: false,
    description: 'The idempotency key was used with other input.',
  },
  IDEMPOTENCY_IN_PROGRESS: {
    status: 409,
    retryable: true,
    description: 'The first call with this idempotency key is still running.',
  },
  QUOTA_EXCEEDED: {
    status: 429,
    retryable: false,
    description: 'A quota of the tenant, context or subject is used up.',
  },
  DOCUMENT_NOT_TRUSTED: {
    status: 403,
    retryable: false,
    description: 'The platform runs only documents it was given, and this is none of them.',
  },
  QUERY_LIMIT_EXCEEDED: {
    status: 400,
    retryable: false,
    description:
      'The operation is over a limit of depth, aliases, root fields, directives or cost; `details` says which.',
  },
  RATE_LIMITED: {
    status: 429,
    retryable: true,
    description: 'Too much in too short a time; retry after `retryAfterMs`.',
  },
  DEADLINE_EXCEEDED: { status: 504, retryable: true, description: 'The operation took longer than it may.' },
  UNAVAILABLE: { status: 503, retryable: true, description: 'A needed part does not answer at the moment.' },
  NOT_IMPLEMENTED: {
    status: 501,
    retryable: false,
    description: 'The module validates this but does not store it yet.',
  },
  INTERNAL_ERROR: { status: 500, retryable: true, description: 'An unexpected failure; quote the reference.' },
  CURSOR_INVALID: { status: 400, retryable: false, description: 'The cursor is malformed or belongs to another list.' },
  CURSOR_REGRESSION: { status: 409, retryable: false, description: 'A read cursor only moves forward.' },
  RESUME_TOO_OLD: {
    status: 410,
    retryable: false,
    description: 'Events after this cursor are no longer kept: read the state anew.',
  },
  SLOW_CONSUMER: {
    status: 429,
    retryable: true,
    description: 'The subscriber did not keep up and was cut; resume from the cursor given.',
  },
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
  NO_ELIGIBLE_APPROVER: { status: 422, retryable: false, description: 'A step has nobody who may decide it.' },
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
    description: 'Who asked for the approval has no part in deciding it.',
  },
  DELEGATION_FORBIDDEN: {
    status: 409,
    retryable: false,
    description: 'The step may not be passed on, or was passed on too often.',
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
  PLAN_NOT_EDITABLE: { status: 409, retryable: false, description: 'The plan is no draft any more.' },
  CONFIRM_PENDING: {
    status: 409,
    retryable: false,
    description: 'The outcome of an open Confirm decides, nobody else.',
  },
  EXECUTION_NOT_ACTIVE: { status: 409, retryable: false, description: 'The execution does not run.' },
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
  COLLAB_NOT_ACTIVE: {
    status: 409,
    retryable: false,
    description: 'The collaboration is not in a state that allows this.',
  },
  COLLAB_FULL: { status: 409, retryable: false, description: 'The collaboration holds its maximum of participants.' },
  NOT_JOINABLE: { status: 409, retryable: false, description: 'The collaboration takes no participants in its state.' },
  ALREADY_JOINED: { status: 409, retryable: false, description: 'The participant already takes part, or did.' },
  ROLE_MISSING: { status: 422, retryable: false, description: 'A participant has no role to take part in.' },
  INVARIANT_VIOLATED: {
    status: 422,
    retryable: false,
    description: 'What is asked for breaks an invariant of the multi-agent profile; `details.invariant` names it.',
  },
  COORDINATOR_INVALID: {
    status: 422,
    retryable: false,
    description: 'The coordinator is none of the participants, or one is needed.',
  },
  QUORUM_UNREACHABLE: {
    status: 422,
    retryable: false,
    description: 'The quorum is greater than the number of those who may vote.',
  },
  LIMIT_EXCEEDED: { status: 422, retryable: false, description: 'More than the kind of collaboration allows.' },
  MODE_FORBIDS: { status: 409, retryable: false, description: 'The mode of the collaboration knows no such move.' },
  TURN_OPEN: { status: 409, retryable: true, description: 'A turn is under way.' },
  TURN_OVER: {
    status: 409,
    retryable: false,
    description: 'The turn has been completed, has timed out or was taken back.',
  },
  NOT_IN_ELECTORATE: {
    status: 403,
    retryable: false,
    description: 'The principal had no vote when the voting opened.',
  },
  VOTE_CLOSED: { status: 409, retryable: false, description: 'The voting is not open.' },
  VOTING_OPEN: { status: 409, retryable: false, description: 'The voting is still open.' },
  REVISION_NOT_ALLOWED: { status: 409, retryable: false, description: 'The vote was cast and may not be changed.' },
  RULE_MISCONFIGURED: {
    status: 422,
    retryable: false,
    description:
      'The rule of the vote cannot be applied: a vote of the wrong kind, an option unknown, an extension that is not there.',
  },
  DELEGATION_CYCLE: {
    status: 422,
    retryable: false,
    description: 'The delegation would come back to who passes the voice on; `details.way` names the way.',
  },
  INSUFFICIENT_DATA: { status: 422, retryable: false, description: 'There is too little to say anything of.' },
  COLLABORATION_TIMEOUT: {
    status: 409,
    retryable: false,
    description: 'The time of the planning session is over.',
  },
  CONSENSUS_NOT_REACHED: {
    status: 409,
    retryable: false,
    description: 'The votes cast are not enough for the contributions that `details.contributionIds` names.',
  },
} as const satisfies Record<string, { status: number; retryable: boolean; description: string }>;

export type ErrorCode = keyof typeof errorTable;

export interface PlatformErrorOptions {
  /** Where in the input, as GraphQL field names and list indexes. */
  readonly path?: readonly (string | number)[];
  readonly retryAfterMs?: number;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/** An expected failure. Everything else that is thrown is masked as INTERNAL_ERROR. */
export class PlatformError extends Error {
  readonly code: ErrorCode;
  readonly path: readonly (string | number)[] | undefined;
  readonly retryAfterMs: number | undefined;
  readonly details: Readonly<Record<string, unknown>> | undefined;

  constructor(code: ErrorCode, message: string, options: PlatformErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'PlatformError';
    this.code = code;
    this.path = options.path;
    this.retryAfterMs = options.retryAfterMs;
    this.details = options.details;
  }

  get retryable(): boolean {
    return errorTable[this.code].retryable;
  }

  get status(): number {
    return errorTable[this.code].status;
  }

  /** graphql-js copies this into the GraphQLError it wraps around a thrown error. */
  get extensions(): Record<string, unknown> {
    return toExtensions(this);
  }
}

/** The shape of `UserError` in every mutation payload. */
export interface UserErrorShape {
  readonly code: ErrorCode;
  readonly message: string;
  readonly path: readonly string[] | null;
  readonly retryable: boolean;
  readonly retryAfterMs: number | null;
}

export function toUserError(error: PlatformError): UserErrorShape {
  return {
    code: error.code,
    message: error.message,
    path: error.path === undefined ? null : error.path.map(String),
    retryable: error.retryable,
    retryAfterMs: error.retryAfterMs ?? null,
  };
}

/** What stands in `extensions` of a GraphQL error. */
export function toExtensions(error: PlatformError): Record<string, unknown> {
  return {
    code: error.code,
    category: error.status >= 500 ? 'server' : 'client',
    retryable: error.retryable,
    ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs }),
    ...(error.path === undefined ? {} : { inputPath: error.path.map(String) }),
    ...(error.details === undefined ? {} : { details: error.details }),
  };
}

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(errorTable, value);
}
