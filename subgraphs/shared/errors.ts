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
  MALFORMED_TOPOLOGY: {
    status: 422,
    retryable: false,
    description: 'The text is not of the format it was said to be; the message names line or place.',
  },
  DUPLICATE_NODE: { status: 422, retryable: false, description: 'Two nodes, or two links, bear the same id.' },
  DANGLING_LINK: { status: 422, retryable: false, description: 'A link or demand names a node that is not there.' },
  DISCONNECTED: { status: 422, retryable: false, description: 'Some nodes could not reach each other.' },
  REDUNDANCY_UNSATISFIABLE: {
    status: 422,
    retryable: false,
    description:
      'Fewer nodes than asked for part the network when they fail; `details.vertexConnectivity` says how many.',
  },
  LIMIT_EXCEEDED: {
    status: 422,
    retryable: false,
    description: 'More nodes, links, demands or participants than one takes.',
  },
  SHAPE_MISMATCH: { status: 422, retryable: false, description: 'Nodes and links do not make the topology named.' },
  NETWORK_NOT_ACTIVE: { status: 409, retryable: false, description: 'The network takes no connections in its state.' },
  NODE_UNREACHABLE: { status: 409, retryable: true, description: 'An end of the connection is not up.' },
  NO_PATH: { status: 409, retryable: false, description: 'No links that are up join the two nodes.' },
  QOS_UNSATISFIABLE: {
    status: 409,
    retryable: false,
    description: 'No way keeps the limits asked for; `details.best` has the best of each there is.',
  },
  INSUFFICIENT_BANDWIDTH: {
    status: 409,
    retryable: true,
    description: 'The class has not enough left; `details.cut` names the links that show it.',
  },
  MAX_CONNECTIONS: { status: 409, retryable: true, description: 'A node or the network holds its maximum.' },
  CONNECTION_CLOSED: { status: 409, retryable: false, description: 'The connection has ended.' },
  INFEASIBLE_DEMANDS: {
    status: 422,
    retryable: false,
    description: 'The demands do not fit, however they are routed; the cut that proves it is returned.',
  },
  NETWORK_TOO_LARGE_FOR_EXACT: {
    status: 422,
    retryable: false,
    description: 'The exact computation is not made for networks of this size; ask for the estimate.',
  },
  MANIFEST_INVALID: {
    status: 422,
    retryable: false,
    description: 'The manifest of an extension breaks a rule; `details.issues` has every value that does.',
  },
  SIGNATURE_INVALID: {
    status: 422,
    retryable: false,
    description: 'No key that the tenant believes has made the signature, or there is none.',
  },
  CHECKSUM_MISMATCH: {
    status: 422,
    retryable: false,
    description: 'The bundle has another SHA-256 than the one sent with it.',
  },
  DEPENDENCY_CONFLICT: {
    status: 409,
    retryable: false,
    description: 'No choice of versions meets what an extension and its dependencies need, or they form a cycle.',
  },
  DEPENDANTS_ACTIVE: { status: 409, retryable: false, description: 'Extensions that run need this one.' },
  INCOMPATIBLE_VERSION: {
    status: 409,
    retryable: false,
    description: 'The extension does not fit this platform, or one version another.',
  },
  PERMISSION_NOT_GRANTED: {
    status: 403,
    retryable: false,
    description:
      'The extension did not ask for it, its publisher is not trusted enough, or the caller has it not to give.',
  },
  INIT_TIMEOUT: { status: 504, retryable: true, description: 'The extension was not ready within its time.' },
  SANDBOX_FAILED: { status: 422, retryable: false, description: 'The extension could not be started in its sandbox.' },
  METHOD_NOT_FOUND: { status: 404, retryable: false, description: 'The capability has no method of this name.' },
  INPUT_INVALID: { status: 422, retryable: false, description: 'Parameters break the input schema of the method.' },
  OUTPUT_INVALID: { status: 502, retryable: false, description: 'A result breaks the output schema of its method.' },
  EXECUTION_TIMEOUT: { status: 504, retryable: true, description: 'The method was stopped at its time limit.' },
  MEMORY_LIMIT_EXCEEDED: {
    status: 422,
    retryable: false,
    description: 'The method needs more memory than it may have.',
  },
  PERMISSION_VIOLATION: {
    status: 403,
    retryable: false,
    description: 'An extension asked for something that it or its caller may not do.',
  },
  CIRCUIT_OPEN: {
    status: 503,
    retryable: true,
    description: 'The method failed too often of late: it is left alone for a while.',
  },
  EXTENSION_CRASHED: {
    status: 502,
    retryable: false,
    description: 'The extension broke a limit of its sandbox or could not go on.',
  },
  EXTENSION_FAILED: {
    status: 422,
    retryable: false,
    description: 'The method itself refused; the execution says with which code.',
  },
  RANGE_INVALID: { status: 400, retryable: false, description: 'No SemVer range.' },
  INTERFACE_BREAKING: {
    status: 409,
    retryable: false,
    description: 'Callers of the release that runs would miss something in this one; `details.changes` says what.',
  },
  PERMISSION_ESCALATION: {
    status: 403,
    retryable: false,
    description: 'The release asks for more than the one that runs has; a Confirm has to approve it.',
  },
  DRAIN_TIMEOUT: { status: 504, retryable: true, description: 'Calls under way did not end in time.' },
  ROLLED_BACK: {
    status: 409,
    retryable: false,
    description: 'The new release did not do: the one before runs on.',
  },
  CHILD_FAILED: { status: 409, retryable: false, description: 'An execution that a step started did not complete.' },
  JOIN_UNMET: { status: 409, retryable: false, description: 'Too many of the steps that a step joins have failed.' },
  LOOP_BOUND: { status: 409, retryable: false, description: 'A loop would go on beyond its bound.' },
  CONDITION_FAILED: { status: 422, retryable: false, description: 'A condition of a step cannot be decided.' },
  STEP_TIMEOUT: { status: 504, retryable: true, description: 'A step did not end, or was not taken, in its time.' },
  APPROVAL_REFUSED: {
    status: 409,
    retryable: false,
    description: 'The Confirm that a step waited for was not approved.',
  },
  COMPENSATION_FAILED: {
    status: 409,
    retryable: false,
    description: 'Something that was done could not be undone; recoverWorkflow has it tried again.',
  },
  WORKFLOW_TOO_DEEP: { status: 409, retryable: false, description: 'Executions start each other too deeply.' },
  UNRESOLVED_REF: {
    status: 422,
    retryable: false,
    description: 'A reference of a workflow leads to nothing that exists when it is read.',
  },
  NEVER_FITS: {
    status: 422,
    retryable: false,
    description: 'No node could carry the request even if nothing else were on it.',
  },
  RULE_CYCLE: {
    status: 409,
    retryable: false,
    description: 'Decisions follow from each other without end.',
  },
  UNKNOWN_OPERATION: {
    status: 422,
    retryable: false,
    description: 'The graph has no such operation, or none that a workflow may call.',
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
  MODULE_DISABLED: {
    status: 409,
    retryable: false,
    description: 'The active manifest of the tenant disables the module; `details.module` names it.',
  },
  INSUFFICIENT_METRICS: {
    status: 422,
    retryable: false,
    description: 'Too little was measured to tell what could go better; `details.observed` says how much.',
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
