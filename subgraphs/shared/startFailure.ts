const unreachable = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT']);
/** invalid_password, invalid_authorization_specification, invalid_catalog_name (PostgreSQL, appendix A). */
const refusedStates = new Set(['28P01', '28000', '3D000']);

/** What an operator reads when the process does not start: what failed, and which setting it hangs on. */
export function describeStartFailure(error: unknown): string {
  const { code, syscall, port } = detailsOf(error);
  const message = messageOf(error);
  if (code === 'EADDRINUSE') return `port ${port} is taken: end what listens there or set PORT (${message})`;
  if (code === 'EACCES' && syscall === 'listen') return `port ${port} may not be opened by this user: set PORT`;
  if (code !== undefined && unreachable.has(code))
    return `the database is not reachable: check DATABASE_URL (${message})`;
  if (code !== undefined && refusedStates.has(code)) return `the database refuses us: check DATABASE_URL (${message})`;
  return message;
}

interface Details {
  readonly code?: string;
  readonly syscall?: string;
  readonly port?: number;
}

function detailsOf(error: unknown): Details {
  if (error instanceof AggregateError && error.errors.length > 0) return detailsOf(error.errors[0]);
  return typeof error === 'object' && error !== null ? error : {};
}

function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return messageOf(error.errors[0]);
  return error instanceof Error ? error.message : String(error);
}
