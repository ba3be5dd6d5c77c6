import type { ErrorEntries } from './entry.ts';

/** Of groups of agents: networks, extensions, workflows and their resources, collaborations. */
export const groupErrors = {
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
  PROBE_REFUSED: {
    status: 409,
    retryable: false,
    description: 'The node has no address that the operator lets be reached for.',
  },
  DISCOVERY_REFUSED: {
    status: 409,
    retryable: false,
    description: 'The operator does not let names of the domain be asked for.',
  },
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
    description:
      'The demands do not fit, however they are routed; what proves it is returned: a cut, prices of links or a path too narrow.',
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
  PACKAGE_INVALID: {
    status: 422,
    retryable: false,
    description: 'A package of an extension cannot be taken apart, or lacks its manifest or its entry point.',
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
  HOOK_VETOED: {
    status: 403,
    retryable: false,
    description: 'An extension that is asked before the operation refuses it, and says why.',
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
  SUCCESS_RATE_TOO_LOW: {
    status: 409,
    retryable: false,
    description: 'Fewer of the steps of an execution completed than its workflow asks for.',
  },
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
} as const satisfies ErrorEntries;
