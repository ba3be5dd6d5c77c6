import { readFile } from 'node:fs/promises';

/** An extension that can be registered as it stands. */
export interface ExampleExtension {
  readonly name: string;
  readonly extensionType: 'CAPABILITY' | 'POLICY' | 'INTEGRATION' | 'TRANSFORMATION';
  readonly version: string;
  readonly description: string;
  readonly keywords: readonly string[];
  readonly manifest: Readonly<Record<string, unknown>>;
  readonly bundle: string;
}

const source = (file: string) => readFile(new URL(file, import.meta.url), 'utf8');
const text = { type: 'string' };

/** Extensions of our own: redaction of secrets, a custom tally of votes, a formatter of webhooks. */
export async function readExamples(): Promise<{
  readonly redaction: ExampleExtension;
  readonly voteTally: ExampleExtension;
  readonly webhookFormatter: ExampleExtension;
}> {
  const [redaction, voteTally, webhookFormatter] = await Promise.all(
    ['redaction.js', 'voteTally.js', 'webhookFormatter.js'].map(source),
  );
  return {
    redaction: {
      name: 'secret-redaction',
      extensionType: 'POLICY',
      version: '1.0.0',
      description: 'Takes keys, tokens and passwords out of messages before anybody reads them',
      keywords: ['redaction', 'secrets', 'security', 'messages'],
      bundle: redaction!,
      manifest: {
        entry_point: 'redaction.js',
        main_class: 'Redaction',
        configuration_schema: {
          type: 'object',
          properties: { veto: { type: 'boolean' } },
          additionalProperties: false,
        },
        capabilities: [
          {
            name: 'redaction',
            description: 'Texts without secrets',
            interfaces: [
              {
                interface_name: 'redaction',
                methods: [
                  {
                    method_name: 'redact',
                    description: 'The text without its secrets, and how many of each kind there were',
                    pure: true,
                    input_schema: {
                      type: 'object',
                      required: ['text'],
                      properties: { text: { type: 'string', maxLength: 200_000 } },
                    },
                    output_schema: {
                      type: 'object',
                      required: ['text', 'found'],
                      properties: { text, found: { type: 'object' } },
                    },
                  },
                ],
              },
            ],
          },
        ],
        hooks: [{ point: 'dialog.message_sent', phase: 'before', method: 'beforeMessage', priority: 10 }],
        lifecycle_hooks: { health_check: { script: 'healthCheck', timeout_seconds: 5, interval_seconds: 60 } },
        compatibility: { mplp_version: '^1.0.0', required_modules: ['dialog'] },
      },
    },
    voteTally: {
      name: 'quadratic-tally',
      extensionType: 'CAPABILITY',
      version: '2.0.0',
      description: 'Counts votes by quadratic voting: more for what matters more, at a rising price',
      keywords: ['voting', 'tally', 'quadratic', 'decision'],
      bundle: voteTally!,
      manifest: {
        entry_point: 'voteTally.js',
        main_class: 'QuadraticTally',
        configuration_schema: {
          type: 'object',
          properties: { credits: { type: 'integer', minimum: 1, maximum: 1_000_000 } },
          additionalProperties: false,
        },
        capabilities: [
          {
            name: 'tally',
            description: 'Counts votes of collaborations by the method CUSTOM, as CollabExtensionInput describes it',
            interfaces: [
              {
                interface_name: 'tally',
                methods: [
                  {
                    method_name: 'tally',
                    description:
                      'Winner, ties and standings; votes cost their square. Who spends too much is not counted',
                    pure: true,
                    error_codes: ['VOTED_TWICE', 'UNKNOWN_OPTION', 'FRACTIONAL_VOTE', 'UNKNOWN_VOTE'],
                    input_schema: {
                      type: 'object',
                      required: ['options', 'ballots'],
                      properties: {
                        options: {
                          type: 'array',
                          minItems: 1,
                          maxItems: 100,
                          items: { type: 'object', required: ['id'], properties: { id: text } },
                        },
                        ballots: {
                          type: 'array',
                          maxItems: 10_000,
                          items: {
                            type: 'object',
                            required: ['vote'],
                            properties: {
                              voter: text,
                              weight: { type: 'number', minimum: 0 },
                              vote: { type: 'object', required: ['kind'], properties: { kind: text } },
                            },
                          },
                        },
                      },
                    },
                    output_schema: {
                      type: 'object',
                      required: ['winner', 'tied', 'standings', 'rationale', 'spoiled'],
                      properties: {
                        winner: { type: ['string', 'null'] },
                        tied: { type: 'array', items: text },
                        standings: {
                          type: 'array',
                          items: {
                            type: 'object',
                            required: ['option', 'support'],
                            properties: { option: text, support: { type: 'number', minimum: 0 } },
                          },
                        },
                        rationale: text,
                        spoiled: { type: 'integer', minimum: 0 },
                      },
                    },
                  },
                ],
              },
            ],
          },
        ],
      },
    },
    webhookFormatter: {
      name: 'webhook-formatter',
      extensionType: 'INTEGRATION',
      version: '1.0.0',
      description: 'Writes events as bodies of webhooks: Slack, PagerDuty, CloudEvents',
      keywords: ['webhook', 'slack', 'pagerduty', 'cloudevents', 'notification'],
      bundle: webhookFormatter!,
      manifest: {
        entry_point: 'webhookFormatter.js',
        main_class: 'WebhookFormatter',
        configuration_schema: {
          type: 'object',
          properties: { source: text, target: { enum: ['slack', 'pagerduty', 'cloudevents'] } },
        },
        capabilities: [
          {
            name: 'webhook',
            description: 'Bodies of webhooks',
            interfaces: [
              {
                interface_name: 'webhook',
                methods: [
                  {
                    method_name: 'format',
                    description: 'One event for one kind of receiver',
                    error_codes: ['UNKNOWN_TARGET'],
                    input_schema: {
                      type: 'object',
                      required: ['event', 'target'],
                      properties: {
                        target: text,
                        event: { type: 'object', required: ['id', 'type', 'at'], properties: { type: text } },
                      },
                    },
                    output_schema: { type: 'object', required: ['body', 'contentType'] },
                  },
                  { method_name: 'formatted', description: 'How many events it has written by itself' },
                ],
              },
            ],
          },
        ],
        security_requirements: { permissions: ['state:read', 'state:write', 'event:emit', 'plan:read'] },
        hooks: [{ point: 'plan.execution_completed', phase: 'after', method: 'afterPlan' }],
      },
    },
  };
}
