import { z } from 'zod';
import { addressList, count, flag, urlOf } from './forms.ts';

/** What is kept of what the platform does, and who is told. */
export const observingVariables = {
  LOG_LEVEL: {
    schema: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
    description: 'least level that is logged',
  },
  LOG_STORE: {
    schema: flag.default(true),
    description: 'whether what the processes log is kept in the database beside standard output',
  },
  LOG_RETENTION_DAYS: { schema: count.default(30), description: 'days records of the log are kept' },
  METRIC_HISTORY: {
    schema: flag.default(true),
    description: 'whether the history of the metrics is kept in the database: off where a Prometheus server keeps it',
  },
  METRIC_SAMPLE_MS: {
    schema: count.min(1_000).default(15_000),
    description: 'time between two samples of the metrics, and two looks at the alert rules, ms',
  },
  BACKUP_STAMP_FILE: {
    schema: z.string().min(1).optional(),
    description:
      'file that the job which makes base backups touches after each that it has checked: its age shows in `mplp_base_backup_age_seconds`',
  },
  METRIC_RETENTION_DAYS: { schema: count.default(2), description: 'days metrics are kept as they were sampled' },
  METRIC_ROLLUP_DAYS: { schema: count.default(30), description: 'days metrics are kept by five minutes' },
  ERROR_RETENTION_DAYS: { schema: count.default(30), description: 'days captured errors are kept' },
  WEBHOOK_NETWORKS: {
    schema: addressList.optional(),
    description: 'private addresses or networks that webhooks may lead to, comma separated; none by default',
  },
  SMTP_URL: {
    schema: urlOf(['smtp:', 'smtps:'], 'smtp://user:password@host:port').optional(),
    description:
      'server that takes mail for channels of the kind MAIL: smtps: from the first byte on TLS, smtp: as soon as it offers it (`?requireTLS=true`: or not at all)',
  },
  MAIL_FROM: {
    schema: z.string().min(3).max(320).default('mplp@localhost'),
    description: 'sender of that mail',
  },
  OPERATOR_TENANT: {
    schema: z.string().min(1).max(255).optional(),
    description:
      "tenant of who runs the platform: it has the processes' logs, metrics and errors, and may change what all tenants share; nobody by default, in development `demo`",
  },
  AUDIT_RETENTION_DAYS: {
    schema: count.max(2_555).default(2_555),
    description: 'days audit rows are kept; the chain of their blocks stays',
  },
  FILE_RETENTION_DAYS: { schema: count.default(30), description: 'days exports and reports can be downloaded' },
} as const;
