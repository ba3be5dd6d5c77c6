import type { ExportEntity, Literals } from '#shared/exports/exportEntity.ts';
import type { Principal } from '#shared/principal.ts';
import { viewerOf, visibleCondition } from './access.ts';

const visible = (principal: Principal, { texts }: Literals) => {
  const viewer = viewerOf(principal);
  return viewer === null ? [] : [visibleCondition('t', texts(viewer))];
};

export const traceExports: readonly ExportEntity[] = [
  {
    name: 'traces',
    requires: 'trace:read',
    from: 'trace.trace t',
    alias: 't',
    keys: [['id', 'uuid']],
    columns: [
      ...['w3c_id', 'context_id', 'plan_id', 'name', 'type', 'status', 'severity', 'correlation_id', 'tracestate'],
      ...['baggage', 'start_ns', 'end_ns', 'span_count', 'error_count', 'revision', 'created_at', 'created_by'],
      ...[
        'updated_at',
        'finished_at',
        'protocol',
        'governance',
        'service_name',
        'tags',
        'sampling_rate',
        'undecided',
        'lost_spans',
        'archived_at',
      ],
    ],
    time: 't.created_at',
    context: 't.context_id',
    visible,
  },
  {
    name: 'spans',
    requires: 'trace:read',
    // A span is seen with its trace.
    from: 'trace.span s JOIN trace.trace t ON t.tenant_id = s.tenant_id AND t.id = s.trace_id',
    alias: 's',
    keys: [
      ['trace_id', 'uuid'],
      ['span_id', 'text'],
    ],
    columns: [
      ...['parent_span_id', 'name', 'kind', 'service', 'start_ns', 'end_ns', 'status', 'status_message', 'late'],
      ...['detail', 'traced_at'],
    ],
    time: 's.traced_at',
    context: 't.context_id',
    visible,
  },
];
