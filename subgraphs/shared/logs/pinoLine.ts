import { newId } from '../ids.ts';
import { type LogRecord, logLevels } from './record.ts';
import { redactJson, redactText } from './redaction.ts';

const maxTextLength = 32_768;

function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? redactText(value.slice(0, 255)) : null;
}

/** Reads a line of pino. What it says beside the known fields is metadata. Null of what is no such line. */
export function readPinoLine(line: string): LogRecord | null {
  let said: Record<string, unknown>;
  try {
    said = JSON.parse(line) as Record<string, unknown>;
  } catch {
    return null;
  }
  const { level, time, msg, module, operation, correlationId, traceId, spanId, userId, stack, ...rest } = said;
  const severity = Number(level);
  const failure =
    typeof rest['error'] === 'string' ? rest['error'] : (rest['err'] as { stack?: unknown } | undefined)?.stack;
  const trail = severity >= logLevels.ERROR ? (stack ?? failure) : null;
  return {
    // Whatever tenant it concerns: what processes say of themselves is for their operators.
    tenantId: null,
    id: newId(),
    atMs: typeof time === 'string' ? Date.parse(time) : Date.now(),
    level: severity,
    message: redactText(String(msg ?? '').slice(0, maxTextLength)),
    module: textOf(module) ?? 'process',
    operation: textOf(operation),
    correlationId: textOf(correlationId),
    traceId: textOf(traceId),
    spanId: textOf(spanId),
    userId: textOf(userId),
    metadata: redactJson(rest) as Record<string, unknown>,
    stack: typeof trail === 'string' ? redactText(trail.slice(0, maxTextLength)) : null,
  };
}
