// Writes what has happened as the body of a webhook: for chats, for incident tools, or as a CloudEvent. It sends nothing.
const colours = { info: '#2f81f7', success: '#2da44e', warning: '#d29922', error: '#cf222e' };

function severityOf(type) {
  if (/(failed|error|rejected|quarantined)$/.test(type)) return 'error';
  if (/(expired|cancelled|escalated|degraded)$/.test(type)) return 'warning';
  if (/(completed|approved|resolved|succeeded)$/.test(type)) return 'success';
  return 'info';
}

const titleOf = (type) =>
  type
    .split('.')
    .join(' ')
    .replace(/^./, (letter) => letter.toUpperCase());
const escaped = (text) => String(text).replace(/[&<>]/g, (sign) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[sign]);

const formats = {
  slack: ({ event, fields, severity }) => ({
    text: titleOf(event.type),
    attachments: [
      {
        color: colours[severity],
        fields: fields.map(([title, value]) => ({ title, value: escaped(value), short: String(value).length < 40 })),
      },
    ],
  }),
  pagerduty: ({ event, fields, severity, source }) => ({
    event_action: severity === 'success' ? 'resolve' : 'trigger',
    dedup_key: event.subject ?? event.id,
    payload: {
      summary: titleOf(event.type),
      source,
      severity: severity === 'success' ? 'info' : severity,
      timestamp: event.at,
      custom_details: Object.fromEntries(fields),
    },
  }),
  cloudevents: ({ event, source }) => ({
    specversion: '1.0',
    id: event.id,
    source,
    type: event.type,
    subject: event.subject ?? null,
    time: event.at,
    datacontenttype: 'application/json',
    data: event.data ?? {},
  }),
};

function format({ event, target }, { config }) {
  const make = formats[target];
  if (make === undefined) {
    const error = new Error(`there is no format ${target}`);
    error.code = 'UNKNOWN_TARGET';
    throw error;
  }
  const data = event.data ?? {};
  const fields = Object.entries(data).filter(([, value]) => value === null || typeof value !== 'object');
  return {
    body: make({ event, fields, severity: severityOf(event.type), source: config.source ?? 'mplp' }),
    contentType: 'application/json',
  };
}

export const WebhookFormatter = {
  format,

  // After a plan has ended: kept for whoever delivers it, and told to who follows the extension.
  async afterPlan({ event }, context) {
    const written = format({ event, target: context.config.target ?? 'cloudevents' }, context);
    const count = ((await mplp.state.get('formatted')) ?? 0) + 1;
    await mplp.state.set('formatted', count);
    await mplp.emit('webhook.formatted', { count, ...written });
    return null;
  },

  formatted: async () => ({ count: (await mplp.state.get('formatted')) ?? 0 }),
};
